"""Watch, from the scheduler, the client and the workers of an MPI job, each of which is a rank."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_hpc.mpi.settings import MpiSettings

_GRACE = 1.0  # seconds: if all ranks are told to end, workers may close before the scheduler does
_CLIENT_GRACE = 10.0  # seconds for a client that has lost its connection to reconnect


class GiveUp(Protocol):
    """Close the scheduler for a reason; `broken`: the MPI world can no longer end by itself."""

    def __call__(self, scheduler: Any, reason: str, *, broken: bool) -> None:
        """Close the scheduler."""


class WorldWatch(SchedulerPlugin):
    """End the job when it loses a rank, or the client that it was started for.

    Args:
        scheduler: scheduler that the plugin belongs to.
        settings: settings of the cluster.
        give_up: function that closes the scheduler.
    """

    name = "dask-hpc-world"

    def __init__(self, scheduler: Any, settings: MpiSettings, give_up: GiveUp) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._give_up = give_up
        self._workers: dict[str, str] = {}
        self._clients: set[str] = set()
        self._closing = False
        if wait := settings.wait_for_client:
            self._later(wait, self._unwanted, f"no client connected within {wait:g} s")

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Remember the worker's rank."""
        state = scheduler.workers[worker]
        number = re.search(r"\d+$", str(state.name))
        nodes = self._settings.nodes
        rank = int(number[0]) if number else -1
        node = nodes[rank] if 0 <= rank < len(nodes) else state.host
        self._workers[worker] = f"rank {number[0] if number else '?'} on {node}"

    def remove_worker(self, scheduler: Any, worker: str, *, stimulus_id: str, **_: Any) -> None:  # noqa: ARG002
        """End the job unless the worker was retired: its rank is lost with it."""
        who = self._workers.pop(worker, worker)
        if not stimulus_id.startswith("retire-workers"):
            # at once if it was killed: Slurm's PMIx ends the step for the same reason, and reports less
            grace = _GRACE if self._took_leave(worker) else 0
            self._later(grace, self._lost, f"{who} was lost, and an MPI job cannot continue without it")

    def add_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002
        """Remember a client; clients created by tasks do not count."""
        if not client.startswith("Client-worker"):
            self._clients.add(client)

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002
        """Close the scheduler soon if that was the last client, and the cluster was started for one."""
        self._clients.discard(client)
        if not self._clients and self._settings.wait_for_client:
            self._later(_CLIENT_GRACE, self._unwanted, "the client was lost before it closed the cluster")

    async def before_close(self) -> None:
        """Expect workers and clients to leave from now on."""
        self._closing = True

    def _took_leave(self, worker: str) -> bool:
        """Return whether a worker has announced that it is closing."""
        changes = (event for _, event in self._scheduler.get_events(worker) if isinstance(event, dict))
        return any(event.get("status") == "closing" for event in changes)

    def _later(self, seconds: float, function: Callable[[str], None], reason: str) -> None:
        self._scheduler.loop.call_later(seconds, function, reason)

    def _lost(self, reason: str) -> None:
        if not self._closing:
            self._give_up(self._scheduler, reason, broken=True)

    def _unwanted(self, reason: str) -> None:
        if not self._closing and not self._clients:
            self._give_up(self._scheduler, reason, broken=self._settings.client_rank is not None)
