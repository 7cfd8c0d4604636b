"""Losing the scheduler during a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client

from dask_hpc.clusters import Plan, Session
from dask_hpc.clusters import lost as lost_scheduler
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen
from dask_hpc.tutorial.run import Asked, run
from dask_hpc.tutorial.workload import Outcome, Workload
from tests.support.hpc_command import declared


def dask_command(role: str, file: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker as Dask's own commands do."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--scheduler-file", file, "--host=127.0.0.1"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, "--dashboard-address=127.0.0.1:0", *options], stdout=quiet, stderr=quiet)


class SchedulerElsewhere:
    """A Dask cluster whose scheduler is a separate process, as with MPI."""

    name = kind = "elsewhere"
    options: frozenset[str] = frozenset()

    def plan(self, options: ClusterOptions) -> Plan:  # noqa: ARG002
        return SchedulerElsewherePlan(kind=self.name, rows=[], settings={}, tls=False)


class SchedulerElsewherePlan(Plan):
    """Start a scheduler and a worker."""

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:  # noqa: ARG002
        file = os.environ["SCHEDULER_FILE"]
        scheduler, worker = dask_command("scheduler", file, "--port=0"), dask_command("worker", file, "--no-nanny")
        try:
            with Client(scheduler_file=file, set_as_default=False) as client:
                client.wait_for_workers(1)
                client.scheduler_process = scheduler
                yield Session(client=client, facts=lambda: self.facts(client))
        finally:
            for process in (worker, scheduler):
                process.kill()
                process.wait()


def _wait_forever() -> None:
    threading.Event().wait()


def lose(client: Any, how: signal.Signals) -> None:
    """Send the scheduler a signal that kills or closes it."""
    client.scheduler_process.send_signal(how)


def killed_in_result(client: Any) -> Outcome:
    """Wait for a result that never comes, from a scheduler that is killed."""
    future = client.submit(time.sleep, 1e6)
    lose(client, signal.SIGKILL)
    return Outcome({"x": future.result()}, {}, [])


def closed_in_result(client: Any) -> Outcome:
    """Wait for a result that never comes, from a scheduler that closes."""
    future = client.submit(time.sleep, 1e6)
    lose(client, signal.SIGTERM)
    return Outcome({"x": future.result()}, {}, [])


def killed_while_computing(client: Any) -> Outcome:
    """Compute in the client without needing the scheduler."""
    lose(client, signal.SIGKILL)
    _wait_forever()
    return Outcome({}, {}, [])


def killed_before_asking(client: Any) -> Outcome:
    """Run a function on all workers after the scheduler has ended."""
    lose(client, signal.SIGKILL)
    client.scheduler_process.wait()
    client.run(os.getpid)
    return Outcome({}, {}, [])


@pytest.mark.parametrize(
    "lost",
    [
        declared(killed_in_result),
        declared(closed_in_result),
        declared(killed_while_computing),
        declared(killed_before_asking),
    ],
    ids=lambda one: one.name,
)
def test_ends_run_when_scheduler_is_lost(lost: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regardless of what the client waits for, the run ends with an error that gives the reason, and no partial result.

    The waits never end by themselves, and Dask would try to reconnect for a day.
    """
    monkeypatch.setattr(lost_scheduler, "_PAUSE", 0.1)
    monkeypatch.setattr(lost_scheduler, "_GRACE", 0.5)
    monkeypatch.setenv("SCHEDULER_FILE", str(tmp_path / "scheduler.json"))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1 day"}),
        pytest.raises(ClusterError, match="scheduler was lost while the workload was running"),
    ):
        run(Asked(lost, {}), SchedulerElsewhere(), ClusterOptions(), root=tmp_path / "results")
    assert list((tmp_path / "results" / lost.name).iterdir()) == []
