"""Ask the launcher outside the SIF to keep the scheduler of a cluster on its machine."""

from __future__ import annotations

from dask_hpc import processes
from dask_hpc.errors import ClusterError


def keep_scheduler(name: str) -> None:
    """Start `dask-hpc cluster serve NAME` by a launcher of its own, which outlives this one.

    Raises:
        ClusterError: the launcher does not do it.
    """
    answer = processes.run("dask-hpc-stay", name, timeout=30)
    if answer.status != 0:
        raise ClusterError(
            "The launcher cannot keep the scheduler on this machine.",
            answer.said,
            "copy the launcher again that comes with this SIF.",
        )
