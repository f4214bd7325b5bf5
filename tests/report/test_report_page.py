"""The page as a whole: the same every time, self-contained, complete, safe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ekbom import virtual
from ekbom.errors import Refused
from ekbom.measures.pet.delay import Delay
from ekbom.measures.pet.qc import delay_figure
from ekbom.report import render
from ekbom.virtual import sidecars

from . import example_out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_out.make(tmp_path_factory.mktemp("report") / "out")


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    return render(out).decode("utf-8")


class Reader(HTMLParser):
    """Collects elements, ids, texts, cells and whether tags are balanced."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.captions: list[str] = []
        self.inside_caption = False
        self.raw = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {k: v or "" for k, v in attrs}
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in told.items()]
        if "id" in told:
            self.ids.append(told["id"])
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.captions.append("")
        if tag == "caption":
            self.inside_caption = True
        if tag == "tr" and self.tables:
            self.tables[-1].append([])
        if tag in {"td", "th"} and self.tables and "table" in self.open:
            self.tables[-1][-1].append((told.get("data-v", ""), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()
        if tag == "caption":
            self.inside_caption = False

    def handle_data(self, data: str) -> None:
        if self.inside_caption:
            self.captions[-1] += data
        elif self.tables and self.open and "table" in self.open and {"td", "th"} & set(self.open):
            value, text = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (value, text + data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_same_bytes_here_and_elsewhere(out: Path, page: str) -> None:
    assert render(out) == page.encode()
    code = "import sys; from pathlib import Path; from ekbom.report import render;"
    code += "sys.stdout.buffer.write(render(Path(sys.argv[1])))"
    env = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    made = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, env=env)
    assert made.returncode == 0, made.stderr.decode()
    assert made.stdout == page.encode()


def test_nothing_is_fetched(page: str) -> None:
    for tag, name, value in read(page).attributes:
        if name in {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}:
            assert value.startswith(("#", "data:")), (tag, name, value[:80])
        if name == "style":
            assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", value)
    styles = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert not any("@import" in s or "http" in s or "url(" in s for s in styles[:1])
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert scripts
    assert not any(
        word in s for s in scripts for word in ("fetch(", "XMLHttpRequest", "import(", "http")
    )
    assert "example.org" not in page  # metadata of a figure


def test_sound_html(page: str) -> None:
    reader = read(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    known = set(reader.ids)
    links = {v[1:] for _, k, v in reader.attributes if k == "href" and v.startswith("#")}
    assert links <= known
    assert reader.tags.count("h1") == 1
    images = [k for t, k, _ in reader.attributes if t == "img" and k == "alt"]
    assert len(images) == reader.tags.count("img") > 0
    drawn = [v for t, k, v in reader.attributes if t == "svg" and k == "aria-label"]
    assert len(drawn) == reader.tags.count("svg") > 8
    assert all(drawn)


def test_everything_is_named(out: Path, page: str) -> None:
    for question in ("celecoxib", "group", "severity", "retest", "severityMap"):
        assert f'id="question-{question}"' in page
    refused = pd.read_csv(out / "refused.tsv", sep="\t").iloc[0]
    for field in ("what", "file", "field", "found", "expected", "mend"):
        assert str(refused[field]) in page
    for words in (
        "lower when blocked than at baseline",
        "Rows 3 and 4 were put in order",
        "With and without the scans that needed a permission: sub-02 blocked",
        "Bland–Altman",
        "ICC(3,1)",
        "doi:10.2307/1391660",
        "Not medical advice",
        "Left out: sub-13 retest",
        "Thalamus medial",
        "In full: logan",
    ):
        assert words in page, words
    for person in range(1, 7):
        assert f'id="scan-sub-{person:02d}ses-baseline"' in page


def test_the_short_answer_names_what_is_significant(out: Path, page: str) -> None:
    place = out / "group" / "question-celecoxibMa1"
    frame = pd.read_csv(next(place.glob("*Baseline_regions.tsv")), sep="\t")
    hits = frame[frame["p_maxT"] < 0.05]
    assert 0 < len(hits) < len(frame)
    brief = page[page.index('id="brief"') : page.index('id="run"')]
    words = brief[brief.index("#question-celecoxib") : brief.index("#question-group")]
    for region in frame["region"].str.removeprefix("gtmseg:"):
        assert (f"{region} (" in words) == (f"gtmseg:{region}" in set(hits["region"]))


def test_pictures_of_scans_are_what_they_were(out: Path, page: str) -> None:
    from urllib.parse import unquote
    from xml.etree import ElementTree

    sources = [v for t, k, v in read(page).attributes if t == "img" and k == "src"]
    assert len(sources) == 12
    root = ElementTree.fromstring(unquote(sources[0].split(",", 1)[1]))
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert texts == ["sub-01_ses-baseline"]


def test_methods_are_in_the_order_of_the_plan(page: str) -> None:
    assert page.index("In full: ma1") < page.index("In full: logan")


def test_numbers_are_those_of_the_tables(out: Path, page: str) -> None:
    reader = read(page)
    folder = out / "group" / "question-severity"
    frame = pd.read_csv(folder / "desc-irlsTotal_regions.tsv", sep="\t")
    wanted = "irls_total per region"
    grids = [t for t, c in zip(reader.tables, reader.captions, strict=True) if c.startswith(wanted)]
    assert len(grids) == 1
    head = [text for _, text in grids[0][0]]
    rows = grids[0][1:]
    assert len(rows) == len(frame)
    assert head[:3] == ["Region", "Effect", "95 % CI"]
    for row, (_, true) in zip(rows, frame.iterrows(), strict=True):
        assert f"gtmseg:{row[0][1]}" == true["region"]
        assert float(row[1][0]) == true["effect"]
        low, high = map(float, row[2][0].split())
        assert (low, high) == (true["ci_low"], true["ci_high"])
        shown = row[head.index("pmax-T")]
        assert float(shown[0]) == true["p_maxT"]
        text = row[1][1].replace("−", "-")
        assert abs(float(text) - true["effect"]) <= 0.5 * 10 ** -len(text.split(".")[1]) + 1e-12


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    out = example_out.make(tmp_path / "out", hostile=True)
    refused = pd.read_csv(out / "refused.tsv", sep="\t")
    refused["what"] = example_out.HOSTILE
    refused["participant_id"] = 'sub-"><img src=x onerror=alert(1)>'
    example_out.tsv(out / "refused.tsv", refused)
    scan = out / "sub-01" / "ses-baseline" / "figures" / "sub-01_ses-baseline_desc-blood_qc.json"
    scan.write_text('{"Caption": "\\" onload=\\"alert(1)\\" </figure><script>alert(2)</script>"}')
    figure = scan.with_suffix(".svg")
    figure.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(3)"><script>x</script></svg>'
    )
    page = render(out).decode()
    reader = read(page)
    assert reader.tags.count("script") == page.count("<script")
    assert "<script>alert" not in page
    assert not [a for a in reader.attributes if a[1].startswith("on")]
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    "gone",
    [
        "dataset_description.json",
        "plan.json",
        "plan.toml",
        "measures.tsv",
        "notes.tsv",
        "refused.tsv",
        "group/question-severity/answer.json",
        "group/question-severity/desc-irlsTotal_regions.tsv",
        "group/question-severity/desc-irlsTotal_regions.json",
        "group/question-severity/desc-irlsTotal_values.tsv",
        "group/question-severity/desc-irlsTotal_methods.txt",
        "group/question-retestMa1/desc-testRetest_values.tsv",
        "group/question-severityMap/desc-irlsTotal_peaks.tsv",
        "group/question-severityMap/space-*_pmap-fweMaxT_statmap.nii.gz",
        "group/question-severityMap/space-*_stat-t_statmap.nii.gz",
    ],
)
def test_a_file_may_be_missing(out: Path, tmp_path: Path, gone: str) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    hits = list(copy.glob(gone))
    assert hits
    for hit in hits:
        hit.unlink()
    # Only what this file is part of is drawn again: the rest was tested above.
    for folder in (copy / "group").iterdir():
        if folder.name not in gone and not gone.startswith(("plan.json", "refused")):
            shutil.rmtree(folder)
    if gone.startswith("group"):
        (copy / "measures.tsv").unlink()
    page = render(copy).decode()
    assert read(page).open == []


def test_only_measurements(out: Path, tmp_path: Path) -> None:
    (tmp_path / "measures.tsv").write_bytes((out / "measures.tsv").read_bytes())
    page = render(tmp_path).decode()
    assert "No question has been answered" in page
    assert read(page).open == []


def test_no_folder_and_no_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as no:
        render(tmp_path / "nowhere")
    assert "nowhere" in str(no.value)
    (tmp_path / "README").write_text("x")
    with pytest.raises(Refused) as no:
        render(tmp_path)
    assert "README" in str(no.value)


def test_damaged_json_is_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "measures.tsv").write_bytes((out / "measures.tsv").read_bytes())
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(Refused) as no:
        render(tmp_path)
    assert "plan.json" in str(no.value)


def test_refused_questions_are_told(out: Path, tmp_path: Path) -> None:
    (tmp_path / "measures.tsv").write_bytes((out / "measures.tsv").read_bytes())
    row = {"participant_id": None, "session_id": None, "run_id": None, "measure": "question typo"}
    rest = {"what": "There is no column irl_total.", "file": "plan.toml", "field": "model"}
    example_out.tsv(tmp_path / "refused.tsv", pd.DataFrame([{**row, **rest}]))
    page = render(tmp_path).decode()
    assert "1 question refused" in page
    brief = page[page.index('id="brief"') : page.index('id="run"')]
    assert "There is no column irl_total." in brief
    assert "scan refused" not in page


def test_command_writes_the_same(out: Path, page: str, tmp_path: Path) -> None:
    from ekbom.cli.app import call

    place = tmp_path / "again.html"
    assert call(["report", str(out), "--to", str(place)]) == 0
    assert place.read_text("utf-8") == page
    assert call(["report", str(tmp_path / "nowhere")]) == 2


def test_captions_hold_no_nan_and_titles_say_simulated_once() -> None:
    t = np.linspace(-1.0, 1.0, 5)
    flagged = Delay(0.0, float("nan"), t, 1.0 + t**2, "delay_flat", 0.1)
    found = Delay(0.1, 0.05, t, 1.0 + t**2, "", 0.1)
    assert "SE" not in delay_figure(flagged).caption
    assert "6.0 s (SE 3.0 s)." in delay_figure(found).caption
    name = sidecars.description(virtual.load("demo"), "quick", 1)["Name"]
    assert name.lower().count("simulated") == 1
