"""Compare the job's resources with those that Dask would use: Dask looks at the machine, not at the job."""

from __future__ import annotations

import threading

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, ok, warning
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.slurm.jobs import with_granted_memory

_IMPORTING_DASK = threading.Lock()  # its modules import each other: two threads could see half-imported modules


def cpus(site: Site) -> Verdict:
    """Compare the job's CPUs with the threads that Dask would start."""
    with _IMPORTING_DASK:
        from dask.system import CPU_COUNT

    allowed = (site.allocation.cpus_per_task or site.allocation.cpus) if site.place == "allocation" else None
    if allowed is None or allowed == CPU_COUNT:
        return ok(f"{CPU_COUNT} here" + (", as allocated by Slurm" if allowed else ""))
    return warning(
        f"Slurm allocated {allowed}, Dask would use {CPU_COUNT}",
        f"use dask worker --nthreads {allowed}; SLURMCluster and dask-hpc run do so by themselves",
    )


def memory(site: Site) -> Verdict:
    """Compare the job's memory with the limit that Dask would assume."""
    with _IMPORTING_DASK:
        from distributed.system import MEMORY_LIMIT

    allowed = _granted_memory(site.allocation) if site.place == "allocation" else None
    if allowed is None or (allowed << 20) * 1.05 >= MEMORY_LIMIT:
        return ok(f"{MEMORY_LIMIT / 2**30:.1f} GiB here" + (", within Slurm's allocation" if allowed else ""))
    return warning(
        f"Slurm allocated {allowed} MiB, Dask would use {MEMORY_LIMIT >> 20} MiB and be killed",
        f"use dask worker --memory-limit {allowed}MiB; SLURMCluster and dask-hpc run do so by themselves",
    )


def _granted_memory(allocation: Allocation) -> int | None:
    return allocation.memory or with_granted_memory(allocation).memory
