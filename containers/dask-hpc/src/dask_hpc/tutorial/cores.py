"""Count the workers' cores, set NumPy's threads, and compute parallel efficiency."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


def cores_at_work(client: Client) -> int:
    """Return how many cores all workers have together, at most one per thread.

    The nodes of a mini-cluster are one machine: they report the same kernel, and its cores count once.
    """
    threads: int = sum(client.nthreads().values())
    machines: dict[str, set[int]] = {}
    for boot, cores in client.run(_machine).values():
        machines.setdefault(boot, set()).update(cores)
    return min(threads, sum(len(cores) for cores in machines.values()))


def _machine() -> tuple[str, list[int]]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, sorted(os.sched_getaffinity(0))


def blas_threads(count: int = 0) -> int:
    """Let this process's BLAS use `count` threads from now on; 0 changes nothing.

    Returns:
        the number of threads it uses, or 0 if threadpoolctl finds no BLAS.
    """
    import numpy as np  # noqa: F401 (loads its BLAS)
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    blas = ThreadpoolController().select(user_api="blas")
    if count:
        blas.limit(limits=count)
    return max((library["num_threads"] for library in blas.info()), default=0)


def efficiency(speedup: float, cores: int) -> float:
    """Return the parallel efficiency: the speed-up per core, at most 1.

    The speed-up must be relative to one of these cores. It can then exceed their number only because clock rates vary,
    which does not count.
    """
    return min(1.0, speedup / cores)
