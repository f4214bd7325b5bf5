"""An instrument for tests: reads numbers from a small TSV, slowly if asked."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from ekbom.errors import Refused
from ekbom.nouns import Column, Figure, Files, Inputs, Map, Note, Product, Score, Table, Unit


class ScanSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    negative: bool = False


class FakeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    model: list[str] = ["a"]
    scale: float = Field(default=1.0, gt=0)
    sleep: float = 0.0
    maps: bool = False
    scans: dict[str, ScanSettings] = Field(default_factory=dict)


class FakeMeasure:
    name: ClassVar[str] = "fake"
    settings_model: ClassVar[type[BaseModel]] = FakeSettings
    outcomes: ClassVar[Mapping[str, str]] = {"VT": "mL/cm3", "index": "1/h"}
    citations: ClassVar[Mapping[str, str]] = {"a": "Nobody 1900"}

    def units(self, study: Files) -> list[Unit]:
        found = []
        for file in study.find(suffix="beh", extension=".tsv", scope="raw"):
            e = file.entities
            found.append(Unit(f"sub-{e['sub']}", e.get("ses"), e.get("run"), e.get("trc")))
        return found

    def inputs(self, unit: Unit, study: Files, settings: Any) -> Inputs:
        files = study.find(unit, suffix="beh", extension=".tsv", scope="raw")
        about = study.metadata(files[0])
        if "Units" not in about:
            raise Refused(
                "the unit is not declared",
                file=files[0].path.with_suffix(".json"),
                field="Units",
                found="nothing",
                expected="mL/cm3",
                mend="add it",
            )
        return Inputs(
            unit,
            {"numbers": [files[0].path], "about": study.metadata_files(files[0])},
            {"units": about["Units"]},
        )

    def run(self, inputs: Inputs, settings: Any) -> Product:
        time.sleep(settings.sleep)
        path = inputs.files["numbers"][0]
        frame = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["n/a"])
        notes = []
        if "crash" in path.read_text():
            raise ZeroDivisionError("crash in the data")
        scan = settings.scans.get(inputs.unit.label)
        if (frame["value"] < 0).any():
            if scan is None or not scan.negative:
                raise Refused(
                    "a number is negative",
                    file=path,
                    field="value",
                    found=frame["value"].min(),
                    expected="numbers of 0 and more",
                    mend=f"allow it: [measures.fake.scans.{inputs.unit.label}] negative = true",
                )
            notes.append(Note("negative", "negative numbers were used", permission=True))
        scores = []
        for k, model in enumerate(settings.model):
            for region, value in zip(frame["region"], frame["value"], strict=True):
                number = float(value) * settings.scale + k
                flags = ("k4_small",) if number > 30 else ()
                scores.append(
                    Score("VT", number, "mL/cm3", f"seg:{region}", model, 0.1, flags=flags)
                )
        scores.append(Score("index", float(np.nansum(frame["value"])), "1/h"))
        scores.append(Score("other", math.nan, "1"))
        table = Table(
            "desc-seg_kinpar",
            frame,
            {
                "region": Column("Region"),
                "value": Column("The number", "mL/cm3"),
            },
            {"Scale": settings.scale},
        )
        maps = []
        if settings.maps:
            grid = np.arange(64, dtype=float).reshape(4, 4, 4)
            rng = np.random.default_rng(int(abs(frame["value"].fillna(0).sum()) * 1000))
            values = (grid + rng.normal(size=grid.shape)).astype(np.float32)
            maps = [
                Map(
                    f"desc-{model}_VT_mimap",
                    values,
                    np.diag([2.0, 2, 2, 1]),
                    "mL/cm3",
                    "MNI152NLin2009aSym",
                    "VT",
                    model,
                )
                for model in settings.model
            ]
        figure = Figure("desc-fit_qc", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "A fit.")
        return Product(scores, [table], maps, [figure], notes)

    def words(self, settings: Any) -> str:
        return "Numbers were read from files."
