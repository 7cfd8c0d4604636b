"""A Dask cluster in one MPI job: started by Slurm before this program, or by this program."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from dask_hpc.clusters.base import Plan, Session
from dask_hpc.clusters.mpi import attached, join
from dask_hpc.mpi.launch import launch
from dask_hpc.screen import Screen

__all__ = ["MpiBackend"]


class MpiBackend:
    """`--on mpi`, in three ways.

    In a step (`srun … dask-hpc run … --on mpi`) the ranks are there: this process is one of them. On a login node a job
    is submitted. With `--scheduler-file` there is a dask-mpi cluster already, and it goes on after the run.
    """

    name = "mpi"
    options = frozenset(
        {"memory", "local_directory", "dashboard", "threads", "nodes", "ranks_per_node", "scheduler_file", "walltime"}
        | {"partition", "account", "sbatch_option", "interface", "log_directory", "timeout", "tls"}
    )

    def plan(self, options: Mapping[str, Any], screen: Screen) -> Plan:
        """Work out what to start; in a step, a rank that is not the workload's serves here, and never returns."""
        if launch():
            from dask_hpc.clusters.mpi import batch

            return batch.plan(options, screen)
        return join.plan(options, screen) if options["scheduler_file"] else attached.plan(options, screen)

    def start(self, plan: Plan, screen: Screen) -> AbstractContextManager[Session]:
        """Start it, or connect to what has been started."""
        started: AbstractContextManager[Session] = plan.spec["start"](plan, screen)
        return started
