"""Choosing what was not given, with a reason for each choice, and refusing what a partition does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dask_hpc.clusters.asked import Asked
from dask_hpc.errors import RequestError
from dask_hpc.slurm.allocation import mebibytes
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption
from dask_hpc.units import NO_MEMORY, format_walltime

__all__ = [
    "Choices",
    "describe_nodes",
    "memory_on_node",
    "refuse_long",
    "settle",
    "shown",
    "smallest_idle",
    "usable",
    "usual",
]

Choices = dict[str, tuple[Any, str]]
"""A value and the reason for it, by setting."""

_NODE_DISK = "/tmp"  # noqa: S108 (Dask makes a folder of its own in it)
_WALLTIME = 600  # enough to see a speed-up, little enough to start soon


def usable(nodes: Sequence[Node], partition: str | None) -> list[Node]:
    """Return the nodes that are up; raises `RequestError` if none is."""
    if up := [node for node in nodes if node.up]:
        return up
    where = f"partition {partition}" if partition else "Slurm's default partition"
    raise RequestError(f"There is no usable node in {where}.", describe_nodes(nodes), "see 'sinfo'.")


def smallest_idle(up: Sequence[Node]) -> tuple[int, Node]:
    """Return how many nodes are idle, and the smallest of them; of all, if none is."""
    idle = [node for node in up if node.idle] or list(up)
    return len(idle), min(idle, key=lambda node: node.cpus)


def usual(node: Node, logs: Path) -> Choices:
    """Return what is chosen alike for every kind of job; `node` is the smallest, `logs` a folder for the jobs' logs."""
    return {
        "walltime": (min(_WALLTIME, node.limit or _WALLTIME), "a demonstration needs no more"),
        "local_directory": (_NODE_DISK, "the node's own disk, not the shared home"),
        "log_directory": (logs, "shared by login node and nodes; moved into the results"),
    }


def settle(asked: Asked, up: Sequence[Node], choices: Choices, worked_out: Choices) -> dict[str, Any]:
    """Return a request's arguments: what was given (not None), else what is chosen; and the `reasons`.

    Args:
        asked: what the user has asked for.
        up: the nodes that are up.
        choices: what to take where nothing was given.
        worked_out: what takes account of it already.
    """
    settled: dict[str, Any] = {"partition": asked.options["partition"] or up[0].partition}
    reasons = {"partition": asked.sources.get("partition", "Slurm's default")}
    for name, (value, why) in choices.items():
        given = asked.options[name]
        settled[name] = value if given is None else type(value)(given)
        reasons[name] = why if given is None else asked.sources[name]
    for name, (value, why) in worked_out.items():
        settled[name], reasons[name] = value, why
    return settled | {"reasons": reasons, "asked": asked}


def shown(settings: Mapping[str, object], reasons: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return those settings that have a reason, for people."""
    return [(name.replace("_", " "), str(value), reasons[name]) for name, value in settings.items() if name in reasons]


def memory_on_node(
    asked: Asked, cpus: int, share: tuple[int, str], ranks: int = 1
) -> tuple[int, str, SbatchOption | None]:
    """Return the MiB that a job has on a node, the reason, and the option that asks Slurm for them.

    The option is None where one of the user's says it already, or `--memory none` leaves it out.

    Args:
        asked: what the user has asked for.
        cpus: those that the job has on a node.
        share: the fair share of the node's memory, in MiB, and its reason.
        ranks: how many of what `--memory` is said for run on a node.
    """
    given = (asked.options["memory"] or 0) * ranks
    if own := [option for option in asked.sbatch if option.name in {"mem", "mem-per-cpu", "mem-per-gpu"}]:
        amount = mebibytes(own[-1].value) or 0
        theirs = {"mem": amount, "mem-per-cpu": amount * cpus}.get(own[-1].name, 0)
        return given or theirs or share[0], f"--sbatch-option={own[-1]}", None
    if asked.options["memory"] == NO_MEMORY:
        return share[0], f"Slurm is not asked for it; {share[1]}", None
    memory, why = (given, asked.sources["memory"]) if given else share
    return memory, why, SbatchOption("mem", f"{memory}M")


def refuse_long(walltime: int, up: Sequence[Node]) -> None:
    """Refuse a job that is to run for longer (in seconds) than its partition, or each of them, lets it."""
    limits = [node.limit for node in up if node.limit is not None]
    if len(limits) == len(up) and walltime > max(limits):
        raise RequestError(
            f"Partition {up[0].partition} ends jobs after {format_walltime(max(limits))}.",
            f"Asked for: {format_walltime(walltime)}",
            "ask for less by --walltime, or for another --partition.",
        )


def describe_nodes(nodes: Sequence[Node], most: int = 10) -> str:
    """Return one line a node, for at most `most` nodes."""
    lines = [f"  {node.name}: {node.cpus} cores, {node.memory} MiB, {node.state}" for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(f"  … and {len(nodes) - most} more")
    return "\n".join(lines) or "  (none)"
