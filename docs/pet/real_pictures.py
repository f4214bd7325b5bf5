"""Pictures and printed tables of the page "Real scans", from the tables of real_data.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ekbom.inference.reliability import reliability
from ekbom.report.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    look,
    new_figure,
)

NAMES = {"1tcm": "1TCM", "2tcm": "2TCM", "logan": "Logan", "ma1": "MA1", "spectral": "spectral",
         "spectral-slow": "spectral, slower"}  # fmt: skip
OTHERS = ("1tcm", "logan", "ma1", "spectral")
COLOURS = {"pbr28": VERMILION, "ds004869": BLUE}
LABELS = {"pbr28": "[¹¹C]PBR28", "ds004869": "[¹¹C]MC1"}
FLAGGED = ("k4_small", "extrapolated", "cv_high", "no_convergence", "singular")


def wide(fits: pd.DataFrame) -> pd.DataFrame:
    """Return V_T with one column a model, one row a scan and region."""
    keys = ["data", "person", "session", "group", "region"]
    volumes = fits[fits["outcome"] == "VT"]
    table = volumes.pivot_table(index=keys, columns="model", values="value").reset_index()
    doubt = volumes[volumes["model"] == "2tcm"].set_index(keys)["flags"].fillna("n/a")
    bad = doubt.map(lambda text: any(word in text for word in FLAGGED))
    return table.merge(bad.rename("flagged").reset_index(), on=keys)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Return correlation, slope, bias and limits of each model against 2TCM."""
    rows = []
    for data, part in table[~table["flagged"]].groupby("data", sort=False):
        for model in (*OTHERS, "spectral-slow", *(f"{name}-expected" for name in OTHERS)):
            x, y = part["2tcm"].to_numpy(), part[model].to_numpy()
            d = 200 * (y - x) / (y + x)
            rows.append({
                "data": data, "model": model, "n": len(x), "r": np.corrcoef(x, y)[0, 1],
                "slope": np.polyfit(x, y, 1)[0], "bias_percent": d.mean(),
                "low_percent": d.mean() - 1.96 * d.std(ddof=1),
                "high_percent": d.mean() + 1.96 * d.std(ddof=1),
            })  # fmt: skip
    return pd.DataFrame(rows)


def against(fits: pd.DataFrame) -> Figure:
    """V_T of each model against that of 2TCM, and their difference, all scans and regions."""
    table = wide(fits)
    stats = agreement(table).set_index(["data", "model"])
    figure = new_figure(8.3, 6.6)
    grid = figure.subplots(3, 4, height_ratios=(1.25, 1, 1))
    for c, model in enumerate(OTHERS):
        top = grid[0, c]
        limit = 1.04 * float(np.nanquantile(table[["2tcm", model]].to_numpy(), 0.995))
        top.plot([0, limit], [0, limit], color=FAINT, zorder=0)
        for data, part in table.groupby("data", sort=False):
            good = part[~part["flagged"]]
            top.plot(
                good["2tcm"],
                good[model],
                "o",
                ms=2,
                rasterized=True,
                alpha=0.55,
                mew=0,
                color=COLOURS[data],
            )
        top.set(xlim=(0, limit), ylim=(0, limit), title=NAMES[model], xlabel="$V_T$, 2TCM")
        for r, data in enumerate(("pbr28", "ds004869"), start=1):
            axes = grid[r, c]
            part = table[(table["data"] == data) & ~table["flagged"]]
            mean = (part["2tcm"] + part[model]) / 2
            percent = 100 * (part[model] - part["2tcm"]) / mean
            row = stats.loc[(data, model)]
            axes.axhline(0, color=FAINT, zorder=0)
            axes.axhline(row["bias_percent"], color=INK, lw=0.9)
            for edge in ("low_percent", "high_percent"):
                axes.axhline(row[edge], color=INK, lw=0.7, ls=(0, (4, 3)))
            axes.axhline(
                stats.loc[(data, f"{model}-expected"), "bias_percent"], color=GREEN, lw=1.2
            )
            axes.plot(
                mean, percent, "o", ms=2, rasterized=True, alpha=0.55, mew=0, color=COLOURS[data]
            )
            axes.set(ylim=(-60, 60), xlim=(0, limit))
            axes.text(0.97, 0.95, f"{row['bias_percent']:+.1f} %", transform=axes.transAxes,
                      ha="right", va="top", fontsize=8.5)  # fmt: skip
            if r == 2:
                axes.set_xlabel("mean of the two")
            if c == 0:
                axes.set_ylabel(f"{LABELS[data]}\ndifference from 2TCM, %")
    grid[0, 0].set_ylabel("$V_T$ of the model, mL/cm³")
    for data, colour in COLOURS.items():
        grid[0, 0].plot([], [], "o", ms=4, color=colour, label=LABELS[data])
    grid[0, 0].legend(loc="upper left", handletextpad=0.1, borderaxespad=0)
    return figure


def _when(sessions: pd.Series) -> pd.Series:
    """Order of sessions in time."""
    return sessions.isin(["retest", "blocked"])


def delays(scans: pd.DataFrame) -> Figure:
    """The delay of every scan with its standard error, the scans of a person joined."""
    figure = new_figure(8.3, 3.1)
    grid = figure.subplots(1, 2, width_ratios=(1, 2.1))
    for axes, (data, part) in zip(grid, scans.groupby("data", sort=False), strict=True):
        people = list(dict.fromkeys(part["person"]))
        for k, person in enumerate(people):
            own = part[part["person"] == person].sort_values("session", key=_when)
            axes.plot([k - 0.14, k + 0.14], own["delay_s"], color=FAINT, lw=1.4, zorder=0)
            for shift, colour, (_, row) in zip(
                (-0.14, 0.14), (COLOURS[data], INK), own.iterrows(), strict=True
            ):
                axes.errorbar(k + shift, row["delay_s"], row["delay_se_s"], fmt="o", ms=4,
                              color=colour, lw=1)  # fmt: skip
        axes.axhline(0, color=FAINT, zorder=-1)
        axes.set_xticks(range(len(people)), [p.removeprefix("sub-") for p in people])
        axes.set_title(LABELS[data])
        axes.plot([], [], "o", color=COLOURS[data], label="first scan")
        axes.plot([], [], "o", color=INK, label="second scan")
        axes.legend(loc="lower left" if data == "pbr28" else "upper right")
    grid[0].set_ylabel("delay of tissue after the\nplace of sampling, s")
    return figure


def retest(fits: pd.DataFrame) -> pd.DataFrame:
    """Return reliability of V_T by data set, model and region, with and without faulty blood."""
    rows = []
    volumes = fits[(fits["outcome"] == "VT") & fits["session"].isin(["test", "retest"])]
    groups = {"pbr28": volumes[volumes["data"] == "pbr28"],
              "ds004869": volumes[(volumes["data"] == "ds004869")],
              "ds004869, without sub-13": volumes[(volumes["data"] == "ds004869")
                                                  & (volumes["person"] != "sub-13")]}  # fmt: skip
    for data, chosen in groups.items():
        for (model, region), part in chosen.groupby(["model", "region"], sort=False):
            pair = part.pivot_table(index="person", columns="session", values="value")
            found = reliability(pair[["test", "retest"]].to_numpy(), bootstrap=1000)
            rows.append({
                "data": data, "model": model, "region": region, "n": found.n, "icc": found.icc11,
                "icc_low": found.icc11_low, "icc_high": found.icc11_high, "trt": found.trt,
                "cv_within": found.cv_within, "bias_percent": 100 * found.bias / found.mean,
            })  # fmt: skip
    return pd.DataFrame(rows)


def reliabilities(fits: pd.DataFrame) -> Figure:
    """Test-retest variability and ICC of V_T by model, a dot a region."""
    table = retest(fits)
    models = ("1tcm", "2tcm", "logan", "ma1", "spectral")
    sets = ("pbr28", "ds004869", "ds004869, without sub-13")
    colours = (VERMILION, SKY, BLUE)
    figure = new_figure(8.3, 3.1)
    grid = figure.subplots(1, 2)
    rng = np.random.default_rng(0)
    for axes, column in zip(grid, ("trt", "icc"), strict=True):
        for k, model in enumerate(models):
            for j, (data, colour) in enumerate(zip(sets, colours, strict=True)):
                part = table[(table["data"] == data) & (table["model"] == model)][column]
                x = k + 0.24 * (j - 1)
                axes.plot(x + rng.uniform(-0.06, 0.06, len(part)), part, "o", ms=2.6, mew=0,
                          alpha=0.6, color=colour, clip_on=False)  # fmt: skip
                axes.plot([x - 0.1, x + 0.1], [part.median()] * 2, color=colour, lw=2)
        axes.set_xticks(range(len(models)), [NAMES[m] for m in models])
    grid[0].set(ylabel="test-retest variability, %", ylim=(0, 45))
    grid[1].set(ylabel="ICC(1,1)", ylim=(0, 1))
    for data, colour in zip(sets, colours, strict=True):
        name = data.replace("pbr28", LABELS["pbr28"]).replace("ds004869", LABELS["ds004869"])
        grid[0].plot([], [], "o", color=colour, label=name)
    grid[0].legend(loc="upper left")
    return figure


def _strip(axes: Axes, table: pd.DataFrame, forms: Sequence[str], ceiling: float) -> None:
    """A cell a scan and form: AICc above the best of the scan."""
    scans = table[["person", "session"]].drop_duplicates()
    values = np.full((len(forms), len(scans)), np.nan)
    for c, (_, scan) in enumerate(scans.iterrows()):
        own = table[(table["person"] == scan["person"]) & (table["session"] == scan["session"])]
        aicc = own.set_index("form")["aicc"].reindex(forms).to_numpy(dtype=float)
        values[:, c] = aicc - np.nanmin(aicc)
    axes.imshow(np.clip(values, 0, ceiling), aspect="auto", cmap="Blues_r", vmin=0, vmax=ceiling)
    for r, c in zip(*np.nonzero(values == 0), strict=True):
        axes.plot(c, r, "o", ms=3, color="white")
    axes.set_yticks(range(len(forms)), forms)
    names = [f"{p.removeprefix('sub-')} {s}" for p, s in scans.to_numpy()]
    axes.set_xticks(range(len(scans)), names, rotation=90, fontsize=7)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def parents(candidates: pd.DataFrame, choices: pd.DataFrame) -> Figure:
    """Forms of the parent fraction: evidence by scan, and what each does to V_T."""
    kept = candidates[(candidates["kind"] == "parent") & candidates["aicc"].notna()]
    forms = list(dict.fromkeys(kept["form"]))
    figure = new_figure(8.3, 4.6)
    grid = figure.subplots(2, 1, height_ratios=(1, 1.15))
    _strip(grid[0], kept, forms, 20)
    grid[0].set_title("AICc above the best form of the scan (white dot; darkest 0, palest 20)")
    _changes(grid[1], choices[choices["kind"] == "parent"], forms)
    return figure


def plasmas(candidates: pd.DataFrame, choices: pd.DataFrame) -> Figure:
    """Forms of parent plasma: evidence by scan, and what each does to V_T."""
    kept = candidates[(candidates["kind"] == "plasma") & candidates["aicc"].notna()]
    forms = list(dict.fromkeys(kept["form"]))
    figure = new_figure(8.3, 4.1)
    grid = figure.subplots(2, 1, height_ratios=(0.8, 1.15))
    _strip(grid[0], kept, forms, 40)
    grid[0].set_title("AICc above the best form of the scan (white dot; darkest 0, palest 40)")
    _changes(grid[1], choices[choices["kind"] == "plasma"], forms)
    return figure


def _changes(axes: Axes, choices: pd.DataFrame, forms: Sequence[str]) -> None:
    """Change of V_T from the line through the samples: a dot a scan (median over regions)."""
    rng = np.random.default_rng(0)
    for k, form in enumerate(forms):
        for shift, model, colour in ((-0.16, "2tcm", VERMILION), (0.16, "ma1", BLUE)):
            part = choices[(choices["form"] == form) & (choices["model"] == model)]
            value = part.groupby(["person", "session"])["change_percent"].median()
            x = k + shift + rng.uniform(-0.07, 0.07, len(value))
            axes.plot(x, np.clip(value, -30, 30), "o", ms=3, mew=0, alpha=0.7, color=colour)
            axes.plot([k + shift - 0.12, k + shift + 0.12], [value.median()] * 2, color=colour,
                      lw=2)  # fmt: skip
    axes.axhline(0, color=FAINT, zorder=0)
    axes.set_xticks(range(len(forms)), forms)
    axes.set(ylabel="change of $V_T$, %", xlim=(-0.5, len(forms) - 0.5))
    axes.plot([], [], "o", color=VERMILION, label="2TCM")
    axes.plot([], [], "o", color=BLUE, label="MA1")
    axes.legend(loc="lower right", ncols=2)


def one_fit(example: pd.DataFrame) -> Figure:
    """One region of one scan with four fits, and what they leave."""
    figure = new_figure(8.3, 3.0)
    grid = figure.subplots(1, 2)
    grid[0].hlines(example["measured"], example["start"], example["end"], color=INK, lw=2.4,
                   alpha=0.5, label="measured")  # fmt: skip
    shown = (("1tcm", ORANGE), ("2tcm", VERMILION), ("spectral", PURPLE), ("ma1", GREEN))
    for model, colour in shown:
        grid[0].plot(example["mid"], example[model], color=colour, label=NAMES[model])
        left = 100 * (example["measured"] - example[model]) / example[model]
        late = example["mid"] > 2
        grid[1].plot(example["mid"][late], left[late], "o-", ms=3, color=colour)
    grid[0].set(xlabel="minutes", ylabel="kBq/mL", ylim=(0, None), xlim=(0, None))
    grid[0].legend()
    grid[1].axhline(0, color=SOFT, lw=0.8)
    grid[1].set(xlabel="minutes", ylabel="measured less fitted, %", ylim=(-12, 12), xlim=(0, None))
    return figure


def celecoxib(fits: pd.DataFrame) -> Figure:
    """Change of V_T after celecoxib by region and model: six people, mean and 95 % interval."""
    from scipy.stats import t as student

    part = fits[(fits["group"] == "blocking") & (fits["outcome"] == "VT")]
    models = (("2tcm", VERMILION), ("logan", GREEN), ("ma1", BLUE), ("spectral", PURPLE))
    regions = list(dict.fromkeys(part["region"]))
    figure = new_figure(8.3, 3.0)
    axes = figure.add_subplot()
    for j, (model, colour) in enumerate(models):
        for k, region in enumerate(regions):
            own = part[(part["model"] == model) & (part["region"] == region)]
            pair = own.pivot_table(index="person", columns="session", values="value")
            change = 100 * (pair["blocked"] / pair["baseline"] - 1)
            half = student.ppf(0.975, len(change) - 1) * change.std(ddof=1) / np.sqrt(len(change))
            axes.errorbar(k + 0.17 * (j - 1.5), change.mean(), half, fmt="o", ms=3.5, lw=1,
                          color=colour, label=NAMES[model] if k == 0 else None)  # fmt: skip
    axes.axhline(0, color=FAINT, zorder=0)
    axes.set_xticks(range(len(regions)), regions, rotation=30, ha="right")
    axes.set(ylabel="change of $V_T$ after celecoxib, %")
    axes.legend(ncols=4, loc="upper left")
    return figure


def report(fits: pd.DataFrame, scans: pd.DataFrame, candidates: pd.DataFrame,
           choices: pd.DataFrame, weights: pd.DataFrame) -> None:  # fmt: skip
    """Print the numbers that the page quotes."""
    with pd.option_context(
        "display.width", 160, "display.max_columns", 30,
        "display.max_rows", 200, "display.float_format", "{:.3f}".format,
    ):  # fmt: skip
        table = wide(fits)
        print("\nagreement with 2TCM, fits without a flag", agreement(table), sep="\n")
        print("2TCM fits flagged", table.groupby("data")["flagged"].agg(["sum", "size"]), sep="\n")
        print("\nflags", fits.groupby(["data", "model"])["flags"].value_counts(), sep="\n")
        aicc = fits.pivot_table(index=["data", "person", "session", "region"], columns="model",
                                values="aicc")[["1tcm", "2tcm", "2tcm-irreversible"]]  # fmt: skip
        best = aicc.idxmin(axis=1).groupby("data").value_counts()
        print("\nleast AICc among compartment models", best, sep="\n")
        gap = (aicc["1tcm"] - aicc["2tcm"]).groupby("data").describe()
        print("AICc of 1TCM less 2TCM", gap, sep="\n")
        influx = fits[fits["outcome"] == "Ki"].groupby(["data", "model"])["value"].describe()
        print("\nKi", influx, sep="\n")
        runs = fits.groupby(["data", "model"])["runs_p"].agg(lambda p: (p.dropna() < 0.05).mean())
        print("\nshare of regions with structured residuals", runs, sep="\n")
        volumes = fits[fits["outcome"] == "VT"]
        print("\nmedian CV %", (100 * volumes["se"] / volumes["value"]).groupby(
            [volumes["data"], volumes["model"]]).median(), sep="\n")  # fmt: skip
        print("\nscans", scans, sep="\n")
        other = weights.groupby(["data", "model", "weights"])["change_percent"].describe()
        print("\nchange of VT with other weights, %", other, sep="\n")
        trt = retest(fits).groupby(["data", "model"], sort=False)
        print("\nretest, median over regions",
              trt[["n", "trt", "cv_within", "icc", "bias_percent"]].median(), sep="\n")  # fmt: skip
        print("range over regions", trt[["trt", "icc"]].agg(["min", "max"]), sep="\n")
        print("\nWB of pbr28", retest(fits).query("data == 'pbr28' and region == 'WB'"), sep="\n")
        for kind in ("parent", "plasma"):
            own = candidates[candidates["kind"] == kind]
            known = own.dropna(subset=["aicc"])
            first = known.loc[known.groupby(["person", "session"])["aicc"].idxmin(), "form"]
            print(f"\n{kind}: least AICc", first.value_counts(), sep="\n")
            print(own.groupby("form")[["loo_rmse", "auc_percent"]].median())
            part = choices[choices["kind"] == kind]
            scan = part.groupby(["model", "form", "person", "session"])["change_percent"].median()
            print(scan.groupby(["model", "form"]).describe())


def draw(tables: Path, out: Path) -> None:
    """Draw all pictures and print the numbers."""
    read = {path.stem: pd.read_csv(path, sep="\t", na_values="n/a")
            for path in tables.glob("*.tsv")}  # fmt: skip
    fits = read["fits"]
    pictures = {
        "against": lambda: against(fits),
        "delay": lambda: delays(read["scans"]),
        "retest": lambda: reliabilities(fits),
        "parent": lambda: parents(read["candidates"], read["choices"]),
        "plasma": lambda: plasmas(read["candidates"], read["choices"]),
        "fit": lambda: one_fit(read["example"]),
        "celecoxib": lambda: celecoxib(fits),
    }
    for name, make in pictures.items():
        with look():
            figure = make()
            figure.patch.set_facecolor("white")
            path = out / f"pet-real-{name}.svg"
            figure.savefig(path, metadata={"Date": None}, dpi=200)
        # Three digits of a point are enough, and keep the file small.
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(\d+\.\d{2})\d+", r"\1", text), encoding="utf-8")
    report(fits, read["scans"], read["candidates"], read["choices"], read["weights"])
