"""Every workload on a mini-cluster in one run: all checks pass, and one page links to all reports."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.tutorial.discovery import available
from dask_hpc.tutorial.results import SCHEMA, load
from tests.support.all_run import AllRun, own_folder

pytestmark = [
    pytest.mark.timeout(960),  # the first test waits for all workloads
]

MPI_ONLY = {"dask-mpi", "hybrid-mpi", "mpi-hello"}


def test_all_checks_pass(all_run: AllRun) -> None:
    """Each workload in the folder has run, on Slurm or as an MPI job, and passed all its checks."""
    assert [one["workload"] for one in all_run.entries] == list(available())
    assert [one for one in all_run.entries if one["verdict"] != "ok"] == [], all_run.said
    assert all_run.status == 0, all_run.said
    assert {one["workload"] for one in all_run.entries if one["on"] == "mpi"} == MPI_ONLY
    assert f"{len(all_run.entries)} of {len(all_run.entries)} workloads are ok" in all_run.said


def test_output_in_pipe_is_plain(all_run: AllRun) -> None:
    """In a pipe, the output is one line per workload and one table, without colours, progress or Dask's logs."""
    assert "\x1b" not in all_run.said
    assert "distributed." not in all_run.said
    assert len(all_run.said.splitlines()) < 3 * len(all_run.entries) + 10


def test_every_result_follows_schema(all_run: AllRun) -> None:
    """Each result.json loads, and records where it ran: environment, nodes, jobs and time."""
    for name in available():
        result = load(all_run.results / name / "latest" / "result.json")
        assert result.schema == SCHEMA
        assert result.workload == name
        assert result.ok
        assert result.checks, name
        assert result.environment.lock_sha256
        assert result.cluster.jobs, name
        assert set(result.cluster.nodes) == {"c1", "c2"}, name
        assert result.cluster.tls
        assert result.timings["total"] > 0


class Links(HTMLParser):
    """Targets of a page's links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def test_overview_links_every_report(all_run: AllRun) -> None:
    """index.html links to each workload's report, each report to its result.json, and all links exist."""
    index = all_run.results / "index.html"
    reports = [index.parent / link for link in Links(index.read_text()).found]
    assert len(reports) == len(available())
    for report in reports:
        links = Links(report.read_text()).found
        assert links == ["result.json"]
        assert (report.parent / links[0]).is_file()


def test_runs_leave_nothing_behind(all_run: AllRun, slurm_sim: Any) -> None:
    """No job, credential or process of the runs is left."""
    assert slurm_sim.exec("squeue", "-h").stdout == ""
    assert own_folder(slurm_sim) == all_run.before
    assert slurm_sim.exec("pgrep", "-u", "hpc", "python", check=False).stdout == ""


def test_reports_are_smaller_than_3_mib(all_run: AllRun) -> None:
    """Every page is smaller than 3 MiB, most of which is Bokeh's script."""
    sizes = {str(file): file.stat().st_size for file in Path(all_run.results).rglob("*.html")}
    assert {name: size for name, size in sizes.items() if size > 3 << 20} == {}
