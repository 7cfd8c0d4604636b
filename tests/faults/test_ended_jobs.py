"""Worker jobs that Slurm or the work itself ends, on a mini-cluster with preemption, limits and a prolog."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.kept import PROGRAM, Running, program, right_answers
from tests.support.waiting import until_in

TOML = """
[nodes.c]
count = 3

[slurm]
KillWait = 2

[scripts]
prolog = "prolog.sh"

[preemption]
by = "partition"

[partitions.general]
default = true

[partitions.high]
priority = 10

[partitions.requeued]
priority = 1
preempt = "requeue"

[partitions.cancelled]
priority = 1
preempt = "cancel"
"""
PROLOG = """#!/bin/bash
[ ! -e /tmp/no-prolog ]
"""

pytestmark = [pytest.mark.slurm_sim(scope="module"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The mini-cluster has partitions whose jobs are preempted, and a prolog that fails when a test asks for it."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "cluster.toml").write_text(TOML)
    (folder / "prolog.sh").write_text(PROLOG)
    return {"config": folder / "cluster.toml"}


def ends_with_error(running: Running) -> str:
    """Return the output of a program once it has ended with an error."""
    until_in(running.sim, "[ -e ended ]")
    assert running.sim.exec("cat", "ended").stdout == "1\n"
    return running.log()


@pytest.mark.parametrize(
    ("partition", "said"),
    [("requeued", "was put back into the queue by Slurm"), ("cancelled", "was preempted; job [0-9]+ takes its place")],
)
@pytest.mark.parametrize("jobs", [2, (1, 2)], ids=["fixed", "adaptive"])
def test_preempted_job_comes_back(slurm_sim: SlurmSim, partition: str, said: str, jobs: Any) -> None:
    """A job that a higher partition displaces starts again, or is replaced."""
    with right_answers(slurm_sim, partition=partition, cores=2, jobs=jobs) as running:
        running.until_running(1)
        node = running.node(running.jobs()[0])
        high = sbatch(slurm_sim, "--partition=high", "--exclusive", f"--nodelist={node}", f"--wrap={FOR_EVER}")
        running.until_said(said)
        high.cancel()


def test_failed_prolog(slurm_sim: SlurmSim) -> None:
    """A job that a failed prolog puts back and holds is cancelled and replaced; Slurm drains the node."""
    with right_answers(slurm_sim, cores=2) as running:
        job, stays = running.jobs()
        broken = {"c1", "c2", "c3"} - {running.node(stays)}
        for node in broken:
            slurm_sim.exec("touch", "/tmp/no-prolog", on=node)
        slurm_sim.exec("scancel", job)
        running.until_said("could not be started .*; job [0-9]+ takes its place")
        for node in broken:
            slurm_sim.exec("rm", "/tmp/no-prolog", on=node)
        for node in {*slurm_sim.exec("sinfo", "-h", "-t", "drain", "-N", "-o", "%n").stdout.split()}:
            slurm_sim.exec("scontrol", "update", f"node={node}", "state=resume", user="root", on="slurmctld")
        running.until_running(2)


DYING = PROGRAM.replace(
    "batches = 0",
    """
    import os
    def dies():
        {death}
    try:
        client.submit(dies).result()
    except Exception as error:
        from distributed import KilledWorker
        print(isinstance(error, KilledWorker), error)
    batches = 0""",
)


@pytest.mark.parametrize(
    ("options", "death", "said"),
    [
        ({}, "os._exit(5)", r"job [0-9]+ ended as FAILED \(NonZeroExitCode\)"),
        ({}, "os.kill(os.getpid(), 9)", "job [0-9]+ was killed by signal 9, as for using too much memory, with .* of"),
        ({"cores": 2, "processes": 2}, "os._exit(5)", "job [0-9]+ lost a worker, which its nanny has restarted"),
        (
            {},
            "x = b'1' * (800 << 20); time.sleep(60)",
            "job [0-9]+ (used more memory|was killed by signal 9).*, with .* of",
        ),
    ],
    ids=["exit", "signal", "nanny", "memory"],
)
def test_task_that_kills_its_workers(slurm_sim: SlurmSim, options: dict[str, Any], death: str, said: str) -> None:
    """The deaths count against the task, which ends with an error that names it; the jobs are replaced."""
    text = DYING.replace("{death}", death)
    environment = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with program(slurm_sim, text, env=environment, **options) as running:
        running.until_said("^True Task 'dies-[0-9a-f]+' was lost 2 times, each time together with its worker")
        running.until_said(said, times=2)
    assert "What to do: " in running.log()
    assert slurm_sim.exec("cat", "ended").stdout == "0\n", running.log()


def test_jobs_that_fail_in_a_row_end_the_program(slurm_sim: SlurmSim) -> None:
    """After some failures in a row no more jobs are submitted; the error shows what Slurm and the log say."""
    with program(slurm_sim, max_failures=2) as running:
        tls = slurm_sim.exec("sh", "-c", "ls -d .dask-hpc/*.tls").stdout.split()[0]
        slurm_sim.exec("mv", f"{tls}/cert.pem", f"{tls}/away.pem")
        slurm_sim.exec("scancel", running.jobs()[0])
        log = ends_with_error(running)
        slurm_sim.exec("rm", "-rf", tls)
    assert "Worker jobs failed 2 times in a row." in log
    assert re.search(r"Job \d+ on c\d ended as FAILED", log)
    assert "cert.pem' does not exist" in log
    assert "--max-failures" in log


LONG = """
import json, sys, time
from pathlib import Path
from dask_hpc import ClusterError, cluster

def too_long():
    time.sleep(300)

with cluster(on="slurm", **json.loads(sys.argv[1])) as dask_cluster:
    client = dask_cluster.client
    future = client.submit(too_long)
    Path("at-work").touch()
    try:
        future.result()
    except ClusterError as error:
        print("too long:", error)
"""


@pytest.mark.soak(only=True)  # three wall times of a minute
def test_task_longer_than_wall_time(slurm_sim: SlurmSim) -> None:
    """A task that no job can finish ends with an error that names it and the wall time, not never."""
    with program(slurm_sim, LONG, walltime="00:01:00") as running:
        running.until_said("^too long: Task 'too_long-[0-9a-f]+' takes longer than a job lasts")
    assert "wall time: 00:01:00" in running.log()


def test_controller_away(slurm_sim: SlurmSim) -> None:
    """While Slurm does not answer, the work goes on; afterwards, what ended meanwhile is replaced."""
    with right_answers(slurm_sim) as running:
        job = running.jobs()[0]
        slurm_sim.exec("scancel", job)
        slurm_sim.fault("controller-lost")
        slurm_sim.fault("heal")
        running.until_said(f"^Job {job} .*(takes its place|it will start again)")  # it may forget the cancellation
