"""dask-mpi in the SIF on bare nodes, with the same scripts as on baked nodes, and with the launcher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from tests.support import mpi_site
from tests.support.launcher import install, launch
from tests.support.mpi_site import await_file, left

pytestmark = pytest.mark.timeout(300)

SHUT_DOWN = """
from distributed import Client
with Client(scheduler_file=FILE) as client:
    client.wait_for_workers(COUNT, timeout=100)
    workers = client.scheduler_info(-1)["workers"].values()
    print(sorted(client.nthreads().values()), sorted({worker["memory_limit"] for worker in workers}))
    client.shutdown()
"""


@pytest.fixture(scope="module")
def folder(bare: SlurmSim, shared: str, root: Path) -> Iterator[str]:
    """A shared folder with the SIF, the launcher and the scripts."""
    install(bare)
    name = "/home/hpc/dask mpi"
    bare.exec("mkdir", "-p", name)
    mpi_site.install(bare, root, name)
    bare.exec("ln", "-sf", shared, f"{name}/dask-hpc.sif")
    yield name
    bare.exec("rm", "-r", name)


@pytest.mark.parametrize(
    ("script", "options", "step", "ranks"),
    [("dask-mpi.sbatch", ["--ntasks-per-node=2"], "", 2), ("dask-mpi-nodes.sbatch", [], ".0", 4)],
)
def test_client_in_sif_joins_and_ends_cluster(
    bare: SlurmSim, shared: str, folder: str, script: str, options: list[str], step: str, ranks: int
) -> None:
    """With mpirun on one node or srun on two, a client in the SIF on the login node joins, and ends the cluster."""
    job = mpi_site.submit(bare, script, *options, folder=folder)
    place = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}{step}"
    await_file(bare, f"{place}/scheduler.json", job)
    program = SHUT_DOWN.replace("FILE", repr(f"{place}/scheduler.json")).replace("COUNT", str(ranks - 1))
    client = ("apptainer", "exec", shared, "python", "-c", program)
    seen = bare.exec(*client, env={"DASK_CONFIG": f"{place}/dask.yaml"}, timeout=120).stdout
    memory = (4096 << 20) // 2 if step == "" else 500 << 20
    assert seen == f"{[1] * (ranks - 1)} [{memory}]\n"
    assert job.wait(150).state == "COMPLETED", job.output()
    assert "Traceback" not in job.output()
    assert left(bare) == ""


def test_runs_workload_and_cluster_in_one_job(bare: SlurmSim, folder: str) -> None:
    """The batch form runs in the SIF as it does on a baked node."""
    job = mpi_site.submit(bare, "dask-mpi-workload.sbatch", folder=folder)
    assert job.wait(150).state == "COMPLETED", job.output()
    assert "ok     serial and parallel count the same" in job.output()
    assert left(bare) == ""


def test_launcher_runs_from_login_node(bare: SlurmSim, shared: str, folder: str) -> None:
    """The launcher submits one job whose ranks run in the SIF, and the job ends COMPLETED."""
    run = ("run", "monte-carlo-pi", "--on", "mpi", "--samples", "1e7", "--ranks-per-node=2", "--json")
    done = launch(bare, shared, *run, timeout=200)
    cluster = json.loads(done.stdout)["cluster"]
    assert (cluster["kind"], cluster["workers"], cluster["nodes"], cluster["tls"]) == ("mpi", 3, ["c1", "c2"], True)
    assert bare.job(int(cluster["jobs"][0]["id"])).record().state == "COMPLETED"
    assert "apptainer exec --cleanenv --bind" in done.stderr
    assert left(bare) == ""
