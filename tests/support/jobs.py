"""Write batch scripts and submit jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slurm_sim import Job, SlurmSim

FOR_EVER = "exec tail -f /dev/null"
"""Shell command of a job that runs until it is cancelled."""


def script(folder: Path, *lines: str, name: str = "job.sbatch") -> Path:
    """Write a batch script on this host."""
    path = folder / name
    path.write_text("\n".join(["#!/bin/bash", *lines, ""]), encoding="utf-8")
    return path


def sbatch(sim: SlurmSim, *arguments: str, **how: Any) -> Job:
    """Submit a job on the login node with these arguments of sbatch; `how` is for `SlurmSim.exec`."""
    return sim.job(int(sim.exec("sbatch", "--parsable", *arguments, **how).stdout))
