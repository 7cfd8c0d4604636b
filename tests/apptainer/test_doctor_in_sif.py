"""doctor, jobqueue-config and the MPI rank check from the SIF, on bare nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim

COMPUTE = """
import socket
from dask_jobqueue import SLURMCluster
from distributed import Client

if __name__ == "__main__":
    with SLURMCluster(security=True) as cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=150)
        print(*sorted(client.run(socket.gethostname).values()))
"""


@pytest.fixture(scope="module")
def launcher(root: Path, bare: SlurmSim) -> Iterator[str]:
    """The launcher in a folder of the login node's shared home."""
    bare.exec("mkdir", "doctor")
    bare.put(root / "apptainer/site/dask-hpc", "/home/hpc/doctor/dask-hpc")
    yield "/home/hpc/doctor/dask-hpc"
    bare.exec("rm", "-r", "doctor", ".config/dask/jobqueue.yaml")


def test_doctor_passes_through_bridge(bare: SlurmSim, shared: str, launcher: str) -> None:
    """Every check is ok: jobs pass through the bridge, nodes have Apptainer and the same SIF, and ranks connect."""
    done = bare.exec(launcher, "--sif", shared, "doctor", "--json", check=False, timeout=100)
    found = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    assert [one for one in found.values() if one["status"] != "ok"] == []
    assert done.returncode == 0
    assert found["sbatch"]["seen"] == "through the launcher's bridge"
    assert found["environment on nodes"]["seen"] == "the same on 2 nodes"
    assert "2 ranks" in found["MPI ranks"]["seen"]


def test_jobqueue_config_starts_workers_in_sif(bare: SlurmSim, shared: str, launcher: str) -> None:
    """After jobqueue-config, SLURMCluster starts workers in the SIF on both nodes, over TLS."""
    bare.exec(launcher, "--sif", shared, "jobqueue-config", timeout=100)
    bare.exec("sh", "-c", "cat >doctor/compute.py", stdin=COMPUTE)
    done = bare.exec(launcher, "--sif", shared, "exec", "python", "doctor/compute.py", timeout=100)
    assert done.stdout.split() == ["c1", "c2"]


@pytest.mark.parametrize("options", [("--mpi=none", "-n4"), ("--mpi=pmix", "-n2")], ids=["no PMIx", "--cleanenv"])
def test_singleton_ranks_fail_in_sif(bare: SlurmSim, shared: str, options: tuple[str, str]) -> None:
    """Every rank fails without PMIx, or if --cleanenv removes its variables, even with one task per node."""
    clean = ["--cleanenv"] if "--mpi=pmix" in options else []
    each = '"$@" 2>message.$SLURM_PROCID; echo $?'
    check = ["apptainer", "exec", *clean, shared, "python", "-m", "dask_hpc.mpi"]
    done = bare.exec("srun", "-N2", *options, "bash", "-c", each, "-", *check, timeout=150)
    said = bare.exec("sh", "-c", "cat message.*; rm message.*").stdout
    assert set(done.stdout.split()) == {"1"}
    assert "What to do: " in said
    assert ("cleaned" if clean else "srun --mpi=none") in said
