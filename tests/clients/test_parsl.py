"""parsl: its own tests for Slurm, and workers on two nodes of one job."""

from __future__ import annotations

import json

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(300)]

DRIVER = """
import json
import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

class Provider(SlurmProvider):
    # it asks Slurm for states once a minute
    status_polling_interval = 1

@parsl.python_app
def where(number):
    import os, socket
    return socket.gethostname(), os.environ["SLURM_JOB_ID"], os.environ["SLURM_JOB_PARTITION"], number ** 2

@parsl.bash_app
def fails():
    return "exit 3"

block = dict(nodes_per_block=2, walltime="00:05:00", exclusive=False, launcher=SrunLauncher())
pilot = Provider(partition="general", account="hpc", gpus_per_node=1, **block)
executor = HighThroughputExecutor(max_workers_per_node=2, encrypted=True, provider=pilot)
with parsl.load(Config(executors=[executor], strategy="none")):
    found = [app.result() for app in [where(number) for number in range(40)]]
    try:
        fails().result()
    except parsl.app.errors.BashExitFailure as error:
        exit_code = error.exitcode
    running = [str(job.state) for job in pilot.status(list(pilot.resources))]
ended = [str(job.state) for job in pilot.status(list(pilot.resources))]
nodes, jobs, partitions, squares = zip(*found)
print(json.dumps({
    "nodes": sorted(set(nodes)), "jobs": len(set(jobs)), "partitions": sorted(set(partitions)),
    "squares": squares, "exit_code": exit_code, "running": running, "ended": ended,
}))
"""
