"""The tutorial's workloads: run them on a Dask cluster, check the results, and write reports.

A workload is a script that uses Dask's own API and does not import this package. An optional file of checks for it
imports from here::

    from dask_hpc.tutorial import Check, Count, Outcome, checks, cores_at_work
"""

from dask_hpc.tutorial.cores import blas_threads, cores_at_work, efficiency
from dask_hpc.tutorial.notebook import draw
from dask_hpc.tutorial.pictures import Bars, Grid, Lines, Picture, Points
from dask_hpc.tutorial.results import Check
from dask_hpc.tutorial.traffic import Traffic, traffic
from dask_hpc.tutorial.workload import Need, Outcome, Workload, checks
from dask_hpc.units import Count, Counts, Memory

__all__ = [
    "Bars",
    "Check",
    "Count",
    "Counts",
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
    "checks",
    "cores_at_work",
    "draw",
    "efficiency",
    "traffic",
]
