"""The tutorial's workloads: run them on a Dask cluster, check what they found, and report it.

A workload is a script that uses Dask's own API; what it needs of this package is declared here::

    from dask_hpc.tutorial import Check, Count, Outcome, cores_at_work, workload
"""

from dask_hpc.tutorial.cores import blas_threads, cores_at_work, efficiency
from dask_hpc.tutorial.notebook import draw
from dask_hpc.tutorial.pictures import Bars, Grid, Lines, Picture, Points
from dask_hpc.tutorial.results import Check
from dask_hpc.tutorial.traffic import Traffic, traffic
from dask_hpc.tutorial.workload import Need, Outcome, Workload, workload
from dask_hpc.units import Count, Memory

__all__ = [
    "Bars",
    "Check",
    "Count",
    "Grid",
    "Lines",
    "Memory",
    "Need",
    "Outcome",
    "Picture",
    "Points",
    "Traffic",
    "Workload",
    "blas_threads",
    "cores_at_work",
    "draw",
    "efficiency",
    "traffic",
    "workload",
]
