"""A virtual environment on top of ours, and a driver that prints the environment of its workers."""

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
