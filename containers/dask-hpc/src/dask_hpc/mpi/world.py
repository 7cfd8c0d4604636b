"""The MPI world that this process is a rank of."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, TypeVar, cast

import click

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi.check import check_world

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm, Request

T = TypeVar("T")
_PAUSE = 0.005  # seconds between tests of a request


@dataclass(frozen=True)
class Failure:
    """The failure of a step on one rank, as sent to the others."""

    message: str
    exit_code: int


@dataclass(frozen=True)
class World:
    """All ranks, as seen by one of them.

    Attributes:
        comm: communicator of all ranks.
        nodes: node of each rank, by rank.
        library: name and version of the MPI library.
    """

    comm: Intracomm
    nodes: list[str]
    library: str

    @property
    def rank(self) -> int:
        """Rank of this process."""
        return int(self.comm.rank)

    @property
    def size(self) -> int:
        """Number of ranks."""
        return len(self.nodes)

    @property
    def here(self) -> int:
        """Number of ranks on this node."""
        return self.nodes.count(self.nodes[self.rank])

    def together(self, step: Callable[[], T], speaker: int) -> T:
        """Run a step on every rank, and return its result; if it fails on any rank, exit on all.

        Rank `speaker` raises the error, naming the rank that failed unless all failed alike; the others raise
        `SystemExit`.
        """
        failure = None
        result = None
        try:
            result = step()
        except click.ClickException as error:
            failure = Failure(error.format_message(), error.exit_code)
        self._agree(failure, speaker)
        return cast("T", result)

    def _agree(self, failure: Failure | None, speaker: int) -> None:
        failures: list[Failure | None] = self.comm.allgather(failure)
        rank, found = next(((rank, one) for rank, one in enumerate(failures) if one), (0, None))
        if not found:
            return
        if self.rank != speaker:
            raise SystemExit(found.exit_code)
        alike = len(set(failures)) == 1
        kind = RequestError if found.exit_code == RequestError.exit_code else ClusterError
        raise kind(found.message if alike else f"Rank {rank} on {self.nodes[rank]}: {found.message}")


def enter() -> World:
    """Start MPI, and return the world; if ranks are missing, exit on every rank: see `dask_hpc.mpi.check`."""
    # a waiting rank must not take the core of a working one: a node may have more ranks than cores
    os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    check_world()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    wait(comm.Ibarrier())
    return World(comm, comm.allgather(socket.gethostname()), MPI.Get_library_version().split(",")[0])


def wait(request: Request, patience: float | None = None) -> bool:
    """Return whether an MPI request completes within `patience` seconds.

    It sleeps between tests: MPI itself spins, and takes the core from a rank that is still starting.
    """
    deadline = None if patience is None else monotonic() + patience
    while not request.Test():
        if deadline is not None and monotonic() > deadline:
            return False
        sleep(_PAUSE)  # MPI has no wait that leaves the core to other processes
    return True
