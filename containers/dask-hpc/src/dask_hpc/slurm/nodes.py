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
        name: name of the node.
        partition: name of the partition.
        default: True if the partition is Slurm's default.
        cpus: number of all CPUs.
        memory: all memory, in MiB.
        state: sinfo's short state: a word, and possibly a sign.
        idle_cpus: number of CPUs that no job uses.
        limit: time limit of jobs in the partition, in seconds; None if it has no limit.
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
        """True if jobs can start on the node, now or later, even if it is asleep, planned or under maintenance.

        The sign `*` marks a node that does not respond.
        """
        word, sign = re.fullmatch(r"(\w*)(.*)", self.state, re.DOTALL).groups()  # type: ignore[union-attr]
        return word not in _UNUSABLE and "*" not in sign

    @property
    def idle(self) -> bool:
        """True if nothing runs on the node."""
        return self.idle_cpus == self.cpus


def nodes(partition: str | None = None, source: str = "--partition") -> list[Node]:
    """Return the nodes of a partition; by default Slurm's default partition, or the first if there is no default.

    Args:
        partition: its name, or several separated by commas.
        source: the option or variable that names it, for the error.

    Raises:
        RequestError: the partition is unknown.
    """
    found = _all_nodes()
    wanted = (partition or default_partition(found)).split(",")
    chosen = [node for node in found if node.partition in wanted]
    if partition and set(wanted) - {node.partition for node in chosen}:
        _refuse_unknown(wanted, source)
    return chosen


def partitions() -> dict[str, list[Node]]:
    """Return the nodes of each partition that is not hidden, in Slurm's order."""
    found = _all_nodes()
    return {name: [node for node in found if node.partition == name] for name in _partition_names()}


def default_partition(found: Iterable[Node]) -> str:
    """Return the default partition, or the first if there is no default; '' without nodes."""
    members = list(found)
    first = members[0].partition if members else ""
    return next((node.partition for node in members if node.default), first)


def parse_nodes(text: str) -> list[Node]:
    """Return the nodes in sinfo's lines; raise `ClusterError` for an invalid line."""
    return [_parse_node(line) for line in text.splitlines()]


def _all_nodes() -> list[Node]:
    return parse_nodes(ask("sinfo", "-h", "-a", "-N", "-o", _FORMAT))


def _partition_names(*options: str) -> list[str]:
    return list(dict.fromkeys(ask("sinfo", "-h", *options, "-o", "%R").split()))


def _refuse_unknown(wanted: Sequence[str], source: str) -> None:
    there = _partition_names("-a")  # also partitions without nodes
    for partition in wanted:
        if partition not in there:
            raise RequestError(
                f"Unknown partition {partition!r}.",
                f"Available: {', '.join(there) or '(none)'}",
                did_you_mean(partition, there, prefix=f"{source} ") or f"give {source} one of these.",
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
        raise ClusterError("Unexpected output of sinfo.", line) from error


def _least(text: str) -> int:
    return int(text.rstrip("+"))  # "4+" stands for a group of different nodes


def _limit(text: str) -> int | None:
    try:
        seconds = Walltime().convert(text, None, None)
    except click.BadParameter:
        return None  # "n/a"
    return None if seconds == UNLIMITED else seconds
