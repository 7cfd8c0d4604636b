"""Measure how fast Dask workers start as Slurm jobs, and the speed-up of two workers and of two plain processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

from bench.plain import speedup
from bench.report import Measurement
from slurm_sim import SlurmSim

_ROUNDS = 3
_RUN = ("dask-hpc", "run", "monte-carlo-pi", "--on", "slurm", "--jobs", "2", "--cores", "1", "--json")

# the workload's own kernel, without Dask
_PREPARE = "from monte_carlo_pi import count_inside; count_inside(1, numpy.random.SeedSequence(0))"
_DARTS = "count_inside(share(5e8), numpy.random.SeedSequence(1))"


def on_two_nodes() -> Iterator[Measurement]:
    """Measure in rounds, with Dask and with two plain processes, on a mini-cluster of two nodes with one core each."""
    with SlurmSim(nodes=2) as sim:
        rounds = [(_result(sim), speedup(sim, _PREPARE, _DARTS)) for _ in range(_ROUNDS)]
    workers = min(result["timings"]["workers"] for result, _ in rounds)
    yield Measurement(what="scale(jobs=2) to 2 workers", value=workers, unit="s", most=1.5)
    dask = median(result["values"]["speedup"] for result, _ in rounds)
    plain = median(ratio for _, ratio in rounds)
    yield Measurement(what="speed-up of 2 workers on 2 nodes", value=dask, unit="×", least=1.9)
    yield Measurement(what="  of 2 plain processes on them", value=plain, unit="×")
    yield Measurement(what="  workers against plain processes", value=dask / plain, unit="×", least=0.97)


def _result(sim: SlurmSim) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(sim.exec(*_RUN, "--samples", "1e9").stdout)
    return result
