"""Restarted workers are kept; lost workers are closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dask import config
from distributed.deploy import spec

from dask_hpc_startup.lost_workers import wait_for_restarted


class Job:
    """A worker's job."""

    closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct Dask for one test."""
    monkeypatch.setattr(spec.SpecCluster, "_update_worker_status", spec.SpecCluster._update_worker_status)
    wait_for_restarted(spec)


def told(*messages: tuple[str, str], info: dict[str, Any] | None = None) -> bool:
    """Send a cluster messages about a worker, wait for its check, and return whether it closed the job."""

    async def run() -> bool:
        job = Job()
        cluster: Any = spec.SpecCluster.__new__(spec.SpecCluster)
        cluster.__dict__.update(workers={"job": job}, scheduler_info={"workers": info or {}}, _futures=set())
        cluster.status = spec.Status.closed
        for op, address in messages:
            message = {"workers": {address: {"name": "job"}}} if op == "add" else address
            spec.SpecCluster._update_worker_status(cluster, op, message)
        looked = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, looked.set)  # after the cluster's own
        await looked.wait()
        await asyncio.gather(*cluster._futures)
        return job.closed

    with config.set({"distributed.deploy.lost-worker-timeout": "10ms"}):
        return asyncio.run(run())


def test_closes_lost_worker() -> None:
    """A worker that does not come back is closed, as in Dask."""
    assert told(("add", "a"), ("remove", "a"))


@pytest.mark.parametrize("last", [[], [("remove", "b")]])
def test_keeps_restarted_worker(last: list[tuple[str, str]]) -> None:
    """A worker that came back is kept at the first check; if it is lost again, the next check closes it."""
    assert not told(("add", "a"), ("remove", "a"), ("add", "b"))
    assert told(("add", "a"), ("remove", "a"), ("add", "b"), *last) is bool(last)


def test_drops_late_message() -> None:
    """A message about a worker that `wait_for_workers` already removed is dropped."""
    assert not told(("remove", "gone"))
