"""Measure the cost of the bridge: a call of squeue out of the SIF, and the same call on the login node."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.report import Measurement
from slurm_sim import SlurmSim, _files

_LAUNCHER = "/home/hpc/dask-hpc"
_CALLS = 40

# One program for both sides: what starting a process costs is in both.
_MEASURE = f"""
import subprocess, time
for _ in range({_CALLS}):
    start = time.monotonic()
    subprocess.run(["squeue", "--noheader"], check=True)
    print(time.monotonic() - start)
"""


def calls() -> Iterator[Measurement]:
    """Many calls, one after the other, on both sides in turn; the median of each."""
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
