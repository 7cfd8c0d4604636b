"""Run Slurm's commands, with English output and without the variables of a job around this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from dask_hpc import processes, sif
from dask_hpc.errors import ClusterError
from dask_hpc.processes import Answer
from dask_hpc.slurm.environment import plain

_FOR_JOBS = ("sbatch", "squeue", "scancel", "sinfo")
COMMANDS = (*_FOR_JOBS, "srun", "scontrol")
"""Slurm commands that this package uses."""

_PATIENCE = 60  # seconds, enough for the controller of a busy site
_PARSABLE = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}


def run(*command: str, timeout: float = 15, environ: Mapping[str, str] = os.environ) -> Answer:
    """Run one of Slurm's commands for at most `timeout` seconds, and return its answer without raising."""
    return processes.run(*command, timeout=timeout, environ=plain(environ) | _PARSABLE)


def ask(*command: str, check: bool = True) -> str:
    """Return the output of one of Slurm's commands; raise `ClusterError` if it fails or takes a minute."""
    answer = run(*command, timeout=_PATIENCE)
    if answer.status is None:
        raise ClusterError(f"{answer.said}.", todo="check that the controller is up: scontrol ping.")
    if check and answer.status:
        raise ClusterError(f"{' '.join(command)} failed.", answer.err or answer.out)
    return answer.out


def submit(script: str, environ: Mapping[str, str] = os.environ) -> Answer:
    """Submit a job script; the job inherits the environment without variables that describe a job."""
    # without `_PARSABLE`, which the job would inherit
    return processes.run("sbatch", "--parsable", timeout=_PATIENCE, environ=plain(environ), stdin=script)


def would_take(*options: str) -> Answer:
    """Ask sbatch whether it would accept a job of one task with these options, without submitting it."""
    return run("sbatch", "--test-only", "--ntasks=1", "--time=1", *options, "--wrap=true")


def missing(commands: Sequence[str] = COMMANDS) -> tuple[str, ...]:
    """Return the commands that are not on PATH."""
    return tuple(command for command in commands if not shutil.which(command))


def require() -> None:
    """Raise `ClusterError` if a command for jobs is missing."""
    absent = ", ".join(missing(_FOR_JOBS))
    if absent and sif.current():
        raise ClusterError(
            "Slurm cannot be reached from this SIF.",
            f"Not found: {absent}. The SIF contains no Slurm, which must be the cluster's own.",
            "start it with the launcher that comes with the SIF: ./dask-hpc run … --on slurm.",
        )
    if absent:
        raise ClusterError(
            "Slurm not found.",
            f"Not on this machine's PATH: {absent}",
            "run it on a login node of a Slurm cluster, or use --on local; "
            "'slurm-sim up' starts a mini-cluster on this machine.",
        )
