"""Monte Carlo π on SLURMCluster, run from the login node."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support import endless
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until_in

RUN = ("dask-hpc", "run", "monte-carlo-pi", "--on", "slurm", "--samples", "1e7")


def nothing_is_left(sim: Any) -> None:
    """Assert that the queue is empty, no credentials are on the shared home, and no process on any node."""
    assert sim.exec("squeue", "-h").stdout == ""
    assert sim.exec("sh", "-c", "ls -d ~/.dask-hpc/*.tls 2>/dev/null", check=False).stdout == ""
    for node in sim.nodes():  # as root: the lifeline of a command would be another process of its user
        assert sim.exec("pgrep", "-u", "hpc", "-a", on=node, user="root", check=False).stdout == ""


def test_computes_pi_on_two_nodes(slurm_sim: Any) -> None:
    """Two jobs on two nodes compute the same π as one core, over TLS, and leave no job or key behind."""
    done = slurm_sim.exec(*RUN, "--json")
    result = json.loads(done.stdout)
    assert result["ok"]
    assert abs(result["values"]["sigmas"]) < 5
    assert result["cluster"]["tls"]
    assert len(result["cluster"]["jobs"]) == 2
    assert len(result["cluster"]["nodes"]) == 2
    assert result["environment"]["lock_sha256"]
    assert "#SBATCH" in done.stderr
    assert "NODELIST(REASON)" in done.stderr
    assert "PRIVATE KEY" not in done.stderr
    folder = result["folder"]
    assert json.loads(slurm_sim.exec("cat", f"{folder}/result.json").stdout) == result
    assert "count_inside" in slurm_sim.exec("cat", f"{folder}/report.html").stdout
    assert slurm_sim.exec("ls", f"{folder}/logs").stdout
    assert "PRIVATE KEY" not in slurm_sim.exec("sh", "-c", f"cat {folder}/logs/*").stdout
    nothing_is_left(slurm_sim)


def test_starts_several_processes_per_job(slurm_sim: Any) -> None:
    """One job with two worker processes gives two workers on one node."""
    result = json.loads(slurm_sim.exec(*RUN, "--jobs", "1", "--processes", "2", "--json").stdout)
    assert result["cluster"]["workers"] == 2
    assert len(result["cluster"]["nodes"]) == 1
    nothing_is_left(slurm_sim)


def test_no_tls_prints_warning(slurm_sim: Any) -> None:
    """`--no-tls` works, and prints a warning."""
    done = slurm_sim.exec(*RUN, "--no-tls", "--json")
    assert json.loads(done.stdout)["cluster"]["tls"] is False
    assert "Warning: no TLS" in done.stderr
    nothing_is_left(slurm_sim)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--cores", "64"], ["No node is large enough", "64 cores", "c1: "]),
        (["--memory", "999GiB"], ["No node is large enough", "MiB"]),
        (["--partition", "banana"], ["Unknown partition 'banana'", "Available: general", "--partition one of these"]),
        (["--partition", "genreal"], ["Unknown partition 'genreal'", "did you mean --partition general?"]),
        (["--interface", "eth7"], ["eth7", "Available: "]),
    ],
)
def test_rejects_impossible_requests(slurm_sim: Any, option: list[str], words: list[str]) -> None:
    """Oversized requests, unknown partitions and unknown interfaces are rejected before anything is submitted."""
    done = slurm_sim.exec(*RUN, *option, check=False)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words)
    assert "Traceback" not in done.stderr
    nothing_is_left(slurm_sim)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--sbatch-option=--constraint=banana"], ["sbatch rejected the job", "Invalid feature"]),
        (["--sbatch-option=--hold"], ["JobHeldUser"]),
        (["--jobs", "9", "--timeout", "5"], ["workers connected within 5 s", "PENDING"]),
    ],
)
def test_jobs_that_never_start_do_not_hang(slurm_sim: Any, option: list[str], words: list[str]) -> None:
    """If Slurm rejects, holds or cannot place a job, the run ends with Slurm's reason, and its jobs are cancelled."""
    done = slurm_sim.exec(*RUN, *option, check=False)
    assert done.returncode in (1, 2)
    assert all(word in done.stderr for word in words)
    assert "Traceback" not in done.stderr
    nothing_is_left(slurm_sim)


LOSE_A_WORKER = """
rm -rf log logs
{run} --log-directory logs >log 2>&1 & p=$!
until [ "$(cat logs/*.err 2>/dev/null | grep -c 'Registered to')" = 4 ]; do sleep 0.1; done
job=$(squeue -h -t running -o %A | head -n 1)
srun --overlap --jobid=$job sh -c 'pkill -STOP -f dask_worke[r]; pkill -KILL -f spawn_mai[n]'
wait $p
echo status $?
cat log
"""


def test_replaces_lost_worker_while_waiting_for_others(slurm_sim: Any) -> None:
    """If a worker is lost while its job keeps running, the job is replaced long before --timeout."""
    run = " ".join((*RUN, "--jobs", "3", "--processes", "2", "--timeout", "40"))  # the third job finds no node
    done = slurm_sim.exec("bash", "-c", LOSE_A_WORKER.format(run=run), check=False, timeout=90)
    assert "status 1" in done.stdout
    assert "of 6 workers connected within 40 s" in done.stdout
    assert re.search(r"Job \d+ on c\d still runs, but its workers are gone.*; job \d+ takes its place", done.stdout)
    nothing_is_left(slurm_sim)


@pytest.mark.parametrize(("signum", "status"), [("INT", 130), ("TERM", 143)])
def test_signal_while_workers_compute_leaves_nothing(slurm_sim: SlurmSim, signum: str, status: int) -> None:
    """Ctrl-C or SIGTERM cancels the jobs, ends their processes and removes the credentials."""
    run = f"{endless.install(slurm_sim)} --on slurm >log 2>&1 & p=$!; {endless.AT_WORK.format(workers=2)}"
    script = f"rm -f log; {run}; kill -{signum} $p; wait $p; echo status $?; cat log"
    done = slurm_sim.exec("bash", "-c", script, check=False)
    assert f"status {status}" in done.stdout
    assert "Traceback" not in done.stdout
    nothing_is_left(slurm_sim)


def test_lost_jobs_are_replaced(slurm_sim: SlurmSim) -> None:
    """If another program cancels the jobs during the computation, others take their places."""
    install, again = endless.install(slurm_sim), "until [ $(grep -c 'takes its place' log) = 2 ]; do sleep 0.1; done"
    run = f"{install} --on slurm >log 2>&1 & p=$!; {endless.AT_WORK.format(workers=2)}"
    script = f"rm -f log; {run}; scancel -u hpc; {again}; kill -INT $p; wait $p; echo status $?; cat log"
    done = slurm_sim.exec("bash", "-c", script, check=False)
    assert "status 130" in done.stdout
    assert len(re.findall(r"^Job \d+ on c[12] was cancelled; job \d+ takes its place", done.stdout, re.MULTILINE)) == 2
    nothing_is_left(slurm_sim)


def test_detached_process_ends_with_its_job(slurm_sim: SlurmSim) -> None:
    """A process that has detached from its job still ends with it, although no cgroup holds it."""
    # the job ends once its daemon has written its PID, which is polled: a file announces nothing
    left = "setsid sh -c 'tail -f /dev/null & echo $! >daemon' & until [ -s daemon ]; do sleep 0.1; done"
    other = sbatch(slurm_sim, "-wc1", f"--wrap={FOR_EVER}")
    slurm_sim.exec("sbatch", "--wait", "-wc1", "--wrap", left, timeout=150)
    pid = slurm_sim.exec("sh", "-c", "cat daemon; rm daemon").stdout.strip()
    until_in(slurm_sim, f"! kill -0 {pid}", on="c1", user="root")
    assert other.record().state == "RUNNING"
