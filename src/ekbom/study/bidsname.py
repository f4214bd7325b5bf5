"""What a BIDS file name says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: Folders that BIDS calls datatypes, raw and derivative.
DATATYPES = frozenset(
    {"anat", "beh", "dwi", "eeg", "emg", "fmap", "func", "ieeg"}
    | {"meg", "micr", "motion", "mrs", "nirs", "perf", "pet"}
)

#: Entities whose values are numbers, so that ``run-1`` and ``run-01`` are the same.
INDEXED = frozenset({"run", "echo", "flip", "inv", "split", "chunk"})


class Name(NamedTuple):
    """Parts of a file name.

    Parameters
    ----------
    entities : dict of str to str
        Without prefixes.
    suffix, extension : str
        ``"blood"``, ``".tsv"``.
    """

    entities: dict[str, str]
    suffix: str
    extension: str


def parse(name: str) -> Name | None:
    """Split a file name into entities, suffix and extension.

    Parameters
    ----------
    name : str
        File name without folders.

    Returns
    -------
    Name or None
        None when the name does not follow BIDS.

    Examples
    --------
    >>> parse("sub-01_ses-x_recording-manual_blood.tsv").suffix
    'blood'
    >>> parse("dataset_description.json") is None
    True
    """
    stem, dot, rest = name.partition(".")
    *pairs, suffix = stem.split("_")
    if not suffix or "-" in suffix or not dot:
        return None
    entities: dict[str, str] = {}
    for pair in pairs:
        key, dash, value = pair.partition("-")
        if not (key and dash and value) or key in entities:
            return None
        entities[key] = value
    return Name(entities, suffix, dot + rest)


def same_value(key: str, one: str, other: str) -> bool:
    """Tell whether two values of an entity name the same thing.

    Parameters
    ----------
    key : str
        Entity, ``"run"``.
    one, other : str
        Values without prefix.

    Returns
    -------
    bool
        Equal; numbers are compared as numbers for indexed entities.
    """
    if one == other:
        return True
    return key in INDEXED and one.isdigit() and other.isdigit() and int(one) == int(other)


def applies(metadata: Mapping[str, str], data: Mapping[str, str]) -> bool:
    """Tell whether every entity of a metadata file is in the data file's name.

    Parameters
    ----------
    metadata, data : mapping of str to str
        Entities of the JSON and of the data file.

    Returns
    -------
    bool
        The rule of the BIDS inheritance principle on entities.
    """
    return all(key in data and same_value(key, value, data[key]) for key, value in metadata.items())
