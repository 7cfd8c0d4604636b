"""Workers and ranks run in their driver's virtual environment, on every node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from slurm_sim import SlurmSim
from tests.support import tiny
from tests.support.mine import MINE, OURS

pytestmark = pytest.mark.timeout(400)

JOBQUEUE = """
import sys
from dask_jobqueue import SLURMCluster
from distributed import Client

def where():
    import alpha
    return sys.prefix, alpha.version

jobs = {"cores": 1, "memory": "500MB", "interface": "eth0", "log_directory": "logs"}
with SLURMCluster(**jobs) as cluster, Client(cluster) as client:
    cluster.scale(jobs=2)
    client.wait_for_workers(2, timeout=150)
    print(*sorted(set(client.run(where).values())))
"""
DASK_MPI = """
import sys
import dask_mpi
from distributed import Client

def where():
    import alpha
    return sys.prefix, alpha.version

dask_mpi.initialize(worker_class="distributed.Worker", dashboard=False)
with Client() as client:
    client.wait_for_workers(2)
    print(*sorted(set(client.run(where).values())))
"""
SEEN = f"('{MINE}', '1.0')"


@pytest.fixture(scope="module")
def home(
    slurm_sim_for: object, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SlurmSim]:
    """The mini-cluster, with a virtual environment that adds one package."""
    sim: SlurmSim = slurm_sim_for(request)  # type: ignore[operator]
    wheel = tiny.wheel(tmp_path_factory.mktemp("wheels"), "alpha")
    sim.put(wheel, f"/home/hpc/{wheel.name}")
    sim.exec("python", "-m", "venv", "--system-site-packages", MINE, timeout=150)
    sim.exec(f"{MINE}/bin/pip", "install", "--quiet", "--no-index", f"/home/hpc/{wheel.name}", timeout=150)
    yield sim
    sim.exec("rm", "-rf", "envs", wheel.name, "driver.py", "logs")


def run(sim: SlurmSim, program: str, *command: str) -> str:
    """Run a program as driver.py, and return the last line that it prints."""
    sim.exec("sh", "-c", "cat >driver.py", stdin=program)
    return sim.exec(*command, timeout=200).stdout.splitlines()[-1]


def test_slurmcluster_workers_run_in_it(home: SlurmSim) -> None:
    """A plain `SLURMCluster` uses the driver's Python."""
    assert run(home, JOBQUEUE, f"{MINE}/bin/python", "driver.py") == SEEN


@pytest.mark.parametrize("on", ["local", "slurm", "mpi"])
def test_cluster_workers_run_in_it(home: SlurmSim, on: str) -> None:
    """`dask_hpc.cluster` starts workers in it, with every backend."""
    assert run(home, OURS, f"{MINE}/bin/python", "driver.py", on) == SEEN


@pytest.mark.parametrize(
    "launch",
    [
        ("srun", "--quiet", "--mpi=pmix", "-N2", "-n4", f"{MINE}/bin/python"),
        ("mpirun", "-n", "4", f"{MINE}/bin/python"),
    ],
    ids=["srun", "mpirun"],
)
def test_dask_mpi_ranks_run_in_it(home: SlurmSim, launch: tuple[str, ...]) -> None:
    """Ranks that srun or mpirun starts are workers in it."""
    assert run(home, DASK_MPI, *launch, "driver.py") == SEEN


@pytest.mark.parametrize("on", ["slurm", "mpi"])
def test_result_names_added_packages(home: SlurmSim, on: str) -> None:
    """In a virtual environment, the result lists packages added to the locked one, which are not drift."""
    words = f"dask-hpc run monte-carlo-pi --on {on} --samples 1e5 --no-serial --json"
    done = home.exec("bash", "-c", f". {MINE}/bin/activate; {words}", timeout=200)
    found = json.loads(done.stdout)["environment"]
    assert (found["venv"], found["added"], found["replaced"]) == (MINE, {"alpha": "1.0"}, {})
    assert len(found["lock_sha256"]) == 64
