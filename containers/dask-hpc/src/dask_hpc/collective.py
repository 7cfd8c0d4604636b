"""Run MPI collectives in Dask's tasks; `dask_hpc.mpi.collective` has the description."""

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective.ranks import Rank, Ranks

__all__ = ["CollectiveError", "Rank", "Ranks"]
