"""However a dask-mpi job ends, it leaves no process and no job, and its log gives the reason."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from slurm_sim import Job, SlurmSim
from tests.support import SimFor, endless
from tests.support.jobs import sbatch
from tests.support.mpi_site import await_file, install, left, submit
from tests.support.waiting import until_in

pytestmark = [pytest.mark.slurm_sim(cpus_per_node=4, scope="module"), pytest.mark.timeout(400)]

RAISES = '''
def main(client):
    """Fail."""
    def fail():
        raise ZeroDivisionError("on purpose")
    return client.submit(fail, pure=False).result()
'''


@pytest.fixture(scope="module")
def site(slurm_sim_for: SimFor, request: pytest.FixtureRequest, root: Path) -> SlurmSim:
    """Two nodes, the site's scripts, and a workload that fails."""
    sim = slurm_sim_for(request)
    install(sim, root)
    sim.exec("sh", "-c", "mkdir -p workloads && cat >workloads/raises.py", stdin=RAISES)
    return sim


@pytest.fixture
def sim(site: SlurmSim, slurm_sim: SlurmSim) -> SlurmSim:
    """The site, with an empty queue."""
    assert site is slurm_sim
    return slurm_sim


def running(sim: SlurmSim) -> Job:
    """Start a dask-mpi cluster of four ranks on two nodes, and wait for its workers."""
    job = submit(sim, "dask-mpi-nodes.sbatch")
    folder = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}.0"
    await_file(sim, f"{folder}/scheduler.json", job)
    await_text(job, "Register worker", 3)
    return job


def await_text(job: Job, text: str, times: int = 1, timeout: float = 150) -> None:
    """Return when the job's output contains a text the given number of times."""
    deadline = time.monotonic() + timeout
    while job.output().count(text) < times:
        assert time.monotonic() < deadline, job.output()
        time.sleep(0.1)  # a log sends no event when it grows


def hosts(job: Job) -> list[str]:
    """Return the job's two nodes, that of ranks 0 and 1 first; Slurm chooses which one it is."""
    shown = job.engine.exec("scontrol", "show", "job", str(job.id)).stdout
    first = shown.partition("BatchHost=")[2].split()[0]
    return sorted(["c1", "c2"], key=lambda node: node != first)


def kill(job: Job, rank: int) -> str:
    """Kill a rank, and return its node."""
    node = hosts(job)[rank // 2]
    find = f"""
    for pid in $(pgrep -f '^/opt/env/bin/python[0-9.]* .*dask-hpc (mpi|run)'); do
      tr '\\0' '\\n' <"/proc/$pid/environ" | grep -qx PMIX_RANK={rank} && kill -KILL "$pid" && exit
    done; exit 1"""
    job.engine.exec("sh", "-c", find, on=node)
    return node


def ends(job: Job, state: str, *words: str, timeout: float = 150) -> None:
    """Assert that the job ends in that state with the reason in its log, and leaves nothing on any node."""
    ended = job.wait(timeout)
    text = job.output()
    assert ended.state == state, text
    assert all(re.search(word, text) for word in words), text
    assert left(job.engine) == ""


def test_scancel_ends_every_rank(sim: SlurmSim) -> None:
    """After scancel, every rank shuts down cleanly, and the log names the signal."""
    job = running(sim)
    job.cancel()
    ends(job, "CANCELLED", f"dask-hpc: rank 0 on {hosts(job)[0]}: SIGTERM", "CANCELLED AT")
    for node in hosts(job):
        assert sim.exec("sh", "-c", "ls /tmp/dask-scratch-space | grep worker", on=node, check=False).stdout == ""


def test_time_limit_ends_every_rank(sim: SlurmSim) -> None:
    """At its time limit the job shuts down in the same way, and Slurm logs the reason."""
    job = running(sim)
    sim.exec("scontrol", "update", f"JobId={job.id}", "EndTime=now", on="slurmctld", user="root")
    ends(job, "TIMEOUT", "SIGTERM: the job was cancelled, or reached its time limit", "DUE TO TIME LIMIT", timeout=90)


@pytest.mark.parametrize("rank", [0, 3])
def test_killed_rank_ends_job(sim: SlurmSim, rank: int) -> None:
    """A killed scheduler or worker ends the step, and the log names the rank."""
    job = running(sim)
    node = kill(job, rank)
    ends(job, "FAILED", rf"srun: error: {node}: tasks? {rank}\S*: Killed|: rank {rank} on {node} was lost")


def test_scheduler_ends_job_without_kill_on_bad_exit(sim: SlurmSim) -> None:
    """If srun does not kill the remaining ranks, the scheduler ends the job and names the lost rank."""
    command = "srun --mpi=pmix --kill-on-bad-exit=0 dask-hpc mpi"
    command += "; status=$?; rm -rf ~/.dask-hpc/dask-mpi-$SLURM_JOB_ID.*; exit $status"  # as the scripts do
    job = wrapped(sim, command)
    await_text(job, "Register worker", 3)
    node = kill(job, 3)
    ends(job, "FAILED", f"dask-hpc: rank 0 on {hosts(job)[0]}: rank 3 on {node} was lost")


def test_killed_client_rank_fails_job(sim: SlurmSim) -> None:
    """If rank 1, which runs the workload, is killed, the job fails."""
    run = "srun --mpi=pmix --kill-on-bad-exit=1 dask-hpc run monte-carlo-pi --on mpi --samples 1e12 --no-serial"
    job = wrapped(sim, run)
    await_text(job, "dashboard: ")
    node = kill(job, 1)
    ends(job, "FAILED", rf"srun: error: {node}: tasks? \S*1: Killed")


def wrapped(sim: SlurmSim, command: str) -> Job:
    """Submit a job of four ranks on two nodes that runs one command."""
    return sbatch(sim, "-N2", "--ntasks-per-node=2", "--wrap", command)


RUN_RAISES = "DASK_HPC_WORKLOADS=~/workloads {}dask-hpc run raises --on mpi {}"


def test_failing_workload_fails_its_own_job(sim: SlurmSim) -> None:
    """A workload that fails inside its job fails the job with one traceback, and the other ranks exit cleanly."""
    command = RUN_RAISES.format("srun --mpi=pmix --kill-on-bad-exit=1 ", "")
    job = wrapped(sim, command)
    ends(job, "FAILED", "ZeroDivisionError: on purpose", "task 1: Exited with exit code 1", timeout=120)
    assert job.output().splitlines().count("ZeroDivisionError: on purpose") == 1


def test_failing_workload_on_login_node_ends_its_job(sim: SlurmSim) -> None:
    """On a login node the workload's own error is reported, and its job ends."""
    done = sim.exec("bash", "-c", RUN_RAISES.format("", "--ranks-per-node=2"), check=False, timeout=150)
    assert done.returncode == 1
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "MPI job ended" not in done.stderr
    assert left(sim) == ""


def at_work(sim: SlurmSim) -> str:
    """Return shell code that starts a run as $p, and waits until its three workers compute."""
    run = f"{endless.install(sim)} --on mpi --ranks-per-node=2"
    return f"rm -f log; {run} >log 2>&1 & p=$!; {endless.AT_WORK.format(workers=3)};"


@pytest.mark.parametrize(("signum", "status"), [("INT", 130), ("TERM", 143), ("KILL", 137)])
def test_signal_to_login_node_program_ends_job(sim: SlurmSim, signum: str, status: int) -> None:
    """A signal cancels the job; after SIGKILL, the scheduler notices the lost client, and closes."""
    done = sim.exec("bash", "-c", f"{at_work(sim)} kill -{signum} $p; wait $p; echo status $?; cat log", timeout=150)
    assert f"status {status}" in done.stdout
    assert "Traceback" not in done.stdout
    assert left(sim) == ""


def test_cancelled_job_ends_run(sim: SlurmSim) -> None:
    """If another process cancels the job while it works, the run ends with the job's state and log."""
    script = f"{at_work(sim)} scancel -u hpc; wait $p; echo status $?; cat log"
    done = sim.exec("bash", "-c", script, timeout=150)
    assert "status 1" in done.stdout
    assert "The MPI job ended while the workload was running" in done.stdout
    assert ": CANCELLED" in done.stdout
    assert ": SIGTERM: the job was cancelled" in done.stdout
    assert "Traceback" not in done.stdout
    assert left(sim) == ""


GONE = "rank 0 on {first}: rank [23] on {lost} was lost, and an MPI job cannot continue"
SILENT = GONE + "|Node failure on {lost}"  # nothing closes the node's connections: Slurm may notice first


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("node-lost", GONE), ("node-hangs", SILENT), ("node-cut-off", SILENT)],
    ids=["lost", "hangs", "cut-off"],
)
def test_failed_worker_node_ends_job(sim: SlurmSim, fault: str, reason: str) -> None:
    """If a worker node fails, the log names what was lost, and no process is left, even once the node is back."""
    job = running(sim)
    first, lost = hosts(job)
    sim.fault(fault, lost)
    try:
        assert job.wait(150).state in {"NODE_FAIL", "FAILED"}, job.output()
        assert re.search(reason.format(first=first, lost=lost), job.output()), job.output()
        until_in(sim, "! pgrep -f '[d]ask-hpc mpi'", on=first)
        assert sim.exec("sh", "-c", "ls -d ~/.dask-hpc/dask-mpi-*", check=False).stdout == ""
    finally:
        sim.fault("heal", lost)
    until_in(sim, f"scontrol --oneliner show node {lost} | grep -q ' State=IDLE+DYNAMIC'", timeout=180)
    assert left(sim) == ""
