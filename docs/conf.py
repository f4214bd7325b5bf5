"""Sphinx settings: ekbom's documentation, built without network and without warnings."""

from __future__ import annotations

import html
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import ekbom

project = "ekbom"
author = "The ekbom developers"
copyright = "The ekbom developers, BSD-3-Clause"
version = release = ekbom.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "**/_*"]
root_doc = "index"

myst_enable_extensions = ["deflist", "dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
toc_object_entries = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpicky = False

html_theme = "alabaster"
html_title = f"ekbom {version}"
html_static_path = ["_static"]
html_css_files = ["ekbom.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "description": "Restless-legs research, from raw measurements to answers",
    "fixed_sidebar": True,
    "page_width": "64rem",
    "sidebar_width": "15rem",
    "show_powered_by": False,
    "font_family": "Charter, 'Bitstream Charter', Cambria, Georgia, serif",
    "head_font_family": "Charter, 'Bitstream Charter', Cambria, Georgia, serif",
    "code_font_family": "ui-monospace, Menlo, Consolas, monospace",
    "font_size": "1rem",
    "link": "#17547e",
    "link_hover": "#9a3d12",
}

#: Rooms with a page of their own; every public module under them is listed there.
ROOMS = {
    "nouns": ("The nouns", ["ekbom.nouns", "ekbom.errors"]),
    "study": ("Study", ["ekbom.study"]),
    "pet": ("PET", ["ekbom.measures.pet"]),
    "clinic": ("Clinic", ["ekbom.measures.clinic"]),
    "legs": ("Leg movements", ["ekbom.measures.legs"]),
    "space": ("Space", ["ekbom.space"]),
    "inference": ("Inference", ["ekbom.inference"]),
    "virtual": ("Virtual studies", ["ekbom.virtual"]),
    "disease": ("The disease model", ["ekbom.disease"]),
    "trials": ("Trials and evidence", ["ekbom.trials"]),
    "report": ("Report", ["ekbom.report"]),
}


def modules(name: str) -> list[str]:
    """Return a module and all public ones under it that can be imported."""
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError:
        return []
    below = getattr(found, "__path__", None)
    names = [name]
    for one in pkgutil.walk_packages(below or [], f"{name}."):
        if not any(part.startswith("_") for part in one.name.split(".")):
            names.append(one.name)
    return names


def write_api() -> None:
    """Write a page a room, from the modules that are there."""
    folder = Path(__file__).parent / "api"
    folder.mkdir(exist_ok=True)
    pages = []
    for room, (title, starts) in ROOMS.items():
        listed = [m for start in starts for m in modules(start)]
        if not listed:
            continue
        pages.append(room)
        text = f"# {title}\n"
        for name in listed:
            public = getattr(importlib.import_module(name), "__all__", None)
            # What a package hands on is documented where it is written.
            options = ":no-index:\n" if public else ":members:\n"
            text += f"\n## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n   {options}```\n"
        _write(folder / f"{room}.md", text)
    rows = "\n".join(pages)
    _write(folder / "index.md", f"# Reference\n\n```{{toctree}}\n:maxdepth: 1\n\n{rows}\n```\n")


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def inline_math(writer: Any, node: Any) -> None:
    """Draw a formula as MathML, which browsers know without a library."""
    writer.body.append(mathml(node.astext(), block=False))
    raise SkipNode


def block_math(writer: Any, node: Any) -> None:
    """Draw a formula on a line of its own."""
    writer.body.append(f'<div class="math">{mathml(node.astext(), block=True)}</div>')
    raise SkipNode


def mathml(text: str, *, block: bool) -> str:
    """Return a formula as MathML; as it was written when docutils does not know it."""
    try:
        return str(tex2mathml(text, as_block=block))
    except (MathError, SyntaxError):
        return f"<code>{html.escape(text)}</code>"


def plain_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, text: list[str]
) -> None:
    """Keep bars of absolute values, and headings of modules, from being read as markup."""
    text[:] = [re.sub(r"(?<![`\\|])\|(?![`|])", r"\\|", one) for one in text]
    if what == "module":
        for k in range(1, len(text)):
            if re.fullmatch(r"-{3,}", text[k].strip()) and text[k - 1].strip():
                text[k - 1 : k + 1] = [f".. rubric:: {text[k - 1].strip()}", ""]


def foreign(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leave out what a module merely imports."""
    home = getattr(obj, "__module__", None)
    return True if isinstance(home, str) and not home.startswith("ekbom") else None


def only_present(app: Sphinx, page: str, source: list[str]) -> None:
    """Leave folders without pages out of the contents."""
    if page == "index":
        here = Path(app.srcdir)
        kept = [
            one
            for one in source[0].splitlines()
            if not one.endswith("/*") or list((here / one[:-2]).glob("*.md"))
        ]
        source[0] = "\n".join(kept)


def setup(app: Sphinx) -> None:
    """Make the reference pages and the drawing of formulas known."""
    write_api()
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)
    app.connect("autodoc-skip-member", foreign)
    app.connect("source-read", only_present)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
