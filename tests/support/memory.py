"""Jobs that use memory, on real nodes."""

from __future__ import annotations

from slurm_sim import Job, SlurmSim
from tests.support.jobs import sbatch
from tests.support.programs import PROGRAMS
from tests.support.waiting import until_in

MIB = 200
LIMIT = "--mem=300M"
"""Enough for the memory that the program uses, but not for twice as much."""


def submit(sim: SlurmSim, command: str, *options: str) -> Job:
    """Submit a command in which PROGRAM stands for the program that uses memory."""
    sim.put(PROGRAMS / "memory.py", "/home/hpc/memory.py")
    wrap = command.replace("PROGRAM", "python /home/hpc/memory.py")
    return sbatch(sim, "--nodes=1", *options, f"--wrap={wrap}")


def resident_mib(job: Job, step: str = "batch", *, tasks: int = 1) -> float:
    """Return the memory that Slurm counts for each task of a step, once all tasks hold theirs.

    `sstat` makes slurmstepd count at once, which ends a step over its limit.
    """
    output = job.record().output
    until_in(job.engine, f'[ "$(grep --count held {output})" = {tasks} ] || grep --quiet memory {output}', timeout=60)
    form = ("--noheader", "--parsable2", "--noconvert", "--format=MaxRSS")
    return int(job.engine.exec("sstat", *form, f"--jobs={job.id}.{step}").stdout.strip() or 0) / 2**20


def assert_killed(job: Job) -> None:
    """Assert that Slurm ended a job over its limit, and logged the reason."""
    record = job.wait(90)
    assert record.state in {"FAILED", "CANCELLED", "OUT_OF_MEMORY"}
    assert "exceeded memory limit" in job.output()
