"""Worker jobs that end while they are needed are replaced: the answers stay right, and no task is blamed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.kept import right_answers
from tests.support.waiting import until_in

pytestmark = [pytest.mark.slurm_sim(scope="module", nodes=3, slurm_conf={"KillWait": "2"}), pytest.mark.timeout(300)]

KINDS = ["fixed", "adaptive"]
SOAK = pytest.mark.soak(only=True)
"""For events that take minutes, most of which Slurm needs to notice them."""


@pytest.mark.parametrize("jobs", [2, (1, 2)], ids=KINDS)
def test_cancelled_job_is_replaced(slurm_sim: SlurmSim, jobs: Any) -> None:
    """After scancel of one job, another one takes its place."""
    with right_answers(slurm_sim, jobs=jobs) as running:
        running.until_running(1)
        job = running.jobs()[0]
        slurm_sim.exec("scancel", job)
        running.until_said(rf"^Job {job} on c[123] was cancelled; job [0-9]+ takes its place\.$")


@pytest.mark.parametrize("jobs", [2, (1, 2)], ids=KINDS)
def test_all_jobs_cancelled_at_once_are_replaced(slurm_sim: SlurmSim, jobs: Any) -> None:
    """Without any worker, the program waits for the new ones."""
    with right_answers(slurm_sim, jobs=jobs) as running:
        running.until_running(1)
        jobs_at_work = running.jobs()
        slurm_sim.exec("scancel", *jobs_at_work)
        running.until_said("was cancelled; job [0-9]+ takes its place", times=len(jobs_at_work))


def test_several_workers_per_job(slurm_sim: SlurmSim) -> None:
    """A job with two workers is replaced as a whole."""
    with right_answers(slurm_sim, cores=2, processes=2) as running:
        slurm_sim.exec("scancel", running.jobs()[0])
        running.until_said("was cancelled; job [0-9]+ takes its place")
    assert running.log().count("takes its place") == 1


@pytest.mark.parametrize("jobs", [2, pytest.param((1, 2), marks=SOAK)], ids=KINDS)
@pytest.mark.parametrize(
    ("kind", "requeue"),
    [
        ("node-lost", "--no-requeue"),
        pytest.param("node-lost", "--requeue", marks=SOAK),
        pytest.param("node-hangs", "--no-requeue", marks=SOAK),
        pytest.param("node-hangs", "--requeue", marks=SOAK),
    ],
)
def test_job_of_failed_node_is_replaced(slurm_sim: SlurmSim, kind: str, requeue: str, jobs: Any) -> None:
    """A job whose node fails starts again elsewhere, or is replaced, as its --requeue says."""
    with right_answers(slurm_sim, sbatch_option=[requeue], jobs=jobs) as running:
        running.until_running(1)
        job = running.jobs()[0]
        node = running.node(job)
        slurm_sim.fault(kind, node)
        running.until_said(rf"^Job {job} on {node} (was put back into the queue|lost its node|still runs)")
        slurm_sim.fault("heal", node)
    until_in(slurm_sim, "sinfo -h -o %T | grep -qx idle")


@pytest.mark.parametrize("jobs", [2, pytest.param((1, 2), marks=SOAK)], ids=KINDS)
def test_one_minute_of_wall_time(slurm_sim: SlurmSim, jobs: Any) -> None:
    """Jobs retire before their wall time ends, and their successors are there by then; no job reaches it."""
    with right_answers(slurm_sim, walltime="00:01:00", jobs=jobs) as running:
        running.until_said("retires before its wall time ends; job [0-9]+ takes its place", times=2)
    states = slurm_sim.exec("squeue", "-h", "-t", "all", "-n", name(running.log()), "-o", "%T").stdout.split()
    assert "TIMEOUT" not in states
    assert "COMPLETED" in states


def name(log: str) -> str:
    """Return the name of the jobs in a log."""
    found = re.search(r"--job-name=(\S+)", log)
    assert found
    return found[1]


@SOAK
def test_full_cluster(slurm_sim: SlurmSim) -> None:
    """If no node is free, a job retires first, and its successor takes its node."""
    blocking = sbatch(slurm_sim, "--exclusive", f"--wrap={FOR_EVER}")
    blocking.wait_until_running(60)
    with right_answers(slurm_sim, walltime="00:01:00", cores=2) as running:
        running.until_said("retires before its wall time ends; job [0-9]+ takes its place", times=2)
        blocking.cancel()
