"""Count workers as they connect and leave, and pass an error from the event loop to the main thread."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_hpc.errors import ClusterError
from dask_hpc.slurm.jobs import describe
from dask_hpc.stop import in_main_thread

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.clusters.slurm.kept.keeper import Keeper


class GaveUp(Exception):  # noqa: N818 (an event, raised in the main thread)
    """The run is to end; the watch has the reason."""


class Watch(SchedulerPlugin):
    """Count workers without polling, in the scheduler, which runs in this process.

    Attributes:
        failure: the error that ends the run, if there is one.
    """

    name = "dask-hpc-watch"
    keeper: Keeper

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._by_signal = in_main_thread()
        self._running = False
        self._closing = False
        self._count = 0
        self._scheduler: Any = None
        self._changed = threading.Condition()

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Note that a worker has connected."""
        self._scheduler = scheduler
        self.keeper.came(scheduler.workers[worker])
        self._update(len(scheduler.workers))

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002 (Dask passes it by name)
        """Note that a worker has left."""
        self._update(len(scheduler.workers))

    def fail(self, failure: Exception) -> None:
        """End the run with an error: wake the main thread, whatever it waits for."""
        with self._changed:
            self.failure = self.failure or failure
            self._changed.notify_all()
            interrupts = self.interrupts
        if interrupts:
            if self._by_signal:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            elif self._scheduler:  # Dask cancels what the client waits for
                self._scheduler.loop.add_callback(self._scheduler.close, reason=str(failure))

    @property
    def interrupts(self) -> bool:
        """True while the main thread does the user's work."""
        return self._running and not self._closing

    def running(self) -> None:
        """Interrupt the main thread from now on: it no longer waits for workers.

        Raises:
            ClusterError: the run has ended since the wait for workers.
        """
        with self._changed:
            if self.failure:
                raise self.failure
            self._running = True

    def closing(self) -> None:
        """Expect workers to leave from now on."""
        self._closing = True
        self.keeper.closing()

    def _update(self, count: int) -> None:
        with self._changed:
            self._count = count
            self._changed.notify_all()

    def wait_for_workers(self, count: int, *, timeout: float, logs: Path) -> None:
        """Wait until `count` workers are connected.

        Raises:
            ClusterError: `timeout` seconds have passed, or the keeper has given up, also with `RequestError`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self._count >= count, timeout)
            there = self._count
        if self.failure:
            raise self.failure
        if there < count:
            refusal = f"sbatch: {self.keeper.refusal}\n" if self.keeper.refusal else ""
            raise ClusterError(
                f"Only {there} of {count} workers connected within {timeout:.0f} s.",
                refusal + describe(self.keeper.queue, logs),
                "on a busy cluster, request less or increase --timeout; otherwise see the log.",
            )
