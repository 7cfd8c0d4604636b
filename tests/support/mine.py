"""A virtual environment over ours, and a driver that asks its workers which environment they are in."""

from __future__ import annotations

MINE = "/home/hpc/envs/mine"
OURS = """
import sys
from dask_hpc import cluster

def where():
    import alpha
    return sys.prefix, alpha.version

with cluster(on=sys.argv[1]) as dask_cluster:
    client = dask_cluster.client
    print(*sorted(set(client.run(where).values())))
"""
