"""The report's pages as HTML; tests/cluster looks at them in a browser."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dask
import msgspec
import pytest

from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.identity import Identity
from dask_hpc.tutorial import Bars, Check, Grid, Lines, Picture, Points
from dask_hpc.tutorial.report.overview import Entry, write_overview
from dask_hpc.tutorial.report.page import Seen, write_report
from dask_hpc.tutorial.report.task_stream import Span, Stream
from dask_hpc.tutorial.results import Result
from tests.support.results import make_result

PICTURES: list[Picture] = [
    Lines("Curves", "n", "s", {"a": ([1, 10], [0.5, 0.1]), "b": ([1, 10], [0, math.nan])}, log_x=True, log_y=True),
    Bars("Bytes", "bytes", {"from the client, with everything that belongs to it": 5e9, "none": 0}),
    Grid("Times", [[1.0, 2.0], [3.0, math.nan]], "column", "row", [["1", "2"], ["3", ""]]),
    Points("Spectrum", "re", "im", {"eigenvalues": ([0.1, 0.2], [0.0, -0.1])}),
]


def result(folder: Path, **changed: Any) -> Result:
    fields: dict[str, Any] = {
        "workload": "squares",
        "summary": "Square <numbers>.",
        "started": "2026-01-02T03:04:05+00:00",
        "timings": {"total": 2.0},
        "checks": [Check("they are squares", True, "9 == 9")],
        "table": {"columns": ["", "value"], "rows": [["<script>alert(1)</script>", "9"]]},
        "notes": ["A note & more."],
        "pictures": PICTURES,
        "cluster": ClusterFacts(
            kind="slurm", workers=2, threads=2, nodes=["c1", "c2"], tls=True, jobs=[Job("17", "c1")]
        ),
        "environment": Identity(lock_sha256="f" * 64),
        "versions": {"python": "3.13"},
    }
    return make_result(folder, **fields | changed)


def seen() -> Seen:
    spans = [
        Span(lane=0, name="square", action="compute", start=0.1, stop=0.5),
        Span(lane=1, name="sum", action="transfer", start=0.5, stop=0.6),
    ]
    graph = dask.delayed(sum)([dask.delayed(abs)(number) for number in range(3)])
    return Seen(Stream(seconds=1.0, lanes=["c1.1", "c2.1"], spans=spans, tasks=2), graph)


class Tags(HTMLParser):
    """Collect every URL that a page would fetch, and its open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name == "src" or (name == "href" and tag == "link")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_report_is_complete_and_self_contained(tmp_path: Path) -> None:
    """The page has all facts of the run, closes its tags, and fetches nothing."""
    write_report(tmp_path / "report.html", result(tmp_path), seen())
    page = (tmp_path / "report.html").read_text()
    assert read(page).fetched == ["data:,"]
    assert not re.findall(r"""(?:src|@import|url\()\s*=?\s*["']?(?:https?:)?//""", page.partition("<script>")[0])
    words = ("they are squares", "17 on c1", "f" * 64, "A note &amp; more.", "c1, c2", "Task stream", "Task graph")
    assert [word for word in words if word not in page] == []
    assert "{{" not in page.partition("<script>")[0]


def test_report_escapes_text(tmp_path: Path) -> None:
    """Text that looks like HTML is shown, not executed."""
    write_report(tmp_path / "report.html", result(tmp_path, pictures=[]), Seen())
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page, "without figures there is nothing to execute"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Square &lt;numbers&gt;." in page


def test_report_shows_failed_check(tmp_path: Path) -> None:
    """The head of the page and the check itself are marked as failed."""
    failed = result(tmp_path, ok=False, checks=[Check("holds", False, "it does not")], pictures=[])
    write_report(tmp_path / "report.html", failed, Seen())
    page = (tmp_path / "report.html").read_text()
    assert page.count('<span class="verdict failed">failed</span>') == 2
    assert "it does not" in page


def test_overview_links_reports(tmp_path: Path) -> None:
    """Every workload is on the page: with a link to its report, or with the reason why it did not run."""
    ran = result(tmp_path / "squares" / "now")
    entries = [
        Entry("squares", "Square.", "slurm", "ok", 2.0, result=ran),
        Entry("cubes", "Cube.", "slurm", "failed", 0.1, why="No <memory>."),
    ]
    write_overview(tmp_path / "index.html", entries, started="2026-01-02T03:04:05+00:00")
    page = (tmp_path / "index.html").read_text()
    assert read(page).fetched == ["data:,"]
    assert '<a href="squares/now/report.html">squares</a>' in page
    assert "No &lt;memory&gt;." in page
    assert "1 of 2 failed or were refused." in page


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: type(picture).__name__)
def test_pictures_survive_result_json(tmp_path: Path, picture: Picture) -> None:
    """A picture is read back from result.json; NaN becomes None."""
    kept = result(tmp_path, pictures=[picture])
    again = msgspec.json.decode(msgspec.json.encode(kept), type=Result)
    assert again == kept
    assert type(again.pictures[0]) is type(picture)


@pytest.mark.parametrize(
    "picture",
    [
        Lines("None", "x", "y", {}),
        Lines("Zero", "x", "y", {"a": ([], [])}, log_y=True),
        Bars("None", "y", {}),
        Bars("Zero", "y", {"a": 0}),
        Bars("Minus", "y", {"a": -1.0, "b": 2}),
        Grid("None", []),
        Grid("One", [[7]]),
        Grid("Uneven", [[1], [2, 3]]),
        Points("None", "x", "y", {}),
    ],
    ids=lambda picture: f"{type(picture).__name__}-{picture.title}",
)
def test_draws_pictures_with_little_data(tmp_path: Path, picture: Picture) -> None:
    """A picture is drawn without values, with a single one, with zero and with negative ones."""
    write_report(tmp_path / "report.html", result(tmp_path, pictures=[picture]), Seen())
    assert picture.title in (tmp_path / "report.html").read_text()
