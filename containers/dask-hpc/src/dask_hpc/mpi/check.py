"""Check that all ranks are there: a program launched with four ranks must not run as four worlds of size one.

Open MPI finds its other ranks through PMIx. If that fails, every task becomes a world of size one, computes everything
alone, and exits with status 0. Any MPI script can check this::

    from dask_hpc.mpi import check_world

    check_world()  # exits on every rank if any rank is missing

`python -m dask_hpc.mpi` runs only this check; with `--json` it prints the findings once.
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
    """Return the size of `MPI.COMM_WORLD` if it is the number of tasks that the launcher started.

    Otherwise the first rank prints the findings, the cause and the fix to standard error, and every rank raises
    `SystemExit(1)`.
    """
    found = launch()
    # without a way to the launcher it can only be 1, and MPI_Init may crash
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
    """Return the message for a world whose size differs from the number of launched tasks.

    Args:
        size: size of `MPI.COMM_WORLD`.
        found: the launcher and its number of tasks.
        environ: this process's environment.
        pmix: version of PMIx in this environment.
    """
    cause, todo = _cause(found, environ, pmix)
    seen = ", ".join(f"{name}={environ.get(name, '(unset)')}" for name in found.told)
    return (
        f"MPI: {found.by} launched {found.tasks or 'an unknown number of'} tasks, but MPI.COMM_WORLD has size {size}: "
        f"{'each would compute everything alone' if size == 1 else 'some ranks are missing'}.\n"
        f"Seen: {seen}\nCause: {cause}\nWhat to do: {todo}"
    )


def _cause(found: Launch, environ: Mapping[str, str], pmix: str) -> tuple[str, str]:
    """Return the cause of missing ranks, and what to do."""
    types = "'srun --mpi=list' shows what this Slurm supports"
    kind = Allocation.from_environment(environ).mpi or "none"
    if found.cleaned or ((found.by == "mpirun" or kind.startswith("pmix")) and "PMIX_NAMESPACE" not in environ):
        return (
            f"the environment was cleaned between {found.by} and this program: PMIX_* and other variables that lead to "
            "the other ranks are missing.",
            "start it without env -i, --cleanenv or --export=NONE, or pass on PMIX_*, SLURM_* and OMPI_*.",
        )
    if found.by == "mpirun":
        return (
            f"this environment's PMIx ({pmix}) cannot reach that of mpirun, which belongs to another Open MPI.",
            "use this environment's mpirun ('command -v mpirun' shows which one runs), or srun --mpi=pmix.",
        )
    if kind.startswith("pmix"):
        return (
            f"Slurm's PMIx {environ.get('PMIX_VERSION', '(unknown)')} and PMIx {pmix} here are incompatible.",
            f"try another version, such as srun --mpi=pmix_v4; {types}. Keep PMIX_MCA_gds=hash, PMIX_MCA_psec=native.",
        )
    return (
        f"srun --mpi={kind} starts tasks without PMIx, which Open MPI needs to find the other ranks.",
        f"use srun --mpi=pmix …; {types}. If pmix is not listed, use mpirun in an allocation.",
    )


def pmix_version() -> str:
    """Return the version of the PMIx that Open MPI has loaded, or 'unknown'."""
    with suppress(OSError, AttributeError, ValueError):
        with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123 (this process's)
            path = next((line.split(maxsplit=5)[5].strip() for line in maps if "/libpmix.so" in line), "")
        ask = ctypes.CDLL(path or "libpmix.so.2").PMIx_Get_version
        ask.restype = ctypes.c_char_p
        return re.sub(r"^OpenPMIx |[ ,].*$", "", ask().decode()) or "unknown"
    return "unknown"
