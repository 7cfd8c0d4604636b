"""MPI: how this process was launched, its MPI world, and a Dask cluster whose processes are the world's ranks.

`launch` detects what started this process, `check` stops every rank if any rank is missing, `world` is the world
itself. `setup`, `rank`, `preload` and `watch` are the parts of a Dask cluster that MPI starts: dask-mpi, with the rest
filled in. `collective` runs MPI collectives in Dask tasks.
"""

from dask_hpc.mpi.check import check_world

__all__ = ["check_world"]
