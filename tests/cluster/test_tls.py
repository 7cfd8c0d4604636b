"""Plain Dask over TLS: clusters open and close repeatedly without an error."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim

PROGRAM = """
import sys
from dask_jobqueue import SLURMCluster
from distributed import Client, LocalCluster

jobs = {"cores": 1, "memory": "400MB", "interface": "eth0", "log_directory": "logs", "shared_temp_directory": "."}
kinds = {"slurm": (SLURMCluster, jobs), "local": (LocalCluster, {"n_workers": 0})}
(kind, options), count = kinds[sys.argv[1]], int(sys.argv[2])
for number in range(count):
    with kind(security=True, **options) as cluster, Client(cluster) as client:
        cluster.scale(2)
        client.wait_for_workers(2, timeout=150)
        assert client.submit(sum, [number, 1]).result(timeout=60) == number + 1
        cluster.scale(1)
print("closed", count)
"""

BEATING = """
import asyncio
from distributed import Client, LocalCluster

async def heartbeats(dask_worker):
    async def forever():
        while dask_worker.periodic_callbacks["heartbeat"].is_running():
            await dask_worker.heartbeat()
    dask_worker.beating = [asyncio.ensure_future(forever()) for _ in range(10)]

with LocalCluster(security=True, n_workers=2) as cluster, Client(cluster) as client:
    client.run(heartbeats)
print("closed 1")
"""


def open_and_close(sim: SlurmSim, kind: str, count: int, timeout: float) -> None:
    """Open and close clusters of two workers, and retire one; assert that only the last line is printed."""
    done = sim.exec("python", "-c", PROGRAM, kind, str(count), timeout=timeout)
    assert (done.stdout, done.stderr) == (f"closed {count}\n", "")


@pytest.mark.parametrize("kind", ["slurm", "local"])
def test_clusters_with_tls_open_and_close(slurm_sim: SlurmSim, kind: str) -> None:
    """Clusters with `security=True` open and close without an error."""
    open_and_close(slurm_sim, kind, 5, timeout=200)


def test_heartbeats_in_flight_log_nothing(slurm_sim: SlurmSim) -> None:
    """Heartbeats that are in flight as a cluster closes are not logged as errors."""
    done = slurm_sim.exec("python", "-c", BEATING, timeout=100)
    assert (done.stdout, done.stderr) == ("closed 1\n", "")


@pytest.mark.soak(only=True)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["slurm", "local"])
def test_hundred_clusters_with_tls_open_and_close(slurm_sim: SlurmSim, kind: str) -> None:
    """An error that once broke one program in twelve does not occur in a hundred clusters."""
    open_and_close(slurm_sim, kind, 100, timeout=1100)
