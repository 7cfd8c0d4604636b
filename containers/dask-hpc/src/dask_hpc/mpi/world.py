"""The MPI world that this process is a rank of."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import check_world

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

__all__ = ["World", "enter", "split", "wait", "workers"]

T = TypeVar("T")
_PAUSE = 0.005  # seconds; MPI offers nothing that blocks
_workers: Any = None


@dataclass(frozen=True)
class World:
    """All ranks, seen by one of them.

    Attributes:
        comm: the communicator of all.
        nodes: the node of each rank, by rank.
        library: which MPI, for people.
    """

    comm: Any
    nodes: list[str]
    library: str

    @property
    def rank(self) -> int:
        """This process's number."""
        return int(self.comm.rank)

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self.nodes)

    @property
    def here(self) -> int:
        """How many ranks this node has."""
        return self.nodes.count(self.nodes[self.rank])

    def together(self, step: Callable[[], T], speaker: int) -> T:
        """Do a step on every rank, and return its result; if it fails on any of them, end on all.

        Rank `speaker` raises the error, and says which rank it is of unless all have failed alike; the others raise
        `SystemExit`.
        """
        failure = result = None
        try:
            result = step()
        except click.ClickException as error:
            failure = (error.format_message(), error.exit_code)
        self._agree(failure, speaker)
        return cast("T", result)

    def _agree(self, failure: tuple[str, int] | None, speaker: int) -> None:
        failures: list[tuple[str, int] | None] = self.comm.allgather(failure)
        rank, found = next(((rank, one) for rank, one in enumerate(failures) if one), (0, None))
        if not found:
            return
        if self.rank != speaker:
            raise SystemExit(found[1])
        alike = len(set(failures)) == 1
        kind = RequestError if found[1] == RequestError.exit_code else ClusterError
        raise kind(found[0] if alike else f"Rank {rank} on {self.nodes[rank]}: {found[0]}")


def enter() -> World:
    """Start MPI, and return the world; where ranks are missing, every rank ends: see `dask_hpc.mpi.check`."""
    # whoever waits must not take a core from one that works: a node may have more ranks than cores
    os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    check_world()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    wait(comm.Ibarrier())
    return World(comm, comm.allgather(socket.gethostname()), MPI.Get_library_version().split(",")[0])


def wait(request: Any, patience: float | None = None) -> bool:
    """Return whether an MPI request is done, after `patience` seconds at most.

    It sleeps in between: MPI itself spins, and takes the core from a rank that still starts.
    """
    deadline = None if patience is None else monotonic() + patience
    while not request.Test():
        if deadline is not None and monotonic() > deadline:
            return False
        sleep(_PAUSE)
    return True


def split(world: World, first_worker: int) -> None:
    """Make the communicator of the workers: all ranks take part."""
    global _workers
    worker = world.rank >= first_worker
    comm = world.comm.Split(0 if worker else 1, world.rank)
    _workers = comm if worker else None


def workers() -> Intracomm:
    """Return the communicator of all workers, in the order of their ranks: for MPI inside of Dask's tasks.

    A worker's Dask name ends in its rank in the world. MPI is initialised for several threads, so a task may call it
    while others do.

    Raises:
        ClusterError: this process is no worker that is an MPI rank.
    """
    if _workers is None:
        raise ClusterError(
            "This process is no Dask worker that is an MPI rank.",
            todo="call it in a task, of a run --on mpi.",
        )
    return _workers
