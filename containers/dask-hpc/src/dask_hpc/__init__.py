"""Start Dask clusters on one machine, on Slurm or on MPI, from a script or a notebook.

>>> from dask_hpc import cluster
>>> with cluster(on="slurm", jobs=2) as dask_cluster:
...     dask_cluster.client.submit(sum, [1, 2]).result()

`dask_hpc.mpi` supports MPI programs, `dask_hpc.collective` runs MPI inside Dask tasks, and `dask_hpc.tutorial` is the
harness of the workloads.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.clusters.cluster import DaskCluster, cluster
    from dask_hpc.clusters.staying.attach import attach
    from dask_hpc.errors import ClusterError, CollectiveError, DaskHpcError, RequestError
    from dask_hpc.mpi.check import check_world

__all__ = [
    "ClusterError",
    "CollectiveError",
    "DaskCluster",
    "DaskHpcError",
    "RequestError",
    "attach",
    "check_world",
    "cluster",
]

_HOMES = {
    "ClusterError": "dask_hpc.errors",
    "CollectiveError": "dask_hpc.errors",
    "DaskCluster": "dask_hpc.clusters.cluster",
    "DaskHpcError": "dask_hpc.errors",
    "RequestError": "dask_hpc.errors",
    "attach": "dask_hpc.clusters.staying.attach",
    "check_world": "dask_hpc.mpi.check",
    "cluster": "dask_hpc.clusters.cluster",
}
_PUBLIC_MODULES = {"clusters", "collective", "errors", "mpi", "tutorial"}

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a name on first use: every MPI rank imports a part of this package, and few need the clusters."""
        if name in _HOMES:
            value: object = getattr(importlib.import_module(_HOMES[name]), name)
        elif name in _PUBLIC_MODULES:
            value = importlib.import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
