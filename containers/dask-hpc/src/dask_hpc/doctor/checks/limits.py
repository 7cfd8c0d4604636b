"""Compare the job's resources with those that Dask would take: Dask looks at the machine, not at the job."""

from __future__ import annotations

import threading

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, ok, warning
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.slurm.jobs import with_granted_memory

_IMPORTING_DASK = threading.Lock()  # its modules import each other: two threads may each get half of one


def cpus(site: Site) -> Verdict:
    """Compare the job's CPUs with those that Dask would make threads for."""
    with _IMPORTING_DASK:
        from dask.system import CPU_COUNT

    allowed = (site.allocation.cpus_per_task or site.allocation.cpus) if site.place == "allocation" else None
    if allowed is None or allowed == CPU_COUNT:
        return ok(f"{CPU_COUNT} here" + (", as Slurm gave" if allowed else ""))
    return warning(
        f"Slurm gave {allowed}, Dask would take {CPU_COUNT}",
        f"dask worker --nthreads {allowed}; SLURMCluster and dask-hpc run do it by themselves",
    )


def memory(site: Site) -> Verdict:
    """Compare the job's memory with what Dask would take for its own."""
    with _IMPORTING_DASK:
        from distributed.system import MEMORY_LIMIT

    allowed = _granted_memory(site.allocation) if site.place == "allocation" else None
    if allowed is None or (allowed << 20) * 1.05 >= MEMORY_LIMIT:
        return ok(f"{MEMORY_LIMIT / 2**30:.1f} GiB here" + (", within what Slurm gave" if allowed else ""))
    return warning(
        f"Slurm gave {allowed} MiB, Dask would take {MEMORY_LIMIT >> 20} MiB, and the job be killed",
        f"dask worker --memory-limit {allowed}MiB; SLURMCluster and dask-hpc run do it by themselves",
    )


def _granted_memory(allocation: Allocation) -> int | None:
    return allocation.memory or with_granted_memory(allocation).memory
