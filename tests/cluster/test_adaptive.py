"""Adaptive clusters in units of jobs: as many as the work can use, and no cycle of submitting and cancelling."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.kept import program
from tests.support.waiting import left_after_a_minute

pytestmark = [pytest.mark.slurm_sim(nodes=2, cpus_per_node=4), pytest.mark.timeout(250)]

BURSTS = """
import json, sys, time
from pathlib import Path
from dask_hpc import cluster

def square(number):
    time.sleep(0.5)
    return number * number

with cluster(on="slurm", verbose=True, **json.loads(sys.argv[1])) as dask_cluster:
    client = dask_cluster.client
    Path("at-work").touch()
    print("workers at first:", len(client.nthreads()))
    for burst in range(2):
        assert client.gather(client.map(square, range(200), pure=False)) == [n * n for n in range(200)]
        print("workers with work:", len(client.nthreads()))
        while len(client.nthreads()) > int(sys.argv[2]):
            time.sleep(0.1)
    print("workers at last:", len(client.nthreads()))
"""


@pytest.mark.parametrize(
    ("options", "fewest", "most"),
    [({"jobs": [0, 3]}, 0, 3), ({"jobs": "1-2", "cores": 2, "processes": 2}, 2, 4)],
    ids=["to-zero", "two-workers-per-job"],
)
def test_follows_the_work(slurm_sim: SlurmSim, options: dict[str, Any], fewest: int, most: int) -> None:
    """Two bursts of work bring the most jobs, the pauses the fewest; each job is submitted once, and none cancelled."""
    slurm_sim.exec("sh", "-c", "rm -rf .dask-hpc")
    text = BURSTS.replace("int(sys.argv[2])", str(fewest))
    with program(slurm_sim, text, **options) as running:
        running.until_said("^workers at last")
    log = running.log()
    assert slurm_sim.exec("cat", "ended").stdout == "0\n", log
    assert re.findall(r"^workers .*: (\d+)$", log, re.MULTILINE) == [str(n) for n in (fewest, most, most, fewest)]
    assert "More jobs, " in log
    assert "Fewer jobs, " in log
    name = re.search(r"--job-name=(\S+)", log)
    assert name
    states = slurm_sim.exec("squeue", "-h", "-t", "all", "-n", name[1], "-o", "%T").stdout.split()
    per_job = options.get("processes", 1)
    assert len(states) == (fewest + 2 * (most - fewest)) // per_job
    assert log.count("is no longer needed.") == 2 * (most - fewest) // per_job
    assert left_after_a_minute(slurm_sim, "pgrep -f '[d]istributed.cli'") == ""


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ("8-1", ["begins with the larger number", "1-8"]),
        ("1-2-3", ["is not a number or a range"]),
        ("0", ["0 is not between 1 and"]),
        ("x-8", ["'x' is not a number"]),
    ],
)
def test_rejects_invalid_ranges(slurm_sim: SlurmSim, jobs: str, words: list[str]) -> None:
    """The error says how a range is written."""
    done = slurm_sim.exec("dask-hpc", "run", "monte-carlo-pi", "--on", "slurm", "--jobs", jobs, check=False)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
