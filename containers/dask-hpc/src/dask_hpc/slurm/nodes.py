"""Slurm's nodes and partitions, as sinfo lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from dask_hpc.errors import ClusterError, RequestError, did_you_mean
from dask_hpc.slurm.commands import ask
from dask_hpc.units import UNLIMITED, Walltime

_UNUSABLE = {"down", "drain", "drng", "fail", "failg", "futr", "inval", "unk", "canc_r"}
_FORMAT = "%N|%P|%c|%m|%t|%C|%l"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node as a member of one partition.

    Attributes:
        name: the node's.
        partition: the partition's name.
        default: whether jobs go to that partition unless they name another one.
        cpus: all of the node's.
        memory: in MiB.
        state: sinfo's short one: a word, and a sign for what happens to the node.
        idle_cpus: those that no job has.
        limit: seconds that the partition lets a job run for; None if it has no limit.
    """

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
        """True if jobs can start on the node, now or later: a node that is asleep, planned or under maintenance counts.

        The sign `*` says that the node does not respond.
        """
        word, sign = re.fullmatch(r"(\w*)(.*)", self.state, re.DOTALL).groups()  # type: ignore[union-attr]
        return word not in _UNUSABLE and "*" not in sign

    @property
    def idle(self) -> bool:
        """True if nothing runs on the node."""
        return self.idle_cpus == self.cpus


def nodes(partition: str | None = None, source: str = "--partition") -> list[Node]:
    """Return the nodes of a partition; without one, of Slurm's default, or of the first if none is the default.

    Args:
        partition: its name, or several with commas between them.
        source: the option or variable that has named it.

    Raises:
        RequestError: Slurm has no partition of that name.
    """
    found = _all_nodes()
    wanted = (partition or default_partition(found)).split(",")
    chosen = [node for node in found if node.partition in wanted]
    if partition and set(wanted) - {node.partition for node in chosen}:
        _refuse_unknown(wanted, source)
    return chosen


def partitions() -> dict[str, list[Node]]:
    """Return the nodes of every partition that is not hidden, in Slurm's order."""
    found = _all_nodes()
    return {name: [node for node in found if node.partition == name] for name in _partition_names()}


def default_partition(found: Iterable[Node]) -> str:
    """Return the partition that jobs go to, or the first if there is no default; nothing if there is no node."""
    members = list(found)
    first = members[0].partition if members else ""
    return next((node.partition for node in members if node.default), first)


def parse_nodes(text: str) -> list[Node]:
    """Return the nodes in sinfo's lines; raise `ClusterError` for lines of another form."""
    return [_parse_node(line) for line in text.splitlines()]


def _all_nodes() -> list[Node]:
    return parse_nodes(ask("sinfo", "-h", "-a", "-N", "-o", _FORMAT))


def _partition_names(*options: str) -> list[str]:
    return list(dict.fromkeys(ask("sinfo", "-h", *options, "-o", "%R").split()))


def _refuse_unknown(wanted: Sequence[str], source: str) -> None:
    there = _partition_names("-a")  # those without a node as well
    for partition in wanted:
        if partition not in there:
            raise RequestError(
                f"There is no partition {partition!r}.",
                f"There are: {', '.join(there) or '(none)'}",
                did_you_mean(partition, there, prefix=f"{source} ") or f"{source} takes one of these.",
            )


def _parse_node(line: str) -> Node:
    try:
        name, partition, cpus, memory, state, usage, limit = line.strip().split("|")
        return Node(
            name=name,
            partition=partition.rstrip("*"),
            default=partition.endswith("*"),
            cpus=_least(cpus),
            memory=_least(memory),
            state=state,
            idle_cpus=int(usage.split("/")[1]),
            limit=_limit(limit),
        )
    except (ValueError, IndexError) as error:
        raise ClusterError("sinfo answered something unexpected.", line) from error


def _least(text: str) -> int:
    return int(text.rstrip("+"))  # "4+" is how groups of unlike nodes read


def _limit(text: str) -> int | None:
    try:
        seconds = Walltime().convert(text, None, None)
    except click.BadParameter:
        return None  # "n/a"
    return None if seconds == UNLIMITED else seconds
