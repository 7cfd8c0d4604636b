"""Every workload on a mini-cluster, in one go: all their checks hold, and one page leads to all reports."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.discovery import available
from dask_hpc.results import SCHEMA, load
from tests.support.all_run import AllRun, own_folder

pytestmark = [
    pytest.mark.timeout(960),  # whichever test is first waits for all the workloads
]

MPI_ONLY = {"dask-mpi", "hybrid-mpi", "mpi-hello"}


def test_all_checks_are_green(all_run: AllRun) -> None:
    """Each workload of the folder has run, on Slurm or as an MPI job, and none of its checks has failed."""
    assert [one["workload"] for one in all_run.entries] == list(available())
    assert [one for one in all_run.entries if one["verdict"] != "ok"] == [], all_run.said
    assert all_run.status == 0, all_run.said
    assert {one["workload"] for one in all_run.entries if one["on"] == "mpi"} == MPI_ONLY
    assert f"{len(all_run.entries)} of {len(all_run.entries)} workloads are ok" in all_run.said


def test_the_output_in_a_pipe_is_quiet(all_run: AllRun) -> None:
    """A line a workload and one table: no colours, no progress, nothing that Dask logs."""
    assert "\x1b" not in all_run.said
    assert "distributed." not in all_run.said
    assert len(all_run.said.splitlines()) < 3 * len(all_run.entries) + 10


def test_every_result_is_of_the_schema(all_run: AllRun) -> None:
    """Each result.json is read back, and says where it ran: environment, nodes, jobs, time."""
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
    """Where a page leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def test_the_overview_leads_to_every_report(all_run: AllRun) -> None:
    """index.html links a report for each workload, and a report its result.json; all of them are there."""
    index = all_run.results / "index.html"
    reports = [index.parent / link for link in Links(index.read_text()).found]
    assert len(reports) == len(available())
    for report in reports:
        links = Links(report.read_text()).found
        assert links == ["result.json"]
        assert (report.parent / links[0]).is_file()


def test_nothing_is_left(all_run: AllRun, slurm_sim: Any) -> None:
    """No job, no credential and no process of the runs remains."""
    assert slurm_sim.exec("squeue", "-h").stdout == ""
    assert own_folder(slurm_sim) == all_run.before
    assert slurm_sim.exec("pgrep", "-u", "hpc", "python", check=False).stdout == ""


def test_a_report_is_no_larger_than_it_must_be(all_run: AllRun) -> None:
    """Bokeh's script is most of a page, which stays below 3 MiB."""
    sizes = {str(file): file.stat().st_size for file in Path(all_run.results).rglob("*.html")}
    assert {name: size for name, size in sizes.items() if size > 3 << 20} == {}
