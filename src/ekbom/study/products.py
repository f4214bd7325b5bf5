"""A product as files: tables, maps and figures with their sidecars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ekbom
from ekbom.nouns import Column, Map, Product, Table, Unit
from ekbom.space.io import nifti_bytes
from ekbom.study import names
from ekbom.study.files import json_bytes, tsv_bytes
from ekbom.study.results import score_to_json


def product_files(
    unit: Unit, measure: str, product: Product, made: Mapping[str, Any], folder: str | None = None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files of a product, and what the study keeps beside them.

    Parameters
    ----------
    unit : Unit
        Whose product.
    measure : str
        Name of the measure.
    product : Product
        What it measured.
    made : mapping
        For the sidecars: how it was made (step, key, inputs).
    folder : str, optional
        Folder below that of the unit; the name of the measure by default.

    Returns
    -------
    files : dict of str to bytes
        Path inside the output tree to content.
    result : dict
        Scores, notes and maps as JSON.

    Raises
    ------
    ValueError
        Two products of one unit have one name: a fault of the measure.
    """
    content: dict[str, bytes] = {}
    place = measure if folder is None else folder

    def add(name: str, data: bytes) -> None:
        if name in content:
            raise ValueError(f"the measure {measure} gives two files the name {name}")
        content[name] = data

    for table in product.tables:
        stem = names.product(unit, place, table.name, "")
        add(f"{stem}.tsv", tsv_bytes(table.frame))
        add(f"{stem}.json", json_bytes(table_sidecar(table, made)))
    maps = []
    for image in product.maps:
        stem = names.product(unit, place, image.name, "")
        add(f"{stem}.nii.gz", map_bytes(image))
        add(f"{stem}.json", json_bytes(map_sidecar(image, made)))
        maps.append(
            {
                "name": f"{stem}.nii.gz",
                "parameter": image.parameter,
                "method": image.method,
                "unit": image.unit,
                "space": image.space,
            }
        )
    for file in product.files:
        stem = names.product(unit, place, file.name, "")
        for extension, data in file.data.items():
            add(f"{stem}{extension}", data)
        add(f"{stem}.json", json_bytes({**dict(file.meta), "GeneratedBy": made}))
    for figure in product.figures:
        add(names.figure(unit, figure.name, f".{figure.kind}"), figure.data)
        caption = {"Caption": figure.caption, "GeneratedBy": made}
        add(names.figure(unit, figure.name, ".json"), json_bytes(caption))
    result = {
        "scores": [score_to_json(score) for score in product.scores],
        "notes": [[note.code, note.text, note.permission] for note in product.notes],
        "maps": maps,
        "meta": dict(product.meta),
    }
    return content, result


def map_bytes(image: Map) -> bytes:
    """Return a map as ``.nii.gz``, float32.

    Parameters
    ----------
    image : Map
        The map.

    Returns
    -------
    bytes
        The same for the same map.
    """
    return nifti_bytes(np.asarray(image.values, np.float32), image.affine, space=image.space)


def table_sidecar(table: Table, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON beside a table: its columns, then what else it says.

    Parameters
    ----------
    table : Table
        The table.
    made : mapping
        How it was made.

    Returns
    -------
    dict
        Column name to description, unit and levels; ``GeneratedBy`` last.
    """
    columns = {
        name: column_json(table.columns[name])
        for name in table.frame.columns
        if name in table.columns
    }
    return {**columns, **dict(table.meta), "GeneratedBy": made}


def column_json(column: Column) -> dict[str, Any]:
    """Return what BIDS says of a column.

    Parameters
    ----------
    column : Column
        Meaning of a column.

    Returns
    -------
    dict
        ``Description``, ``Units``, ``Levels``.
    """
    said: dict[str, Any] = {"Description": column.description}
    if column.unit is not None:
        said["Units"] = column.unit
    if column.levels is not None:
        said["Levels"] = dict(column.levels)
    return said


def map_sidecar(image: Map, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON beside a map.

    Parameters
    ----------
    image : Map
        The map.
    made : mapping
        How it was made.

    Returns
    -------
    dict
        Parameter, method, units, space, what else it says, ``GeneratedBy``.
    """
    return {
        "Parameter": image.parameter,
        "Method": image.method,
        "Units": image.unit,
        "Space": image.space,
        **dict(image.meta),
        "GeneratedBy": made,
    }


def made_by(step: str, key: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return how a file was made, for its sidecar.

    Parameters
    ----------
    step : str
        Name of the step.
    key : str
        Its key.
    inputs : mapping of str to str
        Path inside the study to SHA-256.

    Returns
    -------
    dict
        Name, version, step, key and inputs; no time, no host.
    """
    return {
        "Name": "ekbom",
        "Version": ekbom.__version__,
        "Step": step,
        "Key": key,
        "Inputs": dict(inputs),
    }
