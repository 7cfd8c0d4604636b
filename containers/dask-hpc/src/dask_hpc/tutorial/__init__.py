"""The tutorial's workloads: run them on a Dask cluster, check what they found, and report it.

A workload is a script that uses Dask's own API, and knows nothing of this package. A file of checks beside it may say
more, by what is declared here::

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
