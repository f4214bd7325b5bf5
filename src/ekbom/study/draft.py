"""A first plan for what the data hold, with comments."""

from __future__ import annotations

import csv
from collections import Counter

from ekbom.nouns import BidsFile
from ekbom.study.index import Study
from ekbom.study.readers import read_text
from ekbom.study.tables import GROUPS, Source, read_sources

_AFTER = ("blocked", "retest", "post", "treated", "treatment", "followup", "drug", "2", "02")
_NOT_REGIONS = ("frame_start", "frame_end", "frame_duration", "frame_mid", "time", "duration")


def draft(study: Study) -> str:
    """Return a commented plan.

    Parameters
    ----------
    study : Study
        The opened study.

    Returns
    -------
    str
        TOML that `Plan.read` accepts.
    """
    sources = read_sources(study)
    lines = [*_head(study, sources), "", *_measures(study), "", *_questions(study, sources)]
    return "\n".join(lines) + "\n"


def _head(study: Study, sources: list[Source]) -> list[str]:
    name = " ".join(str(study.description.get("Name", "unnamed study")).split())
    sessions = study.sessions()
    lines = [
        f"# {name}",
        f"# {len(study.participants)} participants"
        + (f", sessions: {', '.join(sessions)}" if sessions else ", no sessions"),
    ]
    if study.tracers():
        lines.append(f"# tracers (trc-): {', '.join(study.tracers())}")
    tracers = sorted(
        {
            str(study.metadata(file).get("TracerName", "")).strip()
            for file in study.find(suffix="pet", scope="raw")
        }
        - {""}
    )
    if tracers:
        lines.append(f"# TracerName: {', '.join(tracers)}")
    if study.derivatives():
        lines.append(f"# derivatives: {', '.join(study.derivatives())}")
    for source in sources:
        lines.append(
            f"# {study.relative(source.file)}: {', '.join(source.columns) or 'no columns'}"
        )
        if "group" in source.columns:
            counts = Counter(str(v) for v in source.frame["group"] if v is not None)
            said = ", ".join(f"{k} {n}" for k, n in sorted(counts.items()))
            lines.append(f"#   group: {said}")
            if not set(counts) <= set(GROUPS):
                lines.append("#   the words must be rls and control before a formula can use them")
    lines += [
        "# A number of any other TSV can be asked about when the file is listed here:",
        '# tables = ["derivatives/other/vt.tsv"]',
        '# and then, in a question: outcome = "table:derivatives/other/vt.tsv:VT"',
    ]
    return lines


def _measures(study: Study) -> list[str]:
    curves = study.find(suffix="tacs", extension=".tsv")
    pet = study.find(suffix="pet", scope="raw") or curves
    if not pet:
        return ["# No PET was found; questions about tables need no measure.", "# [measures.pet]"]
    blood = study.find(suffix="blood", extension=".tsv", scope="raw")
    lines = [
        "[measures.pet]",
        'model = ["ma1", "2tcm"]         # 1tcm, 2tcm, logan, ma1; each gives its own V_T',
        "tstar = 30                      # minutes; logan and ma1 use frames from here on",
        "vB = 0.05                       # blood volume where the model cannot estimate it",
        'input = "interpolate"           # the input function that gives V_T',
    ]
    if not blood:
        lines.append("# No blood was found (*_blood.tsv): models with a plasma input will refuse.")
    for segmentation, regions in _segmentations(curves).items():
        shown = ", ".join(regions[:6]) + (f" ... {len(regions)} in all" if len(regions) > 6 else "")
        lines += [
            "",
            f"# Regional curves: {segmentation} ({shown})",
            "# Regions can be joined, weighted by volume; patterns are allowed:",
            f"# [measures.pet.regions.{_key(segmentation)}]",
        ]
        pair = _pair(regions)
        if pair:
            lines.append(f'# {pair[0]} = ["{pair[1]}"]')
    lines += [
        "",
        "# A scan with faulty blood is refused by name. What may be done about it is allowed for",
        "# that scan only, and every answer is then given with and without that person:",
        "# [measures.pet.scans.sub-01_ses-x]",
        "# blood.sort = true",
    ]
    return lines


def _segmentations(curves: list[BidsFile]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in curves:
        name = file.entities.get("seg") or file.entities.get("desc") or "tacs"
        if name not in found:
            header = next(csv.reader(read_text(file.path).splitlines()[:1], delimiter="\t"), [])
            found[name] = [c for c in header if c not in _NOT_REGIONS]
    return found


def _pair(regions: list[str]) -> tuple[str, str] | None:
    """A region that has a left and a right one, and the pattern of both."""
    for region in regions:
        for left, right in (("Left-", "Right-"), ("L_", "R_"), ("lh-", "rh-")):
            if region.startswith(left) and right + region.removeprefix(left) in regions:
                bare = region.removeprefix(left)
                return _key(bare.lower()), f"*{bare}"
    return None


def _key(text: str) -> str:
    return text if text.replace("_", "").replace("-", "").isalnum() else f'"{text}"'


def _questions(study: Study, sources: list[Source]) -> list[str]:
    """Return questions the data could answer, commented out but for none."""
    curves = _segmentations(study.find(suffix="tacs", extension=".tsv"))
    segmentation = next(iter(curves), None)
    about = ['outcome = "pet.VT"', 'method = ["ma1", "2tcm"]       # one answer each']
    if not study.find(suffix="pet", scope="raw") and not curves:
        about = ['outcome = "table:participants.tsv:COLUMN"']
    elif segmentation is not None:
        about.append(f'segmentation = "{segmentation}"')
        about.append(
            "# regions = [...]               # the family of the correction; all by default"
        )
    lines = [
        "# Questions: take away the # of those you ask. An effect is asked for by name, and it is",
        "# tested two-sided unless you say sign. `ekbom plan check` tells what names there are.",
    ]
    names = {column for source in sources for column in source.columns}
    covariates = " + ".join(c for c in ("age", "sex") if c in names)
    if "group" in names:
        lines += _one(
            "group",
            about,
            f'model = "~ group{" + " + covariates if covariates else ""}"',
            'test = "rls - control"',
        )
    severity = next((c for c in sorted(names) if "irls" in c.lower()), None)
    if severity:
        lines += _one(
            "severity",
            [*about, "among = \"group == 'rls'\""] if "group" in names else about,
            f'model = "~ {severity}{" + age" if "age" in names else ""}"',
            f'test = "{severity}"',
        )
    for first, second in _session_pairs(study):
        among = f"among = \"session in ['{first}', '{second}']\""
        if second == "retest":
            lines += _one("retest", [*about, among], 'kind = "reliability"')
        else:
            lines += _one(
                second,
                [*about, among],
                'model = "~ session + participant"',
                f'test = "session: {second} - {first}"',
            )
    if len(lines) == 2:
        model = f"~ {covariates.split(' + ')[0]}" if covariates else "~ 1"
        test = covariates.split(" + ")[0] if covariates else "intercept"
        lines += _one("first", about, f'model = "{model}"', f'test = "{test}"')
    return lines


def _one(name: str, *parts: list[str] | str) -> list[str]:
    flat = [line for part in parts for line in ([part] if isinstance(part, str) else part)]
    flat.append('inference = { method = "max-t", permutations = 10000 }')
    if 'kind = "reliability"' in flat:
        flat.pop()
    return ["", f"# [questions.{_key(name)}]", *(f"# {line}" for line in flat)]


def _session_pairs(study: Study) -> list[tuple[str, str]]:
    """Pairs of sessions that the same people have, the earlier one first."""
    pairs: Counter[tuple[str, str]] = Counter()
    for participant in study.participants:
        mine = study.sessions(participant)
        mine.sort(key=lambda s: (s.lower() in _AFTER, s))
        if len(mine) == 2:
            pairs[mine[0], mine[1]] += 1
    return [pair for pair, count in pairs.items() if count > 1]
