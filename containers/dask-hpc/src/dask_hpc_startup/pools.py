"""Raise an error instead of waiting forever if an `MPIPoolExecutor` cannot start or reach its workers.

It starts them with MPI_Comm_spawn, which Slurm's PMIx does not offer. Elsewhere they may be out of reach, as in a
container without a network. mpi4py does this in a thread, and if the thread fails, results never arrive.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from dask_hpc_startup.ranks import started_by_srun

MESSAGE = (
    "MPIPoolExecutor cannot start its workers in a job step: Slurm's PMIx does not let MPI start more processes. "
    "Start them together with the program, as in 'srun --mpi=pmix -n WORKERS+1 python -m mpi4py.futures PROGRAM', "
    "or start the program with mpirun inside the allocation."
)


def refuse_where_they_hang(module: ModuleType) -> None:
    """Correct `mpi4py.futures._core`; pools whose workers already run are left alone."""
    if started_by_srun(os.environ):
        module.SpawnPool = module.ServicePool = _refuse  # type: ignore[attr-defined]
    for name in ("_manager_spawn", "_manager_service"):
        setattr(module, name, _telling(getattr(module, name)))


def _telling(manager: Callable[..., None]) -> Callable[..., None]:
    """Wrap a pool's thread so that an error that ends it reaches the pool's futures."""

    @functools.wraps(manager)
    def run(pool: Any, *args: Any) -> None:
        try:
            manager(pool, *args)
        except BaseException as error:
            pool.broken(f"cannot start or reach its workers: {error}")
            raise

    return run


def _refuse(_executor: object) -> NoReturn:
    raise RuntimeError(MESSAGE)
