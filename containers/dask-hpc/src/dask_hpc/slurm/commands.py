"""Run Slurm's commands: in plain English, and as if no job were around this process."""

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
"""All that this package needs of Slurm."""

_PATIENCE = 60  # seconds for the controller of a busy site
_PARSABLE = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}


def run(*command: str, timeout: float = 15, environ: Mapping[str, str] = os.environ) -> Answer:
    """Run one of Slurm's commands, and return its answer; it neither raises nor takes longer than `timeout` seconds."""
    return processes.run(*command, timeout=timeout, environ=plain(environ) | _PARSABLE)


def ask(*command: str, check: bool = True) -> str:
    """Return what one of Slurm's commands prints; raise `ClusterError` if it fails or takes a minute."""
    answer = run(*command, timeout=_PATIENCE)
    if answer.status is None:
        raise ClusterError(f"{answer.said}.", todo="see whether the controller is up: scontrol ping.")
    if check and answer.status:
        raise ClusterError(f"{' '.join(command)} failed.", answer.err or answer.out)
    return answer.out


def submit(script: str, environ: Mapping[str, str] = os.environ) -> Answer:
    """Have sbatch take a job script; the job inherits the environment, as far as that describes no job."""
    # without `_PARSABLE`, which the job would inherit
    return processes.run("sbatch", "--parsable", timeout=_PATIENCE, environ=plain(environ), stdin=script)


def would_take(*options: str) -> Answer:
    """Ask sbatch whether it would take a job of one task with these options; none is submitted."""
    return run("sbatch", "--test-only", "--ntasks=1", "--time=1", *options, "--wrap=true")


def missing(commands: Sequence[str] = COMMANDS) -> tuple[str, ...]:
    """Return those of Slurm's commands that are not on the PATH."""
    return tuple(command for command in commands if not shutil.which(command))


def require() -> None:
    """Raise `ClusterError` unless the commands for jobs are here."""
    absent = ", ".join(missing(_FOR_JOBS))
    if absent and sif.current():
        raise ClusterError(
            "There is no way from this SIF to Slurm.",
            f"Not found: {absent}. The SIF has no Slurm, since it must be the cluster's own.",
            "start it by the launcher that comes with the SIF: ./dask-hpc run … --on slurm.",
        )
    if absent:
        raise ClusterError(
            "There is no Slurm here to submit jobs to.",
            f"Not found on this machine's PATH: {absent}",
            "run it on a login node of a Slurm cluster, or use --on local; "
            "'slurm-sim up' starts a mini-cluster on this machine.",
        )
