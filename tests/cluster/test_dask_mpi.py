"""dask-mpi on one node and on several, with the scripts that users copy; `--on mpi` inside and outside a job."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import Completed, Job, SlurmSim
from tests.support import SimFor
from tests.support.mpi_site import await_file, install, left, submit

pytestmark = [pytest.mark.slurm_sim(cpus_per_node=8), pytest.mark.timeout(400)]

RUN = ("dask-hpc", "run", "monte-carlo-pi", "--on", "mpi", "--samples", "1e7")

CLIENT = """
import json, os, stat
from distributed import Client

def seen(dask_worker):
    return {
        "name": str(dask_worker.name), "threads": dask_worker.state.nthreads, "nanny": dask_worker.nanny is not None,
        "memory": dask_worker.memory_manager.memory_limit, "folder": dask_worker.local_directory,
        "node": os.uname().nodename, "address": dask_worker.address, "http": dask_worker.http_server.address,
    }

file = FILE
modes = [oct(stat.S_IMODE(os.stat(path).st_mode)) for path in (file, os.path.dirname(file))]
with Client(scheduler_file=file) as client:
    client.wait_for_workers(COUNT, timeout=100)
    workers = list(client.run(seen).values())
    total = client.submit(sum, [1, 2, 3]).result()
    client.shutdown()
print(json.dumps({"modes": modes, "workers": workers, "total": total}))
"""


SCRIPT = """
from dask_hpc import RequestError, cluster

with cluster(on="mpi") as dask_cluster:
    print("workers", len(dask_cluster.client.nthreads()), dask_cluster.client.submit(sum, [1, 2]).result())
    try:
        dask_cluster.scale(3)
    except RequestError as error:
        print(error.message)
print("after")
"""


@pytest.fixture(scope="module")
def site(slurm_sim_for: SimFor, request: pytest.FixtureRequest, root: Path) -> SlurmSim:
    """Nodes with eight cores, and the scripts in the user's home."""
    sim = slurm_sim_for(request)
    install(sim, root)
    return sim


@pytest.fixture
def sim(site: SlurmSim, slurm_sim: SlurmSim) -> SlurmSim:
    """The site, with an empty queue."""
    assert site is slurm_sim
    return slurm_sim


def joined(sim: SlurmSim, folder: str, count: int) -> dict[str, Any]:
    """Connect from the login node as the script's log says, wait for the workers, and shut the cluster down."""
    program = CLIENT.replace("FILE", repr(f"{folder}/scheduler.json")).replace("COUNT", str(count))
    config = {"DASK_CONFIG": f"{folder}/dask.yaml"}
    found: dict[str, Any] = json.loads(sim.exec("python", "-c", program, env=config, timeout=120).stdout)
    assert found["total"] == 6
    assert found["modes"] == ["0o600", "0o700"]
    assert all(worker["folder"].startswith("/tmp/") for worker in found["workers"])
    assert all(worker["address"].startswith("tls://") for worker in found["workers"])
    assert not any(worker["nanny"] for worker in found["workers"])
    return found


def assert_completed(job: Job) -> None:
    """Assert that the job completes without a traceback, and leaves nothing on any node."""
    assert job.wait(150).state == "COMPLETED", job.output()
    assert "Traceback" not in job.output(), job.output()
    assert left(job.engine) == ""


def test_tutorial_job_shares_resources_among_workers(sim: SlurmSim) -> None:
    """With eight `mpirun` ranks on one node, seven workers share seven eighths of the job's cores and memory."""
    job = submit(sim, "dask-mpi.sbatch")
    folder = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}"
    await_file(sim, f"{folder}/scheduler.json", job)
    workers = joined(sim, folder, 7)["workers"]
    assert_completed(job)
    assert len({worker["name"] for worker in workers}) == 7
    assert sum(worker["threads"] for worker in workers) == 7
    assert sum(worker["memory"] for worker in workers) == 7 * (4096 << 20) // 8


@pytest.mark.parametrize(
    ("nodes", "per_node"),
    [
        (2, 2),
        pytest.param(4, 2, marks=pytest.mark.slurm_sim(nodes=4)),
        pytest.param(8, 1, marks=pytest.mark.slurm_sim(nodes=8)),
    ],
)
def test_runs_over_several_nodes(sim: SlurmSim, nodes: int, per_node: int) -> None:
    """With `srun` over two, four and eight nodes, threads and memory follow --cpus-per-task and --mem-per-cpu."""
    options = (f"--nodes={nodes}", f"--ntasks-per-node={per_node}", "--cpus-per-task=2")
    job = submit(sim, "dask-mpi-nodes.sbatch", *options)
    folder = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}.0"
    await_file(sim, f"{folder}/scheduler.json", job)
    workers = joined(sim, folder, nodes * per_node - 1)["workers"]
    assert_completed(job)
    assert {(worker["threads"], worker["memory"]) for worker in workers} == {(2, 1000 << 20)}
    assert {worker["http"] for worker in workers} == {"localhost"}
    assert len({worker["node"] for worker in workers}) == (nodes if per_node > 1 else nodes - 1)


def test_runs_workload_and_cluster_in_one_job(sim: SlurmSim) -> None:
    """In the batch form, rank 1 runs the workload, only rank 1 prints, and the job gets its exit status."""
    job = submit(sim, "dask-mpi-workload.sbatch")
    ended = job.wait(150)
    text = job.output()
    assert ended.state == "COMPLETED", text
    assert text.startswith("Dask cluster (mpi)")
    assert text.count("monte-carlo-pi: samples") == 1
    assert "ok     serial and parallel count the same" in text
    assert f"jobs {job.id}" in text
    for word in ("Traceback", "INFO", "WARNING", "Error"):
        assert word not in text
    assert left(sim) == ""


def attached(sim: SlurmSim, *options: str, **how: Any) -> Completed:
    return sim.exec(*RUN, *options, timeout=150, **how)


def test_runs_from_login_node(sim: SlurmSim) -> None:
    """One job is submitted, found by its scheduler file, and ends COMPLETED; the result describes the MPI world."""
    result = json.loads(attached(sim, "--ranks-per-node=2", "--threads=2", "--json").stdout)
    cluster = result["cluster"]
    assert result["ok"]
    assert (cluster["kind"], cluster["workers"], cluster["threads"], cluster["tls"]) == ("mpi", 3, 6, True)
    assert cluster["nodes"] == ["c1", "c2"]
    assert cluster["settings"]["world"] == 4
    assert cluster["settings"]["mpi"].startswith("Open MPI v")
    assert [sim.job(int(job["id"])).record().state for job in cluster["jobs"]] == ["COMPLETED"]
    logs = sim.exec("sh", "-c", f"cat {shlex.quote(result['folder'])}/logs/*").stdout
    assert "PRIVATE KEY" not in logs
    assert "Traceback" not in logs
    assert left(sim) == ""


def test_concurrent_runs_are_isolated(sim: SlurmSim) -> None:
    """Two concurrent runs each use only their own job's workers."""
    one = shlex.join([*RUN, "--nodes=1", "--ranks-per-node=3", "--json"])
    done = sim.exec("bash", "-c", f"{one} >1 2>one.log & {one} >2 2>two.log; wait; cat 1 2", timeout=200)
    first, second = (json.loads(line)["cluster"] for line in done.stdout.replace("}{", "}\n{").splitlines())
    assert first["workers"] == second["workers"] == 2
    assert first["jobs"] != second["jobs"]
    assert left(sim) == ""


def test_no_tls_warns_once(sim: SlurmSim) -> None:
    """`--no-tls` works inside a job step too, and prints one warning."""
    done = sim.exec("srun", "--mpi=pmix", "-n3", *RUN, "--no-tls", "--json", timeout=120)
    assert json.loads(done.stdout)["cluster"]["tls"] is False
    assert done.stderr.count("Warning: no TLS") == 1
    assert left(sim) == ""


def test_script_in_step_has_its_ranks_as_workers(sim: SlurmSim) -> None:
    """With `cluster(on="mpi")` in a script under srun, rank 1 continues the script, and all other ranks serve it."""
    done = sim.exec("srun", "--mpi=pmix", "-n4", "python", "-c", SCRIPT, timeout=120)
    assert "workers 2 3\nA Dask cluster on MPI cannot be scaled" in done.stdout
    assert done.stdout.splitlines().count("after") == 1
    assert "Traceback" not in done.stderr
    assert left(sim) == ""


def test_rejected_run_ends_all_ranks(sim: SlurmSim) -> None:
    """If the run is rejected before Dask starts, the ranks that wait for the workload's rank end too."""
    done = sim.exec("srun", "--mpi=pmix", "-n4", *RUN, "--results=/proc/none", check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("The results folder /proc/none/monte-carlo-pi is not writable.") == 1
    assert "Traceback" not in done.stderr
    assert left(sim) == ""


def test_attaches_to_running_cluster(sim: SlurmSim) -> None:
    """Two runs use one dask-mpi cluster and leave it running; once its job has ended, its scheduler file is stale."""
    job = submit(sim, "dask-mpi-nodes.sbatch")
    folder = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}.0"
    await_file(sim, f"{folder}/scheduler.json", job)
    for _ in range(2):
        result = json.loads(attached(sim, f"--scheduler-file={folder}/scheduler.json", "--json").stdout)
        assert (result["cluster"]["workers"], result["cluster"]["jobs"][0]["id"]) == (3, str(job.id))
    sim.exec("cp", f"{folder}/scheduler.json", "old.json")
    job.cancel()
    job.wait(150)
    done = attached(sim, "--scheduler-file=old.json", check=False)
    assert done.returncode == 1
    assert f"is stale.\nIt belongs to job {job.id}, which has ended: " in done.stderr
    assert left(sim) == ""
