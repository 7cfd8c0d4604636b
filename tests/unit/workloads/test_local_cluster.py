"""The workload local-cluster."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from dask_hpc.tutorial import Workload
from dask_hpc.tutorial.discovery import load
from workloads import local_cluster as local

SETTINGS = {"n_workers": 1, "threads_per_worker": 2, "memory_limit": 256}


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(local.__file__))


@pytest.mark.parametrize(("samples", "chunks"), [(100_003, 7), (3, 3)])
def test_passes_all_checks(two_workers: Client, workload: Workload, samples: int, chunks: int) -> None:
    """Both clusters give the same π, and nothing of ours is left."""
    outcome = workload.run(two_workers, **SETTINGS, samples=samples, chunks=chunks, seed=6)
    assert [check for check in outcome.checks if not check.ok] == []
    assert outcome.values["left_processes"] == outcome.values["left_folders"] == 0


def test_failure_leaves_no_process(tmp_path: Path) -> None:
    """If the code on our cluster fails, its processes still end."""
    seen: list[int] = []

    def fail() -> None:
        with local.own_cluster(**SETTINGS, folder=str(tmp_path)) as client:
            seen.extend(client.run(os.getpid).values())
            client.submit(lambda: 1 / 0).result()

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen
    assert not any(Path("/proc", str(process)).exists() for process in seen)


def test_tells_whether_scheduler_listens(two_workers: Client) -> None:
    """A scheduler that runs answers; a port that has been closed does not."""
    assert local.answers(two_workers.scheduler.address)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not local.answers(f"tcp://127.0.0.1:{port}")


def test_checks_detect_faults() -> None:
    """Wrong threads or memory, and a process, folder or port that is left, each fail one check."""
    facts = {"nthreads": 2, "memory_limit": 256 << 20}
    good = local.Own(3.14, [facts], [], [], False, {})
    assert all(check.ok for check in local.checks(good, SETTINGS))
    for change in (
        {"workers": [facts | {"nthreads": 1}]},
        {"workers": [facts | {"memory_limit": 1 << 30}]},
        {"workers": [facts, facts]},
        {"alive": [os.getpid()]},
        {"folders": ["/tmp/left"]},
        {"listening": True},
    ):
        assert sum(not check.ok for check in local.checks(replace(good, **change), SETTINGS)) == 1
