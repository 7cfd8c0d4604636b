"""Choosing what was not given, with a reason for each choice, and refusing what a partition does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dask_hpc.clusters.slurm.ask import Node
from dask_hpc.errors import RequestError
from dask_hpc.params import format_walltime

__all__ = ["Choices", "describe_nodes", "refuse_long", "settle", "smallest_idle", "usable", "usual"]

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
    idle = [node for node in up if node.idle_cpus == node.cpus] or list(up)
    return len(idle), min(idle, key=lambda node: node.cpus)


def usual(node: Node, logs: Path) -> Choices:
    """Return what is chosen alike for every kind of job; `node` is the smallest, `logs` a folder for the jobs' logs."""
    return {
        "walltime": (min(_WALLTIME, node.limit or _WALLTIME), "a demonstration needs no more"),
        "local_directory": (_NODE_DISK, "the node's own disk, not the shared home"),
        "log_directory": (logs, "shared by login node and nodes; moved into the results"),
    }


def settle(options: Mapping[str, Any], up: Sequence[Node], choices: Choices) -> dict[str, Any]:
    """Return a request's arguments: what was given (not None), else what is chosen, and the `reasons`."""
    settled: dict[str, Any] = {"partition": up[0].partition}
    reasons = {"partition": "asked for" if options["partition"] else "Slurm's default"}
    for name, (value, why) in choices.items():
        given = options[name]
        settled[name] = value if given is None else type(value)(given)
        reasons[name] = why if given is None else "asked for"
    return settled | {"reasons": reasons}


def refuse_long(walltime: int, up: Sequence[Node]) -> None:
    """Refuse a job that is to run for longer (in seconds) than its partition lets it."""
    limit = up[0].limit
    if limit is not None and walltime > limit:
        raise RequestError(
            f"Partition {up[0].partition} ends jobs after {format_walltime(limit)}.",
            f"Asked for: {format_walltime(walltime)}",
            "ask for less by --walltime, or for another --partition.",
        )


def describe_nodes(nodes: Sequence[Node], most: int = 10) -> str:
    """Return one line a node, for at most `most` nodes."""
    lines = [f"  {node.name}: {node.cpus} cores, {node.memory} MiB, {node.state}" for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(f"  … and {len(nodes) - most} more")
    return "\n".join(lines) or "  (none)"
