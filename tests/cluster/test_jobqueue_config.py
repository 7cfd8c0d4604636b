"""`dask-hpc jobqueue-config` on a real Slurm: `SLURMCluster()` needs nothing but the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from slurm_sim import SlurmSim

FILE = ".config/dask/jobqueue.yaml"
COMPUTE = """
import json, socket, sys
from dask_jobqueue import SLURMCluster
from distributed import Client

if __name__ == "__main__":
    with SLURMCluster(**json.loads(sys.argv[1])) as cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=150)
        squares = client.gather(client.map(lambda number: number**2, range(10)))
        seen = {"sum": sum(squares), "nodes": sorted(client.run(socket.gethostname).values())}
        seen["threads"] = sorted(client.nthreads().values())
        seen["interface"], seen["script"] = cluster.scheduler_address, cluster.job_script()
    print(json.dumps(seen))
"""


@pytest.fixture
def home(slurm_sim: SlurmSim) -> Iterator[SlurmSim]:
    """The mini-cluster, without Dask configuration before and after."""
    clean = ("rm", "-rf", FILE, ".dask-hpc/logs", "compute.py", "other.yaml")
    slurm_sim.exec(*clean)
    yield slurm_sim
    slurm_sim.exec(*clean)


@pytest.mark.parametrize("arguments", [{}, {"security": True}], ids=["no arguments", "TLS"])
def test_slurmcluster_needs_no_arguments(home: SlurmSim, arguments: dict[str, bool]) -> None:
    """With the file in place, SLURMCluster starts whole-node jobs on two nodes and computes, also over TLS."""
    assert "written" in home.exec("dask-hpc", "jobqueue-config", timeout=150).stderr
    home.exec("sh", "-c", "cat >compute.py", stdin=COMPUTE)
    done = home.exec("python", "compute.py", json.dumps(arguments), timeout=100)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["sum"] == 285
    assert seen["nodes"] == ["c1", "c2"]
    assert seen["threads"] == [2, 2]
    assert seen["interface"].startswith("tls://" if arguments else "tcp://")
    assert "#SBATCH --mem=4G\n" in seen["script"]
    assert "--interface eth0" in seen["script"]
    assert home.exec("sh", "-c", "ls -d .dask-jobqueue* 2>/dev/null", check=False).stdout == "", "no key stays"


def test_arguments_override_file(home: SlurmSim) -> None:
    """In the job script, SLURMCluster's arguments override the file."""
    home.exec("dask-hpc", "jobqueue-config", "--no-job", timeout=150)
    given = 'cores=1, memory="1GB", walltime="5", queue="other", account="chem", job_extra_directives=["--exclusive"]'
    program = f"from dask_jobqueue import SLURMCluster; print(SLURMCluster({given}).job_script())"
    script = home.exec("python", "-c", program).stdout
    for line in ("--cpus-per-task=1", "--mem=954M", "-t 5", "-p other", "-A chem", "--exclusive"):
        assert f"#SBATCH {line}\n" in script


def test_keeps_edited_file(home: SlurmSim) -> None:
    """An edited file is kept, the difference is shown, and the command fails; `--force` overwrites the file."""
    home.exec("dask-hpc", "jobqueue-config", "--no-job", timeout=150)
    home.exec("sed", "-i", "s/cores: 2/cores: 1/", FILE)
    done = home.exec("dask-hpc", "jobqueue-config", "--no-job", check=False, timeout=150)
    assert done.returncode == 2
    assert "-    cores: 1" in done.stderr
    assert "+    cores: 2" in done.stderr
    assert "--force" in done.stderr
    assert "cores: 1" in home.exec("cat", FILE).stdout
    home.exec("dask-hpc", "jobqueue-config", "--no-job", "--force", timeout=150)
    assert "cores: 2" in home.exec("cat", FILE).stdout


def test_prints_to_standard_output(home: SlurmSim) -> None:
    """`--output -` prints what Slurm reports about its partition, accounts and --mem, and writes no file."""
    done = home.exec("dask-hpc", "jobqueue-config", "--output", "-", timeout=150)
    assert done.stderr == ""
    for words in (
        "general: 2 nodes of 2 cores, 4096 MiB",
        'queue: "general"',
        "keeps no accounts",
        "sbatch accepts all directives",
    ):
        assert words in done.stdout
    assert home.exec("ls", FILE, check=False).returncode != 0


def test_rejects_unknown_partition(home: SlurmSim) -> None:
    """An unknown partition is rejected, and the error lists the existing ones."""
    done = home.exec("dask-hpc", "jobqueue-config", "--partition", "banana", check=False, timeout=150)
    assert done.returncode == 2
    assert "banana" in done.stderr
    assert "Available: general" in done.stderr
    assert "Traceback" not in done.stderr
