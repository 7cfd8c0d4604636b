"""The overview of many runs: each with its verdict, time, a picture, and a link to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.tutorial.report.figures.pictures import draw_picture
from dask_hpc.tutorial.report.render import render
from dask_hpc.tutorial.results import Result


@dataclass(frozen=True)
class Entry:
    """The outcome of one workload: `verdict` is ok, failed, refused or not here; `why` explains a missing result."""

    workload: str
    summary: str
    on: str
    verdict: str
    seconds: float
    result: Result | None = None
    why: str = ""


@dataclass(frozen=True)
class _Card:
    """An entry, the link to its report, and the name of its figure; both are empty if missing."""

    entry: Entry
    report: str
    figure: str


def write_overview(file: Path, entries: Sequence[Entry], *, started: str) -> None:
    """Write the page; raise `OSError` if it cannot be written."""
    cards = [_card(number, entry, file.parent) for number, entry in enumerate(entries)]
    page = render(
        "overview.html.j2",
        figures={
            card.figure: draw_picture(card.entry.result.pictures[0], small=True)
            for card in cards
            if card.entry.result and card.figure
        },
        title="Workloads: dask-hpc",
        cards=cards,
        failed=sum(entry.verdict not in ("ok", "not here") for entry in entries),
        absent=sum(entry.verdict == "not here" for entry in entries),
        seconds=sum(entry.seconds for entry in entries),
        started=started,
    )
    file.write_text(page, encoding="utf-8")


def _card(number: int, entry: Entry, folder: Path) -> _Card:
    if entry.result is None:
        return _Card(entry, report="", figure="")
    report = Path(os.path.relpath(entry.result.folder, folder), "report.html").as_posix()
    return _Card(entry, report=report, figure=f"picture{number}" if entry.result.pictures else "")
