"""The workload local-cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from distributed import Client, LocalCluster

from dask_hpc.tutorial import Workload
from dask_hpc.tutorial.discovery import load
from workloads import local_cluster
from workloads.checks.local_cluster import MemoryText, answers, own_checks, validate
from workloads.local_cluster import Found, main, start_cluster

SETTINGS: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "memory_limit": "256MiB"}


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(local_cluster.__file__))


@pytest.fixture
def listening() -> Iterator[str]:
    """Listen on a port, and return its address as Dask writes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield address_of(server)


@pytest.fixture
def closed() -> str:
    """Return the address of a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return address_of(server)


def address_of(server: socket.socket) -> str:
    """Return a server's address as Dask writes it."""
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(("samples", "chunks"), [(100_003, 7), (3, 3)])
def test_passes_all_checks(two_workers: Client, workload: Workload, samples: int, chunks: int) -> None:
    """Both clusters give the same π, and our own leaves nothing behind."""
    outcome = workload.checks.run(two_workers, **SETTINGS, samples=samples, chunks=chunks, seed=6)
    assert [check for check in outcome.checks if not check.ok] == []
    assert outcome.values["left_processes"] == outcome.values["left_folders"] == 0


def test_does_not_run_by_mpi(workload: Workload) -> None:
    """The workload starts processes, which an MPI rank must not do."""
    assert workload.checks.backends == frozenset({"local", "slurm"})


def test_starts_no_process_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """If connections cannot be encrypted, the workers are threads, and the scheduler has no port."""
    monkeypatch.setattr(local_cluster, "secure", False)
    with (
        LocalCluster(processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = main(client, **SETTINGS, samples=1000, chunks=3, seed=6)
    assert found.own_pi == found.given_pi
    assert found.processes == [os.getpid()]
    assert found.address.startswith("inproc://")
    assert [worker["memory_limit"] for worker in found.workers] == [0]  # this process alone may hold more than 256 MiB
    assert found.left == []


def test_failure_leaves_no_process(tmp_path: Path) -> None:
    """If the code on our cluster fails, its processes still exit."""
    seen: list[int] = []

    def fail() -> None:
        with start_cluster(str(tmp_path), **SETTINGS) as ours, Client(ours, set_as_default=False) as client:
            seen.extend(client.run(os.getpid).values())
            client.submit(lambda: 1 / 0).result()

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen
    assert not any(Path("/proc", str(process)).exists() for process in seen)


def test_detects_whether_scheduler_listens(two_workers: Client, closed: str) -> None:
    """A running scheduler answers; a closed port does not."""
    assert answers(two_workers.scheduler.address)
    assert not answers(closed)


@pytest.mark.parametrize(("text", "value"), [("512MiB", "512MiB"), ("1GiB", "1024MiB"), ("64GB", "61035MiB")])
def test_memory_limit_is_text(text: str, value: str) -> None:
    """Dask gets a text in MiB, regardless of the notation."""
    assert MemoryText().convert(text, None, None) == value


@pytest.mark.parametrize(("text", "words"), [("1MiB", "too little"), ("512", "bare number"), ("much", "not an amount")])
def test_rejects_bad_memory_limit(text: str, words: str) -> None:
    """Amounts that `--memory` rejects are also rejected here."""
    with pytest.raises(click.BadParameter, match=words):
        MemoryText().convert(text, None, None)


def test_rejects_empty_chunks() -> None:
    """More chunks than samples are a usage error."""
    with pytest.raises(click.BadParameter, match="5 chunks are more than 4 samples"):
        validate(samples=4, chunks=5)


def test_checks_detect_faults(listening: str, closed: str) -> None:
    """Wrong threads or memory, and a process, folder or port that is left, each fail one check."""
    facts = {"nthreads": 2, "memory_limit": 256 << 20}
    good = Found(3.14, 3.14, [facts], [], closed, [], {})
    assert all(check.ok for check in own_checks(good, **SETTINGS))
    changes: list[dict[str, Any]] = [
        {"workers": [facts | {"nthreads": 1}]},
        {"workers": [facts | {"memory_limit": 1 << 30}]},
        {"workers": [facts, facts]},
        {"processes": [os.getpid()]},
        {"left": ["/tmp/left"]},
        {"address": listening},
    ]
    for change in changes:
        assert sum(not check.ok for check in own_checks(replace(good, **change), **SETTINGS)) == 1
