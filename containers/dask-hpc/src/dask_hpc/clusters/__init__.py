"""Start Dask clusters. Each backend makes a plan from its options, shows it, and starts a cluster from it."""

from __future__ import annotations

from dask_hpc.clusters.base import Backend, Plan, Session
from dask_hpc.clusters.local import LocalBackend
from dask_hpc.clusters.mpi.backend import MpiBackend
from dask_hpc.clusters.slurm.backend import SlurmBackend
from dask_hpc.clusters.staying.backend import StayingBackend
from dask_hpc.clusters.staying.folder import ClusterFolder, folders
from dask_hpc.errors import RequestError, did_you_mean

__all__ = ["BACKENDS", "Backend", "Plan", "Session", "backend"]

BACKENDS: dict[str, Backend] = {one.name: one for one in (LocalBackend(), SlurmBackend(), MpiBackend())}
"""The values of `--on`, beside the names of the user's clusters that stay."""


def backend(name: str, prefix: str = "--on ") -> Backend:
    """Return the backend of that name, or that of the user's cluster of that name.

    Raises:
        RequestError: there is neither; the message begins with `prefix`.
    """
    if name in BACKENDS:
        return BACKENDS[name]
    if ClusterFolder(name).exists:
        return StayingBackend(name)
    names = [*BACKENDS, *(one.name for one in folders())]
    raise RequestError(
        f"{prefix}{name} is neither a backend nor a Dask cluster of yours.",
        f"Available: {', '.join(names)}",
        did_you_mean(name, names, prefix=prefix) or "'dask-hpc cluster start NAME' starts a cluster.",
    )
