"""Users' own shells, packages and scripts in the SIF, with and without the launcher."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from slurm_sim import SlurmSim
from tests.apptainer.conftest import Inside
from tests.support import tiny
from tests.support.launcher import COMMAND, install, launch, left
from tests.support.mine import MINE, OURS

pytestmark = pytest.mark.timeout(400)

ASK = "command -v python; command -v dask-hpc; echo $OMP_NUM_THREADS $PMIX_MCA_gds"
THERE = "/opt/env/bin/python\n/opt/env/bin/dask-hpc\n1 hash\n"
JOBQUEUE = """
import os, sys
from dask_jobqueue import SLURMCluster
from distributed import Client

def where():
    import alpha
    return sys.prefix, alpha.version

with SLURMCluster(LOGS) as cluster, Client(cluster) as client:
    cluster.scale(jobs=2)
    client.wait_for_workers(2, timeout=150)
    print(*sorted(set(client.run(where).values())))
"""
SEEN = f"('{MINE}', '1.0')"


@pytest.mark.parametrize(
    "shell",
    [("bash", "-lc"), ("bash", "-ic"), ("sh", "-lc"), ("env", "-i", "HOME=/home/hpc", "bash", "-lc")],
    ids=" ".join,
)
def test_environment_is_active_in_shells(inside: Inside, shell: tuple[str, ...]) -> None:
    """Login, interactive and clean shells have the environment's commands and variables."""
    assert inside(*shell, ASK).stdout == THERE


@pytest.fixture(scope="module")
def site(bare: SlurmSim) -> SlurmSim:
    """The bare mini-cluster, with the launcher."""
    install(bare)
    return bare


def test_login_shell_keeps_slurm_commands(site: SlurmSim, shared: str) -> None:
    """Under the launcher, a login shell still finds the stand-ins for Slurm's commands."""
    done = launch(site, shared, "exec", "bash", "-lc", "command -v sbatch; sinfo --noheader --format=%P")
    assert done.stdout == "/opt/env/libexec/dask-hpc/bin/sbatch\ngeneral*\n"


@pytest.fixture(scope="module")
def home(site: SlurmSim, shared: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmSim]:
    """The site, with a virtual environment that adds one package to the SIF's."""
    wheel = tiny.wheel(tmp_path_factory.mktemp("wheels"), "alpha")
    site.put(wheel, f"/home/hpc/{wheel.name}")
    make = f"python -m venv --system-site-packages {MINE} && {MINE}/bin/pip install --quiet --no-index ./{wheel.name}"
    launch(site, shared, "exec", "sh", "-c", make)
    yield site
    site.exec("rm", "-rf", "envs", wheel.name, "driver.py", "logs", ".config/dask")


def run(sim: SlurmSim, shared: str, program: str, *arguments: str) -> str:
    """Run a program as driver.py in the virtual environment, through the launcher; return its last line."""
    sim.exec("sh", "-c", "cat >driver.py", stdin=program)
    done = launch(sim, shared, "exec", f"{MINE}/bin/python", "driver.py", *arguments, timeout=250)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("on", ["slurm", "mpi"])
def test_workers_run_in_virtual_environment(home: SlurmSim, shared: str, on: str) -> None:
    """Jobs start the SIF on their nodes, and in it the virtual environment's Python."""
    assert run(home, shared, OURS, on) == SEEN
    assert left(home) == ""


def test_slurmcluster_workers_run_in_virtual_environment(home: SlurmSim, shared: str) -> None:
    """After `jobqueue-config` in the virtual environment, a plain `SLURMCluster` starts workers in it."""
    launch(home, shared, "exec", f"{MINE}/bin/python", "-m", "dask_hpc", "jobqueue-config", timeout=150)
    assert run(home, shared, JOBQUEUE.replace("LOGS", "")) == SEEN
    assert left(home) == ""


def test_ranks_run_in_virtual_environment(home: SlurmSim, shared: str) -> None:
    """Without the launcher, srun starts the SIF, and in it the virtual environment's Python."""
    code = "import alpha, sys; from mpi4py import MPI; print(sys.prefix, MPI.COMM_WORLD.size)"
    srun = (
        "srun",
        "--quiet",
        "--mpi=pmix",
        "-N2",
        "-n2",
        "apptainer",
        "exec",
        shared,
        f"{MINE}/bin/python",
        "-c",
        code,
    )
    assert home.exec(*srun, timeout=150).stdout == f"{MINE} 2\n" * 2


def test_active_virtual_environment_reaches_launcher(home: SlurmSim, shared: str) -> None:
    """`./dask-hpc run` uses the environment activated outside the SIF, and the result lists added packages."""
    words = f"{COMMAND} run monte-carlo-pi --on slurm --jobs 1 --samples 1e5 --no-serial --json"
    script = f". {MINE}/bin/activate && {words}"
    done = home.exec("bash", "-c", script, env={"DASK_HPC_SIF": shared}, timeout=200)
    found = json.loads(done.stdout)["environment"]
    assert (found["venv"], found["added"], found["replaced"]) == (MINE, {"alpha": "1.0"}, {})


def test_variables_set_in_sif_reach_jobs(site: SlurmSim, shared: str) -> None:
    """Variables set in the SIF reach jobs; the SIF's own variables do not, because jobs start outside it."""
    script = """
export FOO='a b' OMP_NUM_THREADS=3
sbatch --quiet --wait --output=job.out --wrap 'echo "$FOO|$OMP_NUM_THREADS|$MKL_NUM_THREADS|$APPTAINER_NAME|$PATH"'
srun --quiet sh -c 'echo "$FOO|$OMP_NUM_THREADS|$MKL_NUM_THREADS|$APPTAINER_NAME|$PATH"'
"""
    done = launch(site, shared, "exec", "sh", "-c", script)
    path = site.exec("printenv", "PATH").stdout.strip()
    assert done.stdout == site.exec("cat", "job.out").stdout == f"a b|3|||{path}\n"


def test_scontrol_changes_own_jobs(site: SlurmSim, shared: str) -> None:
    """From the SIF, a user can change, release and cancel a job; administrative commands are refused."""
    script = """
job=$(sbatch --parsable --hold --wrap true)
scontrol update jobid=$job comment=mine && scontrol show job $job | grep --only-matching 'Comment=mine'
scontrol release $job && scontrol wait_job $job; scancel $job
scontrol reconfigure; echo $?
"""
    done = launch(site, shared, "exec", "sh", "-c", script)
    assert done.stdout == "Comment=mine\n126\n"
    site.cancel_all()


@pytest.mark.parametrize("where", ["home", "working directory"])
def test_works_behind_links(site: SlurmSim, shared: str, where: str) -> None:
    """A home or working directory that is a symbolic link is used under the link's name."""
    site.exec("sh", "-c", "mkdir -p /home/hpc/real && ln -sfn /home/hpc/real /home/hpc/link")
    env = {"HOME": "/home/hpc/link"} if where == "home" else {}
    run = ("run", "monte-carlo-pi", "--on", "slurm", "--samples", "1e5", "--no-serial", "--json")
    done = launch(site, shared, *run, env=env, workdir="/home/hpc/link")
    result = json.loads(done.stdout)
    assert result["ok"]
    assert site.exec("ls", f"{result['folder']}/result.json").returncode == 0
    assert left(site) == ""
    site.exec("rm", "-r", "/home/hpc/real", "/home/hpc/link")
