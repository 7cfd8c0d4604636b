"""Run the tutorial's workloads on Dask, on one machine or on Slurm, and keep what came out.

A workload is a script that uses Dask's own API; what it needs of this package is declared here::

    from dask_hpc import Check, Count, Outcome, cores_at_work, workload
"""

from dask_hpc.blas import blas_threads
from dask_hpc.errors import ClusterError, DaskHpcError, RequestError
from dask_hpc.notebook import cluster, draw
from dask_hpc.params import Count, Memory
from dask_hpc.pictures import Bars, Grid, Lines, Picture, Points
from dask_hpc.results import Check
from dask_hpc.traffic import Traffic, traffic
from dask_hpc.workload import Need, Outcome, Workload, cores_at_work, efficiency, workload

__all__ = [
    "Bars",
    "Check",
    "ClusterError",
    "Count",
    "DaskHpcError",
    "Grid",
    "Lines",
    "Memory",
    "Need",
    "Outcome",
    "Picture",
    "Points",
    "RequestError",
    "Traffic",
    "Workload",
    "blas_threads",
    "cluster",
    "cores_at_work",
    "draw",
    "efficiency",
    "traffic",
    "workload",
]
