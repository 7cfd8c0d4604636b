"""How fast Dask workers come as Slurm jobs, and how much faster two are than one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bench.report import Measurement
from slurm_sim import SlurmSim

_RUN = ("dask-hpc", "run", "monte-carlo-pi", "--on", "slurm", "--jobs", "2", "--cores", "1", "--json")


def on_two_nodes() -> Iterator[Measurement]:
    """Three runs on a mini-cluster of two nodes, with one worker each; the best of them."""
    with SlurmSim(nodes=2) as sim:
        results = [_result(sim) for _ in range(3)]
    workers = min(result["timings"]["workers"] for result in results)
    speedup = max(result["values"]["speedup"] for result in results)
    yield Measurement(what="scale(jobs=2) to 2 workers", value=workers, unit="s", most=1.5)
    yield Measurement(what="speed-up of 2 workers on 2 nodes", value=speedup, unit="×", least=1.9)


def _result(sim: SlurmSim) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(sim.exec(*_RUN, "--samples", "1e9").stdout)
    return result
