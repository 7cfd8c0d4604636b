"""Start Dask clusters on one machine, on Slurm or on MPI, from a script or a notebook.

>>> from dask_hpc import cluster
>>> with cluster(on="slurm", jobs=2) as dask_cluster:
...     dask_cluster.client.submit(sum, [1, 2]).result()

`dask_hpc.mpi` has what an MPI program needs, `dask_hpc.collective` runs MPI inside of Dask's tasks, and
`dask_hpc.tutorial` is the harness of the workloads.
"""

from dask_hpc.clusters.cluster import DaskCluster, cluster
from dask_hpc.errors import ClusterError, CollectiveError, DaskHpcError, RequestError
from dask_hpc.mpi.check import check_world

__all__ = [
    "ClusterError",
    "CollectiveError",
    "DaskCluster",
    "DaskHpcError",
    "RequestError",
    "check_world",
    "cluster",
]
