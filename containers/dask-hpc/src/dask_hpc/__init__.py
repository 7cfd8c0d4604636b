"""Run the tutorial's workloads on Dask, on one machine or on Slurm, and keep what came out.

A workload is a script that uses Dask's own API; what it needs of this package is declared here::

    from dask_hpc import Check, Count, Outcome, cores_at_work, workload
"""

from dask_hpc.params import Count
from dask_hpc.results import Check
from dask_hpc.workload import Outcome, Workload, cores_at_work, workload

__all__ = ["Check", "Count", "Outcome", "Workload", "cores_at_work", "workload"]
