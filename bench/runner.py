"""Compare dask-jobqueue's SLURMRunner with dask-mpi and SLURMCluster: time to the first result, and memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from bench.report import Measurement
from slurm_sim import SlurmSim

_RUNS = 5
_WORKERS = 7
_TASKS = str(_WORKERS + 2)  # also a scheduler and a client

_FIRST_TASK = f"""
import json, time
import psutil

def resident():
    return psutil.Process().memory_info().rss

def first_task(client):
    client.wait_for_workers({_WORKERS})
    client.submit(sum, [1, 2]).result()
    done = time.time()
    print(json.dumps({{"done": done, "resident": list(client.run(resident).values())}}), flush=True)
"""
_SLURM_RUNNER = f"""
from distributed import Client
from dask_jobqueue.slurm import SLURMRunner
{_FIRST_TASK}
with SLURMRunner() as runner, Client(runner) as client:
    first_task(client)
"""
_CLUSTER = f"""
from dask_hpc import cluster
{_FIRST_TASK}
with cluster(ARGUMENTS) as started:
    first_task(started.client)
"""
_DASK_MPI = _CLUSTER.replace("ARGUMENTS", "on='mpi'")
_SLURM_CLUSTER = _CLUSTER.replace("ARGUMENTS", f"on='slurm', jobs={_WORKERS}, cores=1")
_WAYS: dict[str, tuple[str, ...]] = {
    "SLURMRunner": ("srun", "-n", _TASKS, "python", "-c", _SLURM_RUNNER),
    "dask-mpi": ("srun", "--mpi=pmix", "-n", _TASKS, "python", "-c", _DASK_MPI),
    "SLURMCluster": ("python", "-c", _SLURM_CLUSTER),
}
_STAMPED = ("sh", "-c", 'date +%s.%N; exec "$@"', "sh")  # the mini-cluster's clock: the engine may be on another host


@dataclass(frozen=True)
class _Run:
    """Seconds until the first task was done, and resident bytes per worker."""

    seconds: float
    resident: float


def first_tasks() -> Iterator[Measurement]:
    """Start seven workers in each way, alternating between the ways."""
    with SlurmSim(nodes=2, cpus_per_node=8) as sim:
        rounds = [{way: _run(sim, command) for way, command in _WAYS.items()} for _ in range(_RUNS)]
    for way in _WAYS:
        seconds = min(found[way].seconds for found in rounds)
        yield Measurement(what=f"{_WORKERS} workers and a first task, {way}", value=seconds, unit="s")
        resident = median(found[way].resident for found in rounds) / 1e6
        yield Measurement(what="  memory of a worker", value=resident, unit="MB")


def _run(sim: SlurmSim, command: tuple[str, ...]) -> _Run:
    lines = sim.exec(*_STAMPED, *command, timeout=120).stdout.splitlines()
    found = json.loads(next(line for line in lines if line.startswith('{"done"')))
    return _Run(seconds=found["done"] - float(lines[0]), resident=median(found["resident"]))
