"""The interface of a backend: it plans a Dask cluster, the plan starts it, and a session is the cluster in use."""

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
"""Setting, value and reason, for people."""


class Backend(Protocol):
    """A way to get a Dask cluster: the value of `--on`. `options` names the options that it understands."""

    name: str
    options: frozenset[str]

    def plan(self, options: ClusterOptions) -> Plan:
        """Work out a Dask cluster; start nothing.

        Raises:
            RequestError: the options ask for something that is not there.
            ClusterError: Slurm or a running cluster, which has to be asked, does not answer.
        """


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """A Dask cluster that can be started.

    Attributes:
        kind: the backend's name.
        rows: the settings for people.
        settings: the settings for programs.
        workers: number of workers; 0 if that is not known.
        worker_memory: bytes that one worker may use; 0 if that is not known.
        threads: threads per worker: so many tasks it works on at once.
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
        """Start the Dask cluster, and leave nothing behind when the context ends; raises `ClusterError`."""

    @property
    def serves(self) -> bool:
        """True if this process must call `serve` rather than `start`: it is a part of the cluster that it planned."""
        return False

    def serve(self) -> None:
        """Be that part, until the cluster closes."""
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
            nodes=sorted(set(client.run(socket.gethostname).values())),
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
        client: connected to it.
        facts: returns its description, asked while it is there.
        cluster: Dask's own object, by which it can be scaled; None if its size is fixed.
        timings: seconds that starting took, by part.
        logs: the folder of the jobs' logs, if they belong to the results.
    """

    client: Client
    facts: Callable[[], ClusterFacts]
    cluster: Any = None
    timings: dict[str, float] = field(default_factory=dict)
    logs: Path | None = None


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


def home() -> Path:
    """Return the folder for what jobs share with this program: credentials, and logs."""
    return Path.home() / ".dask-hpc"


def new_name() -> str:
    """Return a name for a cluster's jobs, which no other has.

    A launcher's session is part of it: the launcher ends what a driver that was killed has left, by that name.
    """
    return "-".join(filter(None, ["dask-hpc", os.environ.get("DASK_HPC_SESSION"), secrets.token_hex(4)]))
