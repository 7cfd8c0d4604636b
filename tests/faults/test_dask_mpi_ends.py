"""However a dask-mpi job ends, it ends: no process on any node, no job, and the reason in its log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import Job, SlurmSim
from tests.cluster.mpi_site import await_file, install, left, submit

pytestmark = pytest.mark.timeout(300)

RAISES = '''
from dask_hpc.workload import workload

@workload()
def raises(client):
    """Fail."""
    def fail():
        raise ZeroDivisionError("on purpose")
    return client.submit(fail, pure=False).result()
'''


@pytest.fixture(scope="module")
def sim(root: Path) -> Iterator[SlurmSim]:
    """Two nodes, the site's scripts, and a workload that fails."""
    with SlurmSim(nodes=2, cpus_per_node=4) as sim:
        install(sim, root)
        sim.exec("sh", "-c", "mkdir workloads && cat >workloads/raises.py", stdin=RAISES)
        yield sim


def running(sim: SlurmSim) -> Job:
    """A dask-mpi cluster of four ranks on two nodes, whose workers have come."""
    job = submit(sim, "dask-mpi-nodes.sbatch")
    folder = f"/home/hpc/.dask-hpc/dask-mpi-{job.id}.0"
    await_file(sim, f"{folder}/scheduler.json", job)
    await_text(job, "Register worker", 3)
    return job


def await_text(job: Job, text: str, times: int = 1, timeout: float = 60) -> None:
    """Returns when the job's output has a text so many times."""
    deadline = time.monotonic() + timeout
    while job.output().count(text) < times:
        assert time.monotonic() < deadline, job.output()
        time.sleep(0.1)  # a log tells nobody when it grows


def ranks(sim: SlurmSim, node: str) -> list[str]:
    """The ranks' processes on a node, in the order of their ranks."""
    found = sim.exec("pgrep", "-f", "^/opt/env/bin/python[0-9.]* .*dask-hpc (mpi|run)", on=node).stdout.split()
    assert len(found) == 2
    return found


def ends(job: Job, state: str, *words: str, timeout: float = 60) -> None:
    """The job ends in that state, with the reason in its log, and nothing of it is left on any node."""
    ended = job.wait(timeout)
    text = job.output()
    assert ended.state == state, text
    assert all(word in text for word in words), text
    assert left(job.sim) == ""


def test_scancel(sim: SlurmSim) -> None:
    """Cancelled: every rank closes in good order, and the log says by what."""
    job = running(sim)
    job.cancel()
    ends(job, "CANCELLED", "dask-hpc: rank 0 on c1: SIGTERM", "CANCELLED AT")
    assert sim.exec("sh", "-c", "ls /tmp/dask-scratch-space | grep worker", on="c2", check=False).stdout == ""


def test_the_end_of_its_time(sim: SlurmSim) -> None:
    """The time is over: the same, and Slurm says so."""
    job = running(sim)
    sim.exec("scontrol", "update", f"JobId={job.id}", "EndTime=now", on="slurmctld", user="root")
    ends(job, "TIMEOUT", "dask-hpc: rank 0 on c1: SIGTERM", "DUE TO TIME LIMIT", timeout=90)


@pytest.mark.parametrize(("node", "which", "rank"), [("c2", -1, 3), ("c1", 0, 0)])
def test_a_dead_rank(sim: SlurmSim, node: str, which: int, rank: int) -> None:
    """A killed worker, or a killed scheduler, ends the step; srun says which it was."""
    job = running(sim)
    sim.exec("kill", "-KILL", ranks(sim, node)[which], on=node)
    ends(job, "FAILED", f"srun: error: {node}: task {rank}: Killed")


def test_a_dead_rank_without_help_from_srun(sim: SlurmSim) -> None:
    """Where srun was not told to kill the rest, the scheduler gives the world up, and says which rank it was."""
    command = "srun --mpi=pmix --kill-on-bad-exit=0 dask-hpc mpi"
    job = sim.job(int(sim.exec("sbatch", "--parsable", "-N2", "--ntasks-per-node=2", "--wrap", command).stdout))
    await_text(job, "Register worker", 3, 90)
    sim.exec("kill", "-KILL", ranks(sim, "c2")[-1], on="c2")
    ends(job, "FAILED", "dask-hpc: rank 0 on c1: rank 3 on c2 has gone")


def test_a_dead_client_in_the_world(sim: SlurmSim) -> None:
    """Rank 1, which runs the workload, is killed: the job fails with it."""
    run = "srun --mpi=pmix --kill-on-bad-exit=1 dask-hpc run monte-carlo-pi --on mpi --samples 1e12 --no-serial"
    job = sim.job(int(sim.exec("sbatch", "--parsable", "-N2", "--ntasks-per-node=2", "--wrap", run).stdout))
    await_text(job, "Dask cluster (mpi)", 1, 90)
    sim.exec("kill", "-KILL", ranks(sim, "c1")[1], on="c1")
    ends(job, "FAILED", "srun: error: c1: task 1: Killed")


RUN_RAISES = "DASK_HPC_WORKLOADS=~/workloads {}dask-hpc run raises --on mpi {}"


def test_an_exception_inside(sim: SlurmSim) -> None:
    """A workload that fails in its own job fails the job, with its traceback, and the other ranks end in order."""
    command = RUN_RAISES.format("srun --mpi=pmix --kill-on-bad-exit=1 ", "")
    job = sim.job(int(sim.exec("sbatch", "--parsable", "-N2", "--ntasks-per-node=2", "--wrap", command).stdout))
    ends(job, "FAILED", "ZeroDivisionError: on purpose", "task 1: Exited with exit code 1", timeout=120)
    assert job.output().count("ZeroDivisionError") == 1


def test_an_exception_outside(sim: SlurmSim) -> None:
    """On a login node the error is the workload's own, and its job is gone."""
    done = sim.exec("bash", "-c", RUN_RAISES.format("", "--ranks-per-node=2"), check=False, timeout=150)
    assert done.returncode == 1
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "MPI job has gone" not in done.stderr
    assert left(sim) == ""


LONG = "dask-hpc run monte-carlo-pi --on mpi --ranks-per-node=2 --samples=1e12 --no-serial"
AT_WORK = f"rm -f log; {LONG} >log 2>&1 & p=$!; until grep -q ^squeue log; do sleep 0.1; done; sleep 1;"


@pytest.mark.parametrize(("signum", "status"), [("INT", 130), ("TERM", 143), ("KILL", 137)])
def test_a_signal_to_the_login_nodes_program(sim: SlurmSim, signum: str, status: int) -> None:
    """Its job is cancelled; after SIGKILL, which nobody can act on, the scheduler finds its client gone, and closes."""
    done = sim.exec("bash", "-c", f"{AT_WORK} kill -{signum} $p; wait $p; echo status $?; cat log", timeout=150)
    assert f"status {status}" in done.stdout
    assert "Traceback" not in done.stdout
    assert left(sim, 40) == ""


def test_a_job_that_is_cancelled_under_it(sim: SlurmSim) -> None:
    """If somebody cancels the job while it works, the run ends with the job's state and its log."""
    script = f"{AT_WORK} scancel -u hpc; wait $p; echo status $?; cat log"
    done = sim.exec("bash", "-c", script, timeout=150)
    assert "status 1" in done.stdout
    assert "The MPI job has gone while the workload was running" in done.stdout
    assert ": CANCELLED" in done.stdout
    assert "dask-hpc: rank 0 on c1: SIGTERM" in done.stdout
    assert "Traceback" not in done.stdout
    assert left(sim) == ""


def test_a_lost_node(sim: SlurmSim) -> None:
    """The node of two workers loses its power: the job ends and is not queued again, and the scheduler said why."""
    job = running(sim)
    sim.fault("node-lost", "c2")
    try:
        ended = job.wait(120)
        text = job.output()
        assert ended.state in {"NODE_FAIL", "FAILED", "CANCELLED"}, text
        assert "on c2 has gone, and an MPI job cannot go on" in text or "c2" in text, text
        asks = "while pgrep -f 'dask-hpc mpi'; do sleep 0.2; done"
        sim.exec("bash", "-c", asks.replace("dask-hpc", "[d]ask-hpc"), on="c1", timeout=30)
    finally:
        sim.fault("heal", "c2")
    sim.exec("bash", "-c", "until sinfo -hN -n c2 -o %T | grep -q ^idle; do sleep 0.2; done", timeout=180)
    assert "dask-mpi" not in sim.exec("squeue", "--noheader", "--format=%j").stdout
