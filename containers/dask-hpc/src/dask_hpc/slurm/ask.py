"""What Slurm says: its nodes, and the jobs of one run. Every call runs one of Slurm's commands."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep

import click

from dask_hpc import sif
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.environment import plain
from dask_hpc.units import UNLIMITED, Walltime

__all__ = ["Node", "QueuedJob", "cancel", "ended", "jobs", "nodes", "queue", "require", "wait_until_gone"]

_COMMANDS = ("sbatch", "squeue", "scancel", "sinfo")
_UNUSABLE = {"down", "drain", "drng", "fail", "failg", "futr", "inval", "unk", "canc_r"}
_NODE_FORMAT = "%N|%P|%c|%m|%t|%C|%l"
_QUEUE_FORMAT = "%.10i %.12P %.28j %.10u %.2t %.8M %.4C %.8m %R"


@dataclass(frozen=True)
class Node:
    """A node as a member of one partition: memory in MiB, the partition's time limit in seconds."""

    name: str
    partition: str
    default: bool
    cpus: int
    memory: int
    state: str
    idle_cpus: int
    limit: int | None

    @property
    def up(self) -> bool:
        """Whether jobs can start on it, now or later: a node that is asleep, planned for or under maintenance counts.

        The state is sinfo's short one: a word, and a sign for what happens to the node. `*` is no answer from it.
        """
        word, sign = re.fullmatch(r"(\w*)(.*)", self.state, re.DOTALL).groups()  # type: ignore[union-attr]
        return word not in _UNUSABLE and "*" not in sign

    @property
    def idle(self) -> bool:
        """Whether nothing runs on it."""
        return self.idle_cpus == self.cpus


@dataclass(frozen=True)
class QueuedJob:
    """A job as squeue shows it; `reason` says why it waits."""

    id: str
    state: str
    reason: str
    node: str


def require() -> None:
    """Raise `ClusterError` unless Slurm's commands are here."""
    missing = [command for command in _COMMANDS if not shutil.which(command)]
    if missing and sif.current():
        raise ClusterError(
            "There is no way from this SIF to Slurm.",
            f"Not found: {', '.join(missing)}. The SIF has no Slurm, since it must be the cluster's own.",
            "start it by the launcher that comes with the SIF: ./dask-hpc run … --on slurm.",
        )
    if missing:
        raise ClusterError(
            "There is no Slurm here to submit jobs to.",
            f"Not found on this machine's PATH: {', '.join(missing)}",
            "run it on a login node of a Slurm cluster, or use --on local; "
            "'slurm-sim up' starts a mini-cluster on this machine.",
        )


def ask(*command: str, check: bool = True) -> str:
    """Return what one of Slurm's commands prints; raises `ClusterError` if it fails or takes a minute."""
    environment = plain() | {"LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"{command[0]} has not answered for 60 s.", todo="see whether the controller is up: scontrol ping."
        ) from error
    if check and done.returncode:
        raise ClusterError(f"{' '.join(command)} failed.", done.stderr or done.stdout)
    return done.stdout


def nodes(partition: str | None = None, source: str = "--partition") -> list[Node]:
    """Return the nodes of a partition; without one, of Slurm's default, or of the first if none is the default.

    Args:
        partition: its name, or several with commas between them.
        source: what has named it.

    Raises:
        RequestError: Slurm has no partition of that name.
    """
    found = parse_nodes(ask("sinfo", "-h", "-a", "-N", "-o", _NODE_FORMAT))
    if partition is None and found:
        partition = next((node.partition for node in found if node.default), found[0].partition)
    wanted = (partition or "").split(",")
    chosen = [node for node in found if node.partition in wanted]
    if partition and set(wanted) - {node.partition for node in chosen}:
        _refuse_unknown(wanted, source)
    return chosen


def _refuse_unknown(wanted: Sequence[str], source: str) -> None:
    there = list(dict.fromkeys(ask("sinfo", "-h", "-a", "-o", "%R").split()))  # those without a node as well
    for partition in wanted:
        if partition in there:
            continue
        near = difflib.get_close_matches(partition, there, n=1)
        todo = f"did you mean {source} {near[0]}?" if near else f"{source} takes one of these."
        raise RequestError(f"There is no partition {partition!r}.", f"There are: {', '.join(there) or '(none)'}", todo)


def parse_nodes(text: str) -> list[Node]:
    """Return the nodes in sinfo's lines; raises `ClusterError` for lines of another form."""
    found = []
    for line in text.splitlines():
        try:
            name, partition, cpus, memory, state, usage, limit = line.strip().split("|")
            idle = int(usage.split("/")[1])
            default = partition.endswith("*")
            seconds = _limit(limit)
            found.append(
                Node(name, partition.rstrip("*"), default, _number(cpus), _number(memory), state, idle, seconds)
            )
        except (ValueError, IndexError) as error:
            raise ClusterError("sinfo answered something unexpected.", line) from error
    return found


def _number(text: str) -> int:
    return int(text.rstrip("+"))  # "4+" is how groups of unlike nodes read


def _limit(text: str) -> int | None:
    try:
        seconds = Walltime().convert(text, None, None)
    except click.BadParameter:
        return None  # "n/a"
    return None if seconds == UNLIMITED else seconds


def jobs(name: str) -> list[QueuedJob]:
    """Return the user's jobs of that name that wait, run or ended a moment ago."""
    text = ask("squeue", "-h", "-t", "all", "-u", str(os.getuid()), "--name", name, "-o", "%i|%T|%r|%N")
    return [QueuedJob(*line.strip().split("|")) for line in text.splitlines() if line.strip()]


def ended(job: str) -> str:
    """Return how a job has ended, in Slurm's word; nothing if it has not, or if there is no Slurm to ask here."""
    if not shutil.which("squeue"):
        return ""
    state = ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", check=False).strip()
    alive = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED"}  # what is COMPLETING runs no more
    return "" if state in alive else state or "Slurm has forgotten it"


def queue(name: str) -> str:
    """Return what squeue prints for the jobs of that name."""
    return ask("squeue", "-u", str(os.getuid()), "--name", name, "-o", _QUEUE_FORMAT)


def cancel(name: str) -> None:
    """Cancel the jobs of that name; those that have ended are no error."""
    ask("scancel", "--name", name, check=False)


def wait_until_gone(name: str, timeout: float = 60) -> None:
    """Wait until none of the jobs is in the queue; raises `ClusterError` after `timeout` seconds."""
    deadline, pause = monotonic() + timeout, 0.02
    while rest := ask("squeue", "-h", "-u", str(os.getuid()), "--name", name, "-o", "%i %T").strip():
        if monotonic() > deadline:
            raise ClusterError(
                f"Jobs are still in the queue {timeout:.0f} s after scancel.", rest, "scancel them again."
            )
        sleep(pause)  # Slurm tells nobody when a queue is empty, and a site's controller is not to be asked too often
        pause = min(pause * 1.5, 1)
