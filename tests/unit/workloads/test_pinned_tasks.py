"""The workload pinned-tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from dask_hpc.tutorial import Workload
from dask_hpc.tutorial.discovery import load
from tests.support.hpc_command import refused
from workloads import pinned_tasks as script
from workloads.checks.pinned_tasks import held
from workloads.pinned_tasks import Held, main, random_matrix


@pytest.fixture(autouse=True)
def fast_memory_manager(two_workers: Client) -> Iterator[None]:
    """Let the memory manager run every 50 ms, not every 2 s."""
    manager = two_workers.cluster.scheduler.extensions["amm"]
    before = manager.interval
    manager.interval = 0.05
    two_workers.amm.stop()
    two_workers.amm.start()
    yield
    manager.interval = before
    two_workers.amm.stop()
    two_workers.amm.start()


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(script.__file__))


@pytest.mark.parametrize("n", [1, 100])
def test_passes_all_checks(two_workers: Client, workload: Workload, n: int) -> None:
    """There are two copies without the memory manager and one with it, and tasks run on their workers."""
    assert two_workers.amm.running()
    outcome = workload.checks.run(two_workers, n=n, seed=4)
    assert [check for check in outcome.checks if not check.ok] == []
    assert outcome.values["copies_while_stopped"] == 2
    assert outcome.values["copies_with_manager"] == 1
    assert two_workers.amm.running()


def test_leaves_memory_manager_stopped(two_workers: Client, workload: Workload) -> None:
    """The workload starts a stopped memory manager for a while, and stops it again."""
    two_workers.amm.stop()
    try:
        outcome = workload.checks.run(two_workers, n=10, seed=5)
        assert all(check.ok for check in outcome.checks)
        assert not two_workers.amm.running()
    finally:
        two_workers.amm.start()


def test_checks_detect_faults(two_workers: Client) -> None:
    """A copy too many or too few, a task on the other worker, and a wrong number each fail a check."""
    matrix = random_matrix(10, 1)
    with two_workers.as_current():
        run = main(two_workers, n=10, seed=1)

    def failed(seen: list[Held], results: list[float]) -> int:
        checks = held(replace(run, seen=seen, results=results), matrix)
        return sum(not check.ok for check in checks)

    assert failed(run.seen, run.results) == 0
    assert failed(run.seen, [*run.results[1:], 0.0]) == 1
    assert [check.name for check in held(replace(run, stopped=False), matrix) if not check.ok] == [
        "the memory manager is stopped"
    ]
    both = frozenset(run.addresses)
    none = frozenset[str]()
    for number, one in enumerate(run.seen):
        wrong = none if one.workers == both else both
        changed = [*run.seen[:number], replace(one, workers=wrong), *run.seen[number + 1 :]]
        assert failed(changed, run.results) == 1, one.what


def test_rejects_single_worker(tmp_path: Path) -> None:
    """`dask-hpc run` rejects a single worker before anything starts."""
    said = refused("run", "pinned-tasks", "--workers", "1", "--results", str(tmp_path / "results"))
    assert "pinned-tasks needs at least 2 workers" in said
    assert "Planned: 1" in said
    assert not (tmp_path / "results").exists()
