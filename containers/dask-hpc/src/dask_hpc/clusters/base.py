"""The interface of a backend: a backend makes a plan, a plan starts a Dask cluster, a session is the cluster in use."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dask_hpc.clusters.facts import ClusterFacts, Job, Value
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.screen import Screen

if TYPE_CHECKING:
    from distributed import Client

_UNENCRYPTED = "no TLS: anyone who can reach the scheduler's port can run code as you."

Row = tuple[str, str, str]
"""Setting, value and reason: a row of the table."""


class Backend(Protocol):
    """A way to start a Dask cluster: a value of `--on`.

    Attributes:
        name: the value.
        kind: the name by which workloads say that they support it.
        options: the names of the options that it accepts.
    """

    name: str
    kind: str
    options: frozenset[str]

    def plan(self, options: ClusterOptions) -> Plan:
        """Plan a Dask cluster without starting anything.

        Raises:
            RequestError: the options ask for more than is available.
            ClusterError: Slurm or the running cluster does not answer.
        """


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """A Dask cluster that can be started.

    Attributes:
        kind: the backend's name.
        rows: the settings, as table rows.
        settings: the settings for programs.
        workers: number of workers; 0 if unknown.
        worker_memory: bytes that one worker may use; 0 if unknown.
        threads: threads per worker, which is the number of tasks it runs at once.
        tls: whether connections are encrypted and authenticated.
    """

    kind: str
    rows: Sequence[Row]
    settings: dict[str, Value]
    workers: int = 0
    worker_memory: int = 0
    threads: int = 1
    tls: bool = True

    @abstractmethod
    def start(self, screen: Screen) -> AbstractContextManager[Session]:
        """Start the Dask cluster, and remove every trace of it when the context exits; raises `ClusterError`."""

    @property
    def serves(self) -> bool:
        """True if this process is itself part of the planned cluster, and must call `serve` instead of `start`."""
        return False

    def serve(self) -> None:
        """Run this process's part of the cluster until the cluster closes."""
        raise NotImplementedError

    def show(self, screen: Screen) -> None:
        """Show the settings with their reasons."""
        if not self.tls:
            screen.warn(_UNENCRYPTED)
        screen.table(f"Dask cluster ({self.kind})", ("setting", "value", "why"), self.rows)

    def facts(self, client: Client, jobs: Sequence[Job] = (), **settings: Value) -> ClusterFacts:
        """Return the description of the running cluster, with further settings."""
        threads = client.nthreads()
        return ClusterFacts(
            kind=self.kind,
            workers=len(threads),
            threads=sum(threads.values()),
            nodes=sorted(set(client.run(socket.gethostname, on_error="ignore").values())),
            tls=self.tls,
            jobs=list(jobs),
            settings=self.settings | settings,
        )


def tls_row(*, tls: bool, why: str = "credentials for this run alone") -> Row:
    """Return the setting for TLS."""
    return ("TLS", "on" if tls else "off", why)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A Dask cluster with its workers connected.

    Attributes:
        client: a connected client.
        facts: function that returns the cluster's description while it runs.
        cluster: Dask's own cluster object, for scaling; None if the size is fixed.
        timings: seconds of each part of the start.
        logs: folder of the jobs' logs, if they belong to the results.
        failure: function that returns the error with which the cluster has ended, if it has.
    """

    client: Client
    facts: Callable[[], ClusterFacts]
    cluster: Any = None
    timings: dict[str, float] = field(default_factory=dict)
    logs: Path | None = None
    failure: Callable[[], Exception | None] = lambda: None


def quieten(level: int = logging.WARNING) -> None:
    """Make Dask log only warnings and errors in this process, unless the user's configuration sets a level.

    Dask's clusters silence their own messages until they are closed; some messages come a moment later.

    Args:
        level: lowest level to log, from `logging`.
    """
    import distributed  # noqa: F401 (sets levels as it is imported)
    from dask import config

    if config.get("logging.distributed", None) is None:
        logging.getLogger("distributed").setLevel(level)


@contextmanager
def level_kept() -> Iterator[None]:
    """Restore Dask's log level in this process after the block."""
    logger = logging.getLogger("distributed")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)


def home() -> Path:
    """Return the folder for files that jobs share with this program: credentials and logs."""
    return Path.home() / ".dask-hpc"


def new_name() -> str:
    """Return a unique name for a cluster's jobs.

    It contains the launcher's session: if the driver is killed, the launcher finds and cancels its jobs by that name.
    """
    return "-".join(filter(None, ["dask-hpc", os.environ.get("DASK_HPC_SESSION"), secrets.token_hex(4)]))
