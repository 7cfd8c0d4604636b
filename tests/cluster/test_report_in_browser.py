"""Reports of real runs in a real browser: figures are drawn, the console is clean, nothing is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.tutorial.discovery import available
from dask_hpc.tutorial.results import load
from tests.support.all_run import AllRun
from tests.support.browser import Browser

pytestmark = [
    pytest.mark.timeout(960),  # the first test waits for all workloads
]

WIDTHS = [1280, 400]
_DRAWN = "return Bokeh.documents.length > 0 && Bokeh.documents.every((one) => one.is_idle)"
_FIGURES = "return document.querySelectorAll('figure').length"
_SMALLEST_TEXT = """
return Math.min(...[...document.body.querySelectorAll("*")].filter((one) => one.childNodes.length &&
  [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && one.tagName !== "SCRIPT")
  .map((one) => parseFloat(getComputedStyle(one).fontSize)));
"""


def opened(browser: Browser, page: Path, width: int, shots: Path) -> None:
    """Open a page, wait for its figures, save a screenshot, and assert that it is complete and readable."""
    browser.open(page.resolve().as_uri(), width=width)
    figures = browser.run(_FIGURES)
    if figures:
        browser.wait_for(_DRAWN)
    browser.screenshot(shots / f"{page.parent.name}-{width}.png")
    assert browser.console() == []
    assert browser.too_wide() == []
    assert browser.run(_SMALLEST_TEXT) >= 11
    drawn = [one for one in browser.canvases() if one["colours"] > 2 and one["height"] > 60]
    assert len(drawn) == figures
    assert all(one["width"] > 0.7 * min(width, 430) - 100 for one in drawn)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("workload", available())
def test_report_is_readable(all_run: AllRun, browser: Browser, tmp_path: Path, workload: str, width: int) -> None:
    """The report draws every figure and has all its headings, on a wide and on a narrow page."""
    page = all_run.results / workload / "latest" / "report.html"
    opened(browser, page, width, tmp_path)
    heads = browser.run("return [...document.querySelectorAll('h2')].map((one) => one.textContent)")
    result = load(page.with_name("result.json"))
    assert heads[:3] == ["Result", "Checks", "Where the time went"]
    assert heads[-1] == "How it was run"
    assert browser.run(_FIGURES) >= len(result.pictures)
    shown = browser.run("return document.body.innerText")
    assert all(job.id in shown for job in result.cluster.jobs)
    assert (result.environment.lock_sha256 or "no lock") in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_overview_is_readable(all_run: AllRun, browser: Browser, tmp_path: Path, width: int) -> None:
    """The overview shows all workloads, and clicking one opens its report."""
    opened(browser, all_run.results / "index.html", width, tmp_path)
    assert browser.run("return document.querySelectorAll('.card').length") == len(available())
    assert browser.run("return document.querySelectorAll('.card .ok').length") == len(available())
    browser.run("document.querySelector('.card a').click()")
    first = next(iter(available()))
    browser.wait_for(f"return document.querySelector('h1').textContent === '{first}'")


def test_task_stream_shows_both_nodes(all_run: AllRun, browser: Browser) -> None:
    """The task stream in the browser has tasks on both nodes, labelled with the nodes' names."""
    browser.open((all_run.results / "monte-carlo-pi/latest/report.html").resolve().as_uri())
    browser.wait_for(_DRAWN)
    lanes = browser.run(
        "return [...Bokeh.index.roots].map((one) => one.model).filter((one) => one.type === 'Figure')"
        ".flatMap((one) => one.renderers).filter((one) => one.data_source.data.lane)"
        ".flatMap((one) => [...one.data_source.data.lane])"
    )
    assert {lane.split(".")[0].split("/")[0] for lane in lanes} == {"c1", "c2"}
