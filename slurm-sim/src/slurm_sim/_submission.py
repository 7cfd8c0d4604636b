"""Submit batch scripts from this host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from slurm_sim._docker import Completed
from slurm_sim._engine import Engine
from slurm_sim._suggest import did_you_mean
from slurm_sim.errors import JobError

# sbatch prints nothing with --quiet; the job is then found by the unique path of its script.
_SUBMIT = """
folder=$(mktemp -d) && trap 'rm -r "$folder"' EXIT
cat >"$folder/$1" && script="$folder/$1" && shift
sbatch --parsable "$@" "$script" >"$folder/.said" && status=0 || status=$?
if [ -s "$folder/.said" ]; then cat "$folder/.said"
elif [ $status = 0 ]; then
  squeue --noheader --states=all --format="%A %o" |
    while read -r id command; do [ "$command" != "$script" ] || echo "$id"; done | sort --numeric-sort | head -n 1
fi
exit $status
"""


class Submission(msgspec.Struct, frozen=True):
    """A call of sbatch, and the job's ID; None if sbatch submitted nothing."""

    job_id: int | None
    sbatch: Completed


def submit(engine: Engine, script: Path, options: Sequence[str], *, user: str) -> Submission:
    """Submit a script, with sbatch's options."""
    name = re.sub(r"[^\w.-]", "_", script.name)
    command = ("sh", "-ec", _SUBMIT, "submit", name, *options)
    done = engine.exec(*command, user=user, stdin=script.read_bytes(), check=False)
    # the ID alone, or "ID;cluster" in a federation
    found = re.search(r"^(\d+)(;\S*)?$", done.stdout, re.MULTILINE)
    return Submission(int(found[1]) if found else None, done)


def no_job(engine: Engine, script: str | Path, sbatch: Completed) -> JobError:
    """Return the error for a submission that made no job."""
    if sbatch.returncode == 0:
        said = sbatch.stdout + sbatch.stderr
        return JobError(f"sbatch did not submit {script}.", said, "leave out options such as --test-only.")
    engine.require("slurmctld")
    return JobError(f"sbatch rejected {script}.", sbatch.stderr or sbatch.stdout, _advice(engine, sbatch.stderr))


def _advice(engine: Engine, refusal: str) -> str:
    """Return advice for an error of sbatch."""
    unknown = re.search(r"invalid partition specified: (\S+)", refusal)
    if not unknown:
        return "'slurm-sim status' shows the nodes' CPUs and memory."
    there = engine.exec("sinfo", "--noheader", "--format=%R").stdout.split()
    return did_you_mean(unknown[1], there, f"use one of {', '.join(there)}.")
