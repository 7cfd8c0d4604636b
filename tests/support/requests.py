"""Requests for jobs, planned from made-up sinfo output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dask_hpc.clusters.asked import Asked, asked
from dask_hpc.clusters.mpi import request as mpi
from dask_hpc.clusters.mpi.request import MpiJob
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm import request as slurm
from dask_hpc.clusters.slurm.request import WorkerJobs
from dask_hpc.slurm.nodes import parse_nodes

SLURM_SINFO = """\
c1|batch*|4|4000|idle|0/4/0/4|1:00:00
c2|batch*|2|4000|idle|0/2/0/2|1:00:00
c3|batch*|64|250000|down*|0/0/64/64|1:00:00
c4|batch*|8|16000|mixed|4/4/0/8|1:00:00
"""
MPI_SINFO = """\
c1|batch*|4|4000|idle|0/4/0/4|1:00:00
c2|batch*|4|4000|idle|0/4/0/4|1:00:00
c3|batch*|64|250000|down*|0/0/64/64|1:00:00
"""


def slurm_request(nodes: str = SLURM_SINFO, **given: Any) -> WorkerJobs:
    """Plan worker jobs for these nodes and options."""
    return slurm.make_request(
        asked(ClusterOptions(**given), {}, {"cpus-per-task": "cores"}),
        parse_nodes(nodes),
        interface=("eth0", "login is 172.18.0.2"),
        logs=Path.home() / ".dask-hpc" / "x",
    )


def mpi_asked(**given: Any) -> Asked:
    """Return the request that these options make."""
    return asked(ClusterOptions(**given), {}, {"nodes": "nodes"})


def mpi_request(**given: Any) -> MpiJob:
    """Plan a job of MPI ranks with these options."""
    return mpi.make_request(mpi_asked(**given), parse_nodes(MPI_SINFO), logs=Path("/home/me/.dask-hpc/one"))
