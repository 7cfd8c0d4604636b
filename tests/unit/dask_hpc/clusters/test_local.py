"""Plans for a Dask cluster on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from dask import system as dask_system
from distributed import Worker, system

from dask_hpc.clusters.local import LocalBackend, LocalPlan
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import RequestError
from dask_hpc.screen import Screen


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine with twelve cores and 24 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(12)))
    monkeypatch.setattr(dask_system, "CPU_COUNT", 12)
    monkeypatch.setattr(system, "MEMORY_LIMIT", 24 << 30)


def planned(**given: Any) -> LocalPlan:
    """Plan as the command does."""
    return LocalBackend().plan(ClusterOptions(**given))


def test_plans_one_worker_per_core_up_to_eight() -> None:
    """Each worker has one thread, and its share of the memory by cores."""
    plan = planned()
    assert (plan.workers, plan.threads, plan.worker_memory) == (8, 1, 2 << 30)
    assert plan.memory_limit == "auto"
    assert plan.settings == {"workers": 8, "threads": 1, "memory": "auto"}


def test_passes_given_options() -> None:
    """Every given option is passed on to Dask."""
    plan = planned(workers=3, threads=2, memory=512, local_directory="/scratch", dashboard="127.0.0.1:1")
    assert (plan.workers, plan.threads, plan.worker_memory) == (3, 2, 512 << 20)
    assert (plan.memory_limit, plan.local_directory, plan.dashboard) == ("512MiB", Path("/scratch"), "127.0.0.1:1")
    assert [(name, value) for name, value, _ in plan.rows] == [
        ("workers", "3"),
        ("threads", "2 per worker"),
        ("memory", "512MiB per worker"),
    ]


@pytest.mark.parametrize(("threads", "gib"), [(3, 6), (12, 24), (24, 24)])
def test_worker_memory_grows_with_threads(threads: int, gib: int) -> None:
    """A worker's memory is proportional to its threads, up to the machine's memory."""
    assert planned(threads=threads).worker_memory == gib << 30


def test_rejects_too_many_workers() -> None:
    """Up to 64 workers per core are accepted, more are rejected."""
    assert planned(workers=64 * 12).workers == 768
    with pytest.raises(RequestError, match="769 workers"):
        planned(workers=64 * 12 + 1)


async def heartbeats(dask_worker: Worker) -> None:
    """Make a worker send heartbeats without a pause, so that some are in flight when it closes."""

    async def forever() -> None:
        while True:
            await dask_worker.heartbeat()

    dask_worker.beating = [asyncio.ensure_future(forever()) for _ in range(10)]


def test_closes_without_log_messages(capfd: pytest.CaptureFixture[str]) -> None:
    """Connections that closing cuts off are not logged, neither by the workers nor by this process."""
    logger, screen = logging.getLogger("distributed"), Screen()
    level = logger.level
    with planned(workers=3).start(screen) as session:
        session.client.run(heartbeats)
        assert session.client.submit(sum, [1, 2]).result() == 3
    said = capfd.readouterr().err
    assert "distributed" not in said
    assert "Traceback" not in said
    assert logger.level == level
