"""No silent singletons: an MPI program that was launched as four must not run as four times one.

Open MPI finds its other ranks through PMIx. Where it does not, every task becomes a world by itself, computes
everything alone, and ends with status 0. Any MPI script can ask::

    from dask_hpc.mpi import check_world

    check_world()  # ends the program, on every rank, if ranks are missing

`python -m dask_hpc.mpi` is that check alone; with `--json` it prints what was seen, once.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress

from dask_hpc.mpi.launch import Launch, launch
from dask_hpc.slurm.allocation import Allocation


def check_world() -> int:
    """Return the size of `MPI.COMM_WORLD`, if it is what the launcher started.

    Where it is not, the first rank prints what was seen, the cause and the fix to standard error, and every rank
    raises `SystemExit(1)`.
    """
    found = launch()
    # without a way to the launcher it can only be 1, and MPI_Init may not survive to say so
    size = 1 if found and found.cleaned else _size()
    if found is None or found.tasks == size:
        return size
    if found.first:
        print(explain(size, found, environ=os.environ, pmix=pmix_version()), file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(1)


def _size() -> int:
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.size)


def explain(size: int, found: Launch, *, environ: Mapping[str, str], pmix: str) -> str:
    """Return the message for a world that has another size than what was launched.

    Args:
        size: that of `MPI.COMM_WORLD`.
        found: the launcher, and how many it launched.
        environ: this process's environment.
        pmix: the version of PMIx in this environment.
    """
    cause, todo = _cause(found, environ, pmix)
    seen = ", ".join(f"{name}={environ.get(name, '(unset)')}" for name in found.told)
    return (
        f"MPI: {found.by} launched {found.tasks or 'an unknown number of'} tasks, but MPI.COMM_WORLD has size {size}: "
        f"{'each would compute everything alone' if size == 1 else 'not all ranks are there'}.\n"
        f"Seen: {seen}\nCause: {cause}\nWhat to do: {todo}"
    )


def _cause(found: Launch, environ: Mapping[str, str], pmix: str) -> tuple[str, str]:
    """Return why ranks are missing, and what to do."""
    types = "'srun --mpi=list' shows what this Slurm has"
    kind = Allocation.from_environment(environ).mpi or "none"
    if found.cleaned or ((found.by == "mpirun" or kind.startswith("pmix")) and "PMIX_NAMESPACE" not in environ):
        return (
            f"the environment was cleaned between {found.by} and this program: PMIX_* and what else leads to the "
            "other ranks is gone.",
            "start it without env -i, --cleanenv or --export=NONE, or pass PMIX_*, SLURM_* and OMPI_* on.",
        )
    if found.by == "mpirun":
        return (
            f"the PMIx of that mpirun cannot be reached by this environment's ({pmix}): it is another Open MPI's.",
            "use this environment's mpirun ('command -v mpirun' says which runs), or srun --mpi=pmix.",
        )
    if kind.startswith("pmix"):
        return (
            f"PMIx {environ.get('PMIX_VERSION', '(unknown)')} of Slurm and PMIx {pmix} here do not understand each "
            "other.",
            f"try another version, such as srun --mpi=pmix_v4; {types}. Keep PMIX_MCA_gds=hash, PMIX_MCA_psec=native.",
        )
    return (
        f"srun --mpi={kind} starts tasks without PMIx, through which Open MPI finds its other ranks.",
        f"srun --mpi=pmix …; {types}. Without pmix there, use mpirun in an allocation.",
    )


def pmix_version() -> str:
    """Return the version of the PMIx that Open MPI has loaded, or 'unknown' before that."""
    with suppress(OSError, AttributeError, ValueError):
        with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123 (the process's own)
            path = next((line.split(maxsplit=5)[5].strip() for line in maps if "/libpmix.so" in line), "")
        ask = ctypes.CDLL(path or "libpmix.so.2").PMIx_Get_version
        ask.restype = ctypes.c_char_p
        return re.sub(r"^OpenPMIx |[ ,].*$", "", ask().decode()) or "unknown"
    return "unknown"
