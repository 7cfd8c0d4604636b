"""MPI: how this process was launched, the world it is a rank of, and a Dask cluster whose processes are its ranks.

`launch` tells what started this process, `check` stops every rank of a world that lacks some, `world` is the world
itself. `setup`, `rank`, `preload` and `watch` are the parts of a Dask cluster that MPI has started: dask-mpi, with what
it leaves open. `collective` runs MPI collectives in Dask's tasks.
"""

from dask_hpc.mpi.check import check_world

__all__ = ["check_world"]
