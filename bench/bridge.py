"""Measure the overhead of the bridge: call squeue from the SIF, and directly on the login node."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.report import Measurement
from slurm_sim import SlurmSim, _files

_LAUNCHER = "/home/hpc/dask-hpc"
_CALLS = 40

# One program for both sides, so that both include the start of a process.
_MEASURE = f"""
import subprocess, time
for _ in range({_CALLS}):
    start = time.monotonic()
    subprocess.run(["squeue", "--noheader"], check=True)
    print(time.monotonic() - start)
"""


def calls() -> Iterator[Measurement]:
    """Make many calls in sequence, alternating between both sides, and yield the medians."""
    with SlurmSim(nodes=1, bare=True, sif=_files.root() / "dist" / "dask-hpc.sif") as sim:
        sim.put(_files.root() / "apptainer" / "site" / "dask-hpc", _LAUNCHER)
        inside = []
        outside = []
        for _ in range(3):
            outside += _times(sim, "python3")
            inside += _times(sim, _LAUNCHER, "--sif=/shared/dask-hpc.sif", "exec", "python")
    direct = statistics.median(outside)
    bridged = statistics.median(inside)
    yield Measurement(what="squeue on the login node", value=direct * 1e3, unit="ms")
    yield Measurement(what="squeue out of the SIF, by the bridge", value=bridged * 1e3, unit="ms")
    yield Measurement(what="what the bridge costs a call", value=(bridged - direct) * 1e3, unit="ms", most=30)


def _times(sim: SlurmSim, *python: str) -> list[float]:
    return [float(line) for line in sim.exec(*python, "-c", _MEASURE).stdout.split()]
