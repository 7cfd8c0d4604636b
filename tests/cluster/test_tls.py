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


def open_and_close(sim: SlurmSim, kind: str, count: int, timeout: float) -> None:
    """Open and close clusters of two workers, and retire one; assert that only the last line is printed."""
    done = sim.exec("python", "-c", PROGRAM, kind, str(count), timeout=timeout)
    assert (done.stdout, done.stderr) == (f"closed {count}\n", "")


@pytest.mark.parametrize("kind", ["slurm", "local"])
def test_clusters_with_tls_open_and_close(slurm_sim: SlurmSim, kind: str) -> None:
    """Clusters with `security=True` open and close without an error."""
    open_and_close(slurm_sim, kind, 5, timeout=200)


@pytest.mark.soak(only=True)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["slurm", "local"])
def test_hundred_clusters_with_tls_open_and_close(slurm_sim: SlurmSim, kind: str) -> None:
    """An error that once broke one program in twelve does not occur in a hundred clusters."""
    open_and_close(slurm_sim, kind, 100, timeout=1100)
