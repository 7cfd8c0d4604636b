"""A mini-cluster with the site's dask-mpi scripts, and a search for what they leave on it."""

from __future__ import annotations

import time
from pathlib import Path

from slurm_sim import Job, SlurmSim
from slurm_sim._engine import Engine
from tests.support.jobs import sbatch
from tests.support.waiting import left_after_a_minute

SCRIPTS = ("dask-mpi.sbatch", "dask-mpi-nodes.sbatch", "dask-mpi-workload.sbatch")

_LEFT = """
ls -d ~/.dask-hpc/*mpi* ~/.dask-hpc/*.tls 2>/dev/null
ps -u hpc -o args= | grep -E 'dask|mpirun|prte|srun|apptainer' | grep -v -e grep
"""


def install(sim: SlurmSim, root: Path, folder: str = "/home/hpc") -> None:
    """Copy the scripts unchanged."""
    for name in SCRIPTS:
        sim.put(root / "apptainer/site" / name, f"{folder}/{name}")


def submit(sim: SlurmSim, script: str, *options: str, folder: str = "/home/hpc") -> Job:
    """Submit one of the scripts."""
    return sbatch(sim, *options, script, workdir=folder)


def await_file(sim: SlurmSim, path: str, job: Job, timeout: float = 150) -> None:
    """Return when a file exists; fail if its job ends before."""
    deadline = time.monotonic() + timeout
    while sim.exec("test", "-s", path, check=False).returncode:
        record = job.record()
        assert not record.ended, f"{record}\n{job.output()}"
        assert time.monotonic() < deadline, job.output()
        time.sleep(0.1)  # a new file sends no event


def left(sim: SlurmSim | Engine) -> str:
    """Return the jobs, private folders and processes that are left on any node after a minute."""
    return left_after_a_minute(sim, _LEFT)
