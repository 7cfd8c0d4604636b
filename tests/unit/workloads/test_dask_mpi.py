"""The workload dask-mpi: the sum of squares, and the resources per node."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.tutorial.discovery import available, load
from workloads import dask_mpi as script
from workloads.checks.dask_mpi import Given, by_node, report, scheduler_of, slurm_gave, sum_of_squares, within

MIB = 1 << 20


@given(st.integers(1, 2000))
def test_formula_equals_sum(n: int) -> None:
    """The expected value is the sum of the squares."""
    assert sum_of_squares(n) == sum(script.square(number) for number in range(n))


def test_outcome_without_mpi(two_workers: Client) -> None:
    """Without MPI, the workers square each number once, and only the check of the ranks fails."""
    with two_workers.as_current():
        outcome = load(Path(script.__file__)).checks.run(two_workers, n=30)
    assert sum(int(row[4]) for row in outcome.rows) == 30
    assert set(outcome.timings) == {"squares"}
    assert [check.name for check in outcome.checks if not check.ok] == ["every other rank is a worker"]


def test_workload_does_not_shadow_dask_mpi() -> None:
    """The file is loaded under another name than `dask_mpi`, so `import dask_mpi` finds the package."""
    loaded = load(available(Path(script.__file__ or "").parent)["dask-mpi"])
    assert loaded.name == "dask-mpi"
    assert loaded.checks.backends == frozenset({"mpi"})
    named = sys.modules.get("dask_mpi")
    assert named is None or named.__file__ != script.__file__


@pytest.mark.parametrize(
    ("slurm", "cpus", "memory"),
    [
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "2048"}, 4, 2048 * MIB),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "512"}, 4, 2048 * MIB),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "0"}, 4, None),
        ({"SLURM_CPUS_ON_NODE": "4"}, 4, None),
        ({}, None, None),
    ],
)
def test_reads_allocation_from_environment(slurm: dict[str, str], cpus: int | None, memory: int | None) -> None:
    """CPUs and memory of a job on a node come from Slurm's variables; unset variables are unknown."""
    assert slurm_gave(slurm) == {"cpus": cpus, "memory": memory}


def two_nodes(threads: int = 1, limit: int = 512 * MIB) -> dict[str, Given]:
    """Return two workers on each of two nodes, which have 2 CPUs and 1024 MiB."""
    slurm = {"SLURM_CPUS_ON_NODE": "2", "SLURM_MEM_PER_NODE": "1024"}
    workers: dict[str, dict[str, Any]] = {}
    said = {}
    for number in range(4):
        node = f"c{number % 2 + 1}"
        workers[f"a{number}"] = {"nthreads": threads, "memory_limit": limit}
        said[f"a{number}"] = {"host": node, "slurm": slurm}
    return by_node(workers, said)


def test_resources_add_up_by_node() -> None:
    """The threads and memory of two workers on a node add up to Slurm's allocation."""
    nodes = two_nodes()
    assert nodes["c1"] == {"workers": 2, "threads": 2, "limit": 1024 * MIB, "cpus": 2, "memory": 1024 * MIB}
    assert within(nodes, "threads", "cpus")
    assert within(nodes, "limit", "memory")


def test_detects_workers_that_each_claim_whole_node() -> None:
    """With dask-mpi alone, every worker claims all cores and all memory."""
    nodes = two_nodes(threads=2, limit=1024 * MIB)
    assert not within(nodes, "threads", "cpus")
    assert not within(nodes, "limit", "memory")


def test_compares_nothing_without_slurm() -> None:
    """Without a limit from Slurm, none is exceeded."""
    nodes = by_node({"a": {"nthreads": 64, "memory_limit": 1}}, {"a": {"host": "here", "slurm": {}}})
    assert list(nodes) == ["here"]
    assert within(nodes, "threads", "cpus")


def test_reads_address_from_scheduler_file(tmp_path: Path) -> None:
    """The address comes from the file; without a file there is none."""
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tls://10.0.0.1:8786"}))
    assert scheduler_of(str(file)) == "tls://10.0.0.1:8786"
    assert scheduler_of(None) is None


def test_report_has_row_per_worker() -> None:
    """A row has name, host, threads, memory and the number of tasks."""
    workers = {"a": {"name": "rank-1", "nthreads": 1, "memory_limit": 512 * MIB}}
    outcome = report(
        two_nodes(), Counter({"a": 10}), workers, hosts={"a": "c1"}, world=2, timings={"squares": 0.5}, held=[]
    )
    assert outcome.rows == [["rank-1", "c1", "1", "512.00 MiB", "10"]]
    assert outcome.values["tasks_per_second"] == 20
