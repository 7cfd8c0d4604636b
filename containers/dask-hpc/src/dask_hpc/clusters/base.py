"""What every backend has in common."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dask_hpc.clusters.facts import ClusterFacts, Value
from dask_hpc.screen import Screen

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Backend", "Plan", "Session", "dashboard_link", "level_kept", "new_name", "quieten", "worker_nodes"]


@dataclass(frozen=True)
class Plan:
    """What will be started.

    Attributes:
        rows: setting, value and the reason for it, for people.
        settings: the same settings for programs.
        spec: what the backend itself needs; nobody else looks at it.
        workers: how many there will be; 0 if that is not known.
        worker_memory: bytes that one worker may use; 0 if that is not known.
        threads: how many each worker has: so many tasks it works on at once.
    """

    rows: list[tuple[str, str, str]]
    settings: dict[str, Value]
    spec: Any
    workers: int = 0
    worker_memory: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Session:
    """A Dask cluster with its workers connected.

    Attributes:
        client: connected to it.
        facts: what the cluster is, asked while it is there.
        timings: seconds that starting took, by part.
        logs: the folder of the jobs' logs, if there are any that belong to the results.
    """

    client: Client
    facts: Callable[[], ClusterFacts]
    timings: dict[str, float] = field(default_factory=dict)
    logs: Path | None = None


class Backend(Protocol):
    """A way to get a Dask cluster. `options` names the command-line options that it understands."""

    name: str
    options: frozenset[str]

    def plan(self, options: Mapping[str, Any], screen: Screen) -> Plan:
        """Work out what to start; raises `RequestError` for what cannot be had, before anything starts."""

    def start(self, plan: Plan, screen: Screen) -> AbstractContextManager[Session]:
        """Start it, and leave nothing behind when the context ends; raises `ClusterError`."""


def dashboard_link(cluster: Any) -> str:
    """Return where the dashboard really listens; Dask's own link names the scheduler's host, bound to or not.

    In the form that Dask is configured for: behind a proxy of Jupyter's it is another one.
    """
    from distributed.utils import format_dashboard_link

    server = cluster.scheduler.http_server
    host = cluster.scheduler.ip if server.address == "0.0.0.0" else server.address  # noqa: S104 (a comparison)
    return str(format_dashboard_link(host, server.port))


def worker_nodes(client: Client) -> list[str]:
    """Return the names of the hosts that workers run on, sorted."""
    import socket

    return sorted(set(client.run(socket.gethostname).values()))


def quieten(level: int = logging.WARNING) -> None:
    """Have Dask speak up in this process only where something is wrong, unless the user's configuration says otherwise.

    A cluster of Dask's silences its own lines until it is closed; some come a moment later.

    Args:
        level: lowest level that is still logged, from `logging`.
    """
    import distributed  # noqa: F401 (sets levels as it is imported)
    from dask import config

    if config.get("logging.distributed", None) is None:
        logging.getLogger("distributed").setLevel(level)


@contextmanager
def level_kept() -> Iterator[None]:
    """After the block, have Dask log in this process what it did before."""
    logger = logging.getLogger("distributed")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)


def new_name() -> str:
    """Return a name for a cluster's jobs, which no other has.

    A launcher's session is part of it: the launcher ends what a driver that was killed has left, by that name.
    """
    return "-".join(filter(None, ["dask-hpc", os.environ.get("DASK_HPC_SESSION"), secrets.token_hex(4)]))
