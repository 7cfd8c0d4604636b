"""`MPIPoolExecutor` in ranks that srun has started: an error instead of a wait for ever.

Its workers are started by MPI_Comm_spawn, which Slurm's PMIx does not offer. That fails in a thread of mpi4py's, and
whoever waits for a result is not told.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import NoReturn

from dask_hpc_startup.ranks import started_by_srun

MESSAGE = (
    "MPIPoolExecutor cannot start its workers in a job step: Slurm's PMIx does not let MPI start more processes. "
    "Start them beforehand: srun --mpi=pmix -n WORKERS+1 python -m mpi4py.futures PROGRAM; "
    "or start the program with mpirun inside of the allocation."
)


def refuse_where_they_hang(module: ModuleType) -> None:
    """Correct `mpi4py.futures._core`; pools whose workers are there already are left alone."""
    if started_by_srun(os.environ):
        module.SpawnPool = module.ServicePool = _refuse  # type: ignore[attr-defined]


def _refuse(_executor: object) -> NoReturn:
    raise RuntimeError(MESSAGE)
