"""parsl: its own tests for Slurm, and workers on two nodes of one job."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(900)]

DRIVER = """
import json
import os

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

class Provider(SlurmProvider):
    # it asks Slurm for states once a minute
    status_polling_interval = 1

@parsl.python_app
def where(number, folder):
    import os, pathlib, socket, time
    pathlib.Path(folder, f"worker{os.getpid()}").touch()
    while len(list(pathlib.Path(folder).glob("worker*"))) < 4:  # until all of them have a task
        time.sleep(0.1)
    return socket.gethostname(), os.environ["SLURM_JOB_ID"], number**2

@parsl.bash_app
def fails():
    return "exit 3"

block = dict(nodes_per_block=2, walltime="00:05:00", exclusive=False, launcher=SrunLauncher())
pilot = Provider(partition="general", account="hpc", gpus_per_node=1, **block)
executor = HighThroughputExecutor(max_workers_per_node=2, encrypted=True, provider=pilot)
with parsl.load(Config(executors=[executor], strategy="none")):
    found = [app.result() for app in [where(number, os.getcwd()) for number in range(8)]]
    try:
        fails().result()
    except parsl.app.errors.BashExitFailure as error:
        exit_code = error.exitcode
    running = [str(job.state) for job in pilot.status(list(pilot.resources))]
ended = [str(job.state) for job in pilot.status(list(pilot.resources))]
nodes, jobs, squares = zip(*found)
found = {"nodes": sorted(set(nodes)), "jobs": len(set(jobs)), "squares": squares, "exit_code": exit_code}
print(json.dumps(found | {"running": running, "ended": ended}))
"""
# Their configuration for Slurm is a job with one worker per CPU that srun starts.
THEIR_TESTS = """
tests=$(python -c 'import parsl.tests; print(*parsl.tests.__path__)')
timeout 800 pytest -q -p no:cacheprovider --timeout 300 --config $tests/configs/slurm_local.py $(printf "$tests/%s " $@)
"""
APPS = ("test_python_apps", "test_bash_apps", "test_error_handling")


def test_parsl_runs_pilot_job_on_two_nodes(client: Client) -> None:
    """Workers on two nodes of one job run functions and commands; the job ends with the program."""
    found = json.loads(client.python(DRIVER))
    assert found == {
        "nodes": ["c1", "c2"],
        "jobs": 1,
        "squares": [number**2 for number in range(8)],
        "exit_code": 3,
        "running": ["JobState.RUNNING"],
        "ended": ["JobState.CANCELLED"],
    }


def test_parsl_passes_its_own_tests(client: Client) -> None:
    """Its own tests of apps pass with its own configuration for Slurm."""
    done = client.run("bash", "-c", THEIR_TESTS, "bash", *APPS, check=False, timeout=850)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b119 passed\b", done.stdout), done.stdout[-1000:]
