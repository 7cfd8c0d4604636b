"""Run MPI collectives in Dask's tasks; `dask_hpc.mpi.collective` has the description."""

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective import Rank, Ranks
from dask_hpc.mpi.collective.comm import InterruptibleComm

__all__ = ["CollectiveError", "InterruptibleComm", "Rank", "Ranks"]
