"""Check the docstring of every name that a room exports against numpydoc.

numpydoc's own command reads source text and so cannot see the parameters that
a data class makes for itself; this imports the package and asks the objects.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator

from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import ekbom

#: No docstring; summary missing, multi-line or not in the infinitive; parameters
#: undocumented, unknown or out of order; returns missing or without description.
CHECKS = {"GL08", "SS01", "SS05", "PR01", "PR02", "PR03", "RT01", "RT03"}


#: Modules that belong to all rooms, and the rooms whose `__all__` is their public face.
LEAVES = ("ekbom.errors", "ekbom.nouns")


def public_objects() -> Iterator[str]:
    """Yield the dotted names that the rooms export, where they are defined."""
    seen = set()
    for found in pkgutil.walk_packages(ekbom.__path__, "ekbom."):
        module = importlib.import_module(found.name)
        if found.name in LEAVES:
            names = [n for n in vars(module) if not n.startswith("_")]
        else:
            names = list(getattr(module, "__all__", ()))
        for name in names:
            thing = getattr(module, name)
            home = getattr(thing, "__module__", "")
            is_code = inspect.isclass(thing) or callable(thing)
            if is_code and home.startswith("ekbom") and (home, name) not in seen:
                seen.add((home, name))
                yield f"{home}.{thing.__name__}"


def excused(name: str, code: str, text: str) -> bool:
    """Say whether a class explains its fields in another accepted way.

    Results that nobody makes by hand list their fields as Attributes; protocols
    have no parameters; a subclass may refer to its parent.
    """
    home, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(home), last)
    if code != "PR01" or not inspect.isclass(thing):
        return False
    doc = inspect.getdoc(thing) or ""
    if getattr(thing, "_is_protocol", False) or "Parameters are those of" in doc:
        return True
    listed = NumpyDocString(doc)["Attributes"]
    attributes = {word.strip() for entry in listed for word in entry.name.split(",")}
    missing = set(re.findall(r"'([^']+)'", text))
    return missing <= attributes


def main() -> int:
    """Print what is wrong; return the exit code."""
    seen = faults = 0
    for name in public_objects():
        seen += 1
        try:
            errors = [e for e in validate(name)["errors"] if not excused(name, *e)]
        except (AttributeError, ImportError, ValueError, StopIteration) as no:
            errors = [("ERR", repr(no))]
        for code, text in errors:
            if code in CHECKS or code == "ERR":
                faults += 1
                print(f"{name}: {code} {text}")
    print(f"{seen} public names, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
