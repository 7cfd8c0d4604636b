"""Run MPI collectives in Dask tasks, as described in `dask_hpc.mpi.collective`."""

from typing import TYPE_CHECKING

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective.messages import Rank
from dask_hpc.mpi.collective.ranks import Ranks

if TYPE_CHECKING:
    from dask_hpc.mpi.collective.comm import InterruptibleComm

__all__ = ["CollectiveError", "InterruptibleComm", "Rank", "Ranks"]


def __getattr__(name: str) -> type["InterruptibleComm"]:
    """Import the communicator on first use, since that starts MPI, which a client does not need."""
    if name != "InterruptibleComm":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dask_hpc.mpi.collective.comm import InterruptibleComm

    return InterruptibleComm
