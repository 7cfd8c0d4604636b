"""Start Dask clusters. Each backend makes a plan from its options, shows it, and starts a cluster from it."""

from __future__ import annotations

from dask_hpc.clusters.base import Backend, Plan, Session
from dask_hpc.clusters.local import LocalBackend
from dask_hpc.clusters.mpi.backend import MpiBackend
from dask_hpc.clusters.slurm.backend import SlurmBackend

__all__ = ["BACKENDS", "Backend", "Plan", "Session"]

# The values of --on.
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (LocalBackend(), SlurmBackend(), MpiBackend())}
