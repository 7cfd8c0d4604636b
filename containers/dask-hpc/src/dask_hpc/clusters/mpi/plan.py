"""What to ask Slurm for: one job of many ranks, its size worked out from what the nodes have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_hpc.clusters.mpi.traps import refuse_small_world
from dask_hpc.clusters.slurm.ask import Node
from dask_hpc.clusters.slurm.choose import Choices, describe_nodes, refuse_long, settle, smallest_idle, usable, usual
from dask_hpc.errors import RequestError
from dask_hpc.params import format_walltime
from dask_hpc.results import Value

__all__ = ["Request", "make_request"]

_NODES, _RANKS = 2, 8  # defaults: enough to see a speed-up, little enough to start soon


@dataclass(frozen=True)
class Request:
    """The job: threads and memory (MiB) are a rank's, the wall time is in seconds."""

    nodes: int
    ranks_per_node: int
    threads: int
    memory: int
    walltime: int
    partition: str
    local_directory: str
    log_directory: Path
    reasons: Mapping[str, str]

    @property
    def world(self) -> int:
        """How many ranks there are: a scheduler, and workers."""
        return self.nodes * self.ranks_per_node

    def settings(self) -> dict[str, Value]:
        """Return the settings for programs."""
        return {
            "nodes": self.nodes,
            "ranks_per_node": self.ranks_per_node,
            "world": self.world,
            "threads": self.threads,
            "memory": f"{self.memory}MiB",
            "walltime": format_walltime(self.walltime),
            "partition": self.partition,
            "local_directory": self.local_directory,
            "log_directory": str(self.log_directory),
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the settings for people, with their reasons."""
        reasons = {**self.reasons, "world": f"rank 0 is the scheduler, {self.world - 1} are workers"}
        return [(name.replace("_", " "), str(value), reasons[name]) for name, value in self.settings().items()]


def make_request(options: Mapping[str, Any], nodes: Sequence[Node], logs: Path) -> Request:
    """Return what to ask for.

    Args:
        options: the command line's; None where nothing was given.
        nodes: the partition's.
        logs: folder for the job's logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, too few, or none that has what a node of the job needs.
    """
    up = usable(nodes, options["partition"])
    request = Request(**settle(options, up, _choices(options, up, logs)))
    refuse_small_world(request.world, ["the scheduler", "a worker"])
    _refuse_what_cannot_be(request, up)
    return request


def _choices(options: Mapping[str, Any], up: Sequence[Node], logs: Path) -> Choices:
    idle, smallest = smallest_idle(up)
    threads = options["threads"] or 1
    ranks = options["ranks_per_node"] or max(1, min(smallest.cpus // threads, _RANKS))
    return {
        "nodes": (min(idle, _NODES), f"of the {idle} idle, {_NODES} at most"),
        "ranks_per_node": (ranks, f"{smallest.name} has {smallest.cpus} cores; {_RANKS} at most"),
        "threads": (1, "of a rank: --cpus-per-task"),
        "memory": (smallest.memory * threads // smallest.cpus, f"of a rank; {smallest.name} has {smallest.memory} MiB"),
        **usual(smallest, logs),
    }


def _refuse_what_cannot_be(request: Request, up: Sequence[Node]) -> None:
    cores, memory = request.ranks_per_node * request.threads, request.ranks_per_node * request.memory
    fit = [node for node in up if node.cpus >= cores and node.memory >= memory]
    if len(fit) < request.nodes:
        raise RequestError(
            "There are too few nodes that are large enough for the job.",
            f"Asked for: {request.nodes} nodes, each with {cores} cores and {memory} MiB for "
            f"{request.ranks_per_node} ranks.\nThe nodes have:\n{describe_nodes(up)}",
            "ask for less by --nodes, --ranks-per-node, --threads or --memory.",
        )
    refuse_long(request.walltime, up)
