"""Measure what it costs to keep a number of jobs: replacing ended ones, retiring others in time, and many of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench.report import Measurement
from slurm_sim import SlurmSim

_PROGRAM = Path(__file__).with_name("programs") / "keep_jobs.py"
_THERE = "/home/hpc/keep_jobs.py"

_CANCELLED = 5  # times
_WALL_TIMES = 10
_PLACES = 2  # those of `worked`
_MANY, _OF_THEM = 64, 8  # jobs, and how many of them are cancelled


def costs() -> Iterator[Measurement]:
    """Measure few jobs on nodes with room for more, and then many."""
    with SlurmSim(nodes=3, cpus_per_node=3) as sim:
        sim.put(_PROGRAM, _THERE)
        seconds = [_run(sim, "replaced")["seconds"] for _ in range(_CANCELLED)]
        yield Measurement(what="from scancel to a task in the next job", value=median(seconds), unit="s", most=3.0)
        yield Measurement(what="  slowest", value=max(seconds), unit="s")
        yield from _beyond_wall_time(sim)
    with SlurmSim(nodes=4, cpus_per_node=20, memory_per_node="8G") as sim:
        sim.put(_PROGRAM, _THERE)
        yield from _many(sim)


def _beyond_wall_time(sim: SlurmSim) -> Iterator[Measurement]:
    """Do the same work in jobs of one minute and in long ones, side by side: its tasks only wait."""
    tasks = str(_PLACES * _WALL_TIMES * 60)  # of one second
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(_run, sim, "worked", walltime, tasks) for walltime in ("00:01:00", "01:00:00")]
        short, long = (one.result() for one in running)
    lack = short["longest_lack"]
    yield Measurement(what="longest time without a worker in a place", value=lack, unit="s", most=0.0)
    yield Measurement(what="  replaced jobs", value=short["replaced"], unit="")
    ratio = long["seconds"] / short["seconds"]
    yield Measurement(what=f"throughput over {_WALL_TIMES} wall times", value=ratio, unit="×", least=0.95)
    yield Measurement(what="  time with jobs of a minute", value=short["seconds"], unit="s")
    yield Measurement(what="  time with long jobs", value=long["seconds"], unit="s")


def _many(sim: SlurmSim) -> Iterator[Measurement]:
    found = _run(sim, "many", str(_MANY), str(_OF_THEM))
    yield Measurement(what=f"start {_MANY} jobs, until all workers are there", value=found["started"], unit="s")
    yield Measurement(what=f"cancel {_OF_THEM} of them, until all are replaced", value=found["replaced"], unit="s")
    yield Measurement(what=f"end {_MANY} jobs, until none is left", value=found["ended"], unit="s")


def _run(sim: SlurmSim, *arguments: str) -> dict[str, float]:
    lines = sim.exec("python", _THERE, *arguments, timeout=60 * _WALL_TIMES + 300).stdout.splitlines()
    found: dict[str, float] = json.loads(lines[-1])
    return found
