"""The page over many runs: each with its verdict, its time, a picture, and the way to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.tutorial.report import html
from dask_hpc.tutorial.report.pictures import draw_picture
from dask_hpc.tutorial.results import Result

__all__ = ["Entry", "write_overview"]


@dataclass(frozen=True)
class Entry:
    """What became of one workload: `verdict` is ok, failed, refused or not here; `why` says more, without a result."""

    workload: str
    summary: str
    on: str
    verdict: str
    seconds: float
    result: Result | None = None
    why: str = ""


def write_overview(file: Path, entries: Sequence[Entry], *, started: str) -> None:
    """Write the page; raises `OSError` if it cannot be written."""
    figures = {
        f"picture{number}": draw_picture(entry.result.pictures[0], small=True)
        for number, entry in enumerate(entries)
        if entry.result and entry.result.pictures
    }
    cards = "".join(_card(number, entry, file.parent) for number, entry in enumerate(entries))
    failed = sum(entry.verdict not in ("ok", "not here") for entry in entries)
    absent = sum(entry.verdict == "not here" for entry in entries)
    badge = html.verdict("failed" if failed else "ok")
    words = (
        f"{failed} of {len(entries)} did not end well."
        if failed
        else f"{len(entries) - absent} ran, and all checks hold."
    )
    words += f" {absent} cannot run here." if absent else ""
    total = sum(entry.seconds for entry in entries)
    body = (
        f"<header><h1>Workloads</h1>{badge}<p>{words}</p>"
        f'<p class="faint">{started[:19].replace("T", " ")} UTC, {total:.0f} s in all.</p></header>'
        f'<div class="cards">{cards}</div>'
    )
    file.write_text(html.page("Workloads: dask-hpc", body, figures), encoding="utf-8")


def _card(number: int, entry: Entry, folder: Path) -> str:
    name, result = html.text(entry.workload), entry.result
    title = f'<a href="{html.text(_report(result, folder))}">{name}</a>' if result else name
    checks = f"{sum(check.ok for check in result.checks)} of {len(result.checks)} checks hold, " if result else ""
    shown = ""
    if result and result.pictures:
        shown = html.figure(result.pictures[0].title, "{{" + f"picture{number}" + "}}")
    return (
        f'<article class="card"><h3>{title}</h3>{html.verdict(entry.verdict)}<p>{html.words(entry.summary)}</p>'
        f'<p class="faint">{checks}{entry.seconds:.1f} s on {html.text(entry.on)}</p>'
        f"{html.paragraphs([entry.why])}{shown}</article>"
    )


def _report(result: Result, folder: Path) -> str:
    return Path(os.path.relpath(result.folder, folder), "report.html").as_posix()
