"""What Slurm gave the job, against what Dask would take: it looks at the machine, not at the job."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dask_hpc.doctor.commands import run
from dask_hpc.doctor.site import IMPORTING_DASK, Site
from dask_hpc.doctor.verdict import Verdict, ok, warning

__all__ = ["allowed_cpus", "allowed_memory", "cpus", "memory"]

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "": 1 << 20}


def cpus(site: Site) -> Verdict:
    """Compare the job's CPUs with those that Dask would make threads for."""
    with IMPORTING_DASK:
        from dask.system import CPU_COUNT

    allowed = allowed_cpus(site.environ) if site.place == "allocation" else None
    if allowed is None or allowed == CPU_COUNT:
        return ok(f"{CPU_COUNT} here" + (", as Slurm gave" if allowed else ""))
    return warning(
        f"Slurm gave {allowed}, Dask would take {CPU_COUNT}",
        f"dask worker --nthreads {allowed}; SLURMCluster and dask-hpc run do it by themselves",
    )


def memory(site: Site) -> Verdict:
    """Compare the job's memory with what Dask would take for its own."""
    with IMPORTING_DASK:
        from distributed.system import MEMORY_LIMIT

    allowed = _memory_of_job(site.environ) if site.place == "allocation" else None
    if allowed is None or allowed * 1.05 >= MEMORY_LIMIT:
        return ok(f"{MEMORY_LIMIT / 2**30:.1f} GiB here" + (", within what Slurm gave" if allowed else ""))
    return warning(
        f"Slurm gave {allowed >> 20} MiB, Dask would take {MEMORY_LIMIT >> 20} MiB, and the job be killed",
        f"dask worker --memory-limit {allowed >> 20}MiB; SLURMCluster and dask-hpc run do it by themselves",
    )


def allowed_cpus(environ: Mapping[str, str]) -> int | None:
    """Return the CPUs of a task, else of the job on this node, by Slurm's variables."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        if (value := environ.get(name, "")).isdigit():
            return int(value)
    return None


def _memory_of_job(environ: Mapping[str, str]) -> int | None:
    found = allowed_memory(environ)
    if found is None:  # a site's default is in no variable
        said = run("scontrol", "show", "job", environ.get("SLURM_JOB_ID", ""), "--oneliner").out
        node, cpu = re.search(r"MinMemoryNode=(\S+)", said), re.search(r"MinMemoryCPU=(\S+)", said)
        variables = {"SLURM_MEM_PER_NODE": node[1] if node else "", "SLURM_MEM_PER_CPU": cpu[1] if cpu else ""}
        found = allowed_memory({**environ, **variables})
    return found


def allowed_memory(environ: Mapping[str, str]) -> int | None:
    """Return the bytes that the job has on this node, by Slurm's variables; None if they do not say, or all."""
    node, cpu = (_bytes(environ.get(f"SLURM_MEM_PER_{what}", "")) for what in ("NODE", "CPU"))
    count = environ.get("SLURM_CPUS_ON_NODE", "")
    if node:
        return node
    return cpu * int(count) if cpu and count.isdigit() else None


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0
