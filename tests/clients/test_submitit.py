"""submitit: functions as jobs, as arrays, on several nodes; failures, checkpoints and cancelling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(900)]

DRIVER = """
import json
import os
import signal
import sys
import time
from pathlib import Path

import submitit

# it waits so long for the result of a job that has failed, by default 15 s
submitit.Job._results_timeout_s = 2

class Resumed(submitit.helpers.Checkpointable):
    def __call__(self, file):
        first = not Path(file).exists()
        Path(file).touch()
        if first:
            signal.pause()
        return os.environ["SLURM_RESTART_COUNT"]

def square(number):
    return number**2

def where():
    found = submitit.JobEnvironment()
    return found.global_rank, found.num_tasks, found.hostname, os.environ["CUDA_VISIBLE_DEVICES"]

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def fill():
    kept = bytearray(1 << 30)
    signal.pause()
    return len(kept)

def executor(**how):
    found = submitit.AutoExecutor(folder="jobs/%j", cluster="slurm")
    found.update_parameters(timeout_min=5, mem_gb=0.25, **how)
    return found

limited = sys.argv[1:] == ["limit"]
if limited:  # Slurm sends the signal up to 30 s earlier; the job must have begun by then
    resumed = executor(slurm_time=1, slurm_signal_delay_s=15).submit(Resumed(), "begun")
else:
    resumed = executor().submit(Resumed(), "begun")
killed = executor().submit(kill)
filled = executor().submit(fill)
cancelled = executor().submit(signal.pause)
squares = executor(slurm_array_parallelism=2).map_array(square, range(6))
ranks = executor(nodes=2, tasks_per_node=2, gpus_per_node=2, slurm_account="hpc").submit(where)

def end(job):
    error = type(job.exception()).__name__
    while job.state in ("PENDING", "RUNNING"):  # it takes a cancelled job for one that has ended, and cannot wait
        time.sleep(0.5)
    return job.state, error

found = {"squares": [job.result() for job in squares], "ranks": ranks.results()}
cancelled.cancel()
while not limited and not Path("begun").exists():
    time.sleep(0.1)
limited or resumed._interrupt(timeout=True)  # the signal that Slurm sends
found |= {"killed": end(killed), "filled": end(filled), "cancelled": end(cancelled)}
found["restarts"] = resumed.result()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(client: Client) -> dict[str, Any]:
    """Result or end of each job; all of them run at the same time."""
    ends: dict[str, Any] = json.loads(client.python(DRIVER))
    return ends


def test_submitit_maps_functions_as_array(found: dict[str, Any]) -> None:
    """`map_array` returns the result of each task."""
    assert found["squares"] == [0, 1, 4, 9, 16, 25]


def test_submitit_runs_ranks_with_gpus(found: dict[str, Any]) -> None:
    """A function runs as two tasks on each of two nodes, with their GPUs."""
    ranks, sizes, nodes, gpus = zip(*found["ranks"], strict=True)
    assert (ranks, sorted(nodes)) == ((0, 1, 2, 3), ["c1", "c1", "c2", "c2"])
    assert ({*sizes}, {*gpus}) == ({4}, {"0,1"})


def test_submitit_sees_jobs_fail(found: dict[str, Any]) -> None:
    """A job that is killed, one over its memory and one that is cancelled have ended: none stays UNKNOWN."""
    assert found["killed"] == ["FAILED", "UncompletedJobError"]
    assert found["filled"] == ["FAILED", "UncompletedJobError"]
    assert found["cancelled"][0].startswith("CANCELLED")


def test_submitit_resumes_at_time_limit(found: dict[str, Any]) -> None:
    """Before its time limit, a job saves its state and is requeued."""
    assert found["restarts"] == "1"


@pytest.mark.soak(only=True)
def test_submitit_resumes_at_real_time_limit(client: Client) -> None:
    """Slurm itself sends the signal, a minute after the job's start at the latest."""
    client.run("rm", "-f", "begun")
    assert json.loads(client.python(DRIVER, "limit", timeout=800))["restarts"] == "1"
