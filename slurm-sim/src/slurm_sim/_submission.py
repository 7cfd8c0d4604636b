"""Submit batch scripts of this host."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from slurm_sim.errors import JobError

if TYPE_CHECKING:
    from slurm_sim.cluster import SlurmSim

# sbatch says nothing with --quiet, and the job is then found by its script, whose path is like no other.
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
    """What sbatch said: the job's id, unless it was asked for something else or refused, and its status and text."""

    job_id: int | None
    status: int
    output: str
    errors: str


def sbatch(sim: SlurmSim, script: Path, options: Sequence[str], user: str) -> Submission:
    """Submit a script, with options of sbatch."""
    name = re.sub(r"[^\w.-]", "_", script.name)
    command = ("sh", "-ec", _SUBMIT, "submit", name, *options)
    done = sim.exec(*command, user=user, stdin=script.read_bytes(), check=False)
    # the id alone, or "id;cluster" of a federation
    found = re.search(r"^(\d+)(;\S*)?$", done.stdout, re.MULTILINE)
    return Submission(int(found[1]) if found else None, done.returncode, done.stdout, done.stderr)


def no_job(sim: SlurmSim, script: str | Path, done: Submission) -> JobError:
    """Return the error for a submission that made no job."""
    if done.status == 0:
        said = done.output + done.errors
        return JobError(f"sbatch submitted nothing of {script}", seen=said, hint="leave out such options")
    sim.check_service("slurmctld")
    return JobError(f"Slurm refused {script}", seen=done.errors or done.output, hint=_hint(sim, done.errors))


def _hint(sim: SlurmSim, refusal: str) -> str:
    """Return what to do where sbatch said that."""
    unknown = re.search(r"invalid partition specified: (\S+)", refusal)
    if not unknown:
        return "`slurm-sim status` shows what the nodes have"
    there = sim.exec("sinfo", "--noheader", "--format=%R").stdout.split()
    near = difflib.get_close_matches(unknown[1], there, n=1)
    return f"did you mean {near[0]!r}?" if near else f"take a partition that there is: {', '.join(there)}"
