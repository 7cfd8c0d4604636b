"""A Dask cluster in one MPI job, which Slurm or this program starts."""

from __future__ import annotations

from dask_hpc.clusters.base import Plan
from dask_hpc.clusters.mpi import job, join
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.mpi.launch import launch


class MpiBackend:
    """`--on mpi`, in three ways.

    In a step (`srun … dask-hpc run … --on mpi`), the ranks are already running, and this process is one of them. On a
    login node, a job is submitted. `--scheduler-file` uses a running dask-mpi cluster, and leaves it running.
    """

    name = kind = "mpi"
    options = frozenset(
        {"memory", "local_directory", "dashboard", "threads", "nodes", "ranks_per_node", "scheduler_file", "walltime"}
        | {"partition", "account", "sbatch_option", "interface", "log_directory", "timeout", "tls"}
    )

    def plan(self, options: ClusterOptions) -> Plan:
        """Plan the cluster; in a step, all ranks do this together."""
        if launch():
            from dask_hpc.clusters.mpi import step

            return step.plan(options)
        if options.scheduler_file:
            return join.plan(options, options.scheduler_file)
        return job.plan(options)
