"""What to ask Slurm for: one job of many ranks, its size worked out from what the nodes have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.clusters.asked import Asked
from dask_hpc.clusters.choose import (
    Choices,
    describe_nodes,
    memory_on_node,
    refuse_long,
    settle,
    shown,
    smallest_idle,
    usable,
    usual,
)
from dask_hpc.clusters.facts import Value
from dask_hpc.errors import RequestError
from dask_hpc.mpi.traps import refuse_small_world
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption, combine, log_options
from dask_hpc.units import format_walltime

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
    mem: SbatchOption | None
    asked: Asked
    reasons: Mapping[str, str]

    @property
    def world(self) -> int:
        """How many ranks there are: a scheduler, and workers."""
        return self.nodes * self.ranks_per_node

    def sbatch(self, name: str) -> list[SbatchOption]:
        """Return sbatch's options for a job of that name; raises `RequestError`."""
        ours = [
            SbatchOption("job-name", name),
            *log_options(self.log_directory, name),
            SbatchOption("partition", self.partition),
            *self.asked.place(),
            SbatchOption("nodes", str(self.nodes)),
            SbatchOption("ntasks-per-node", str(self.ranks_per_node)),
            SbatchOption("cpus-per-task", str(self.threads)),
            *([self.mem] if self.mem else []),
            SbatchOption("time", format_walltime(self.walltime)),
            SbatchOption("no-requeue"),  # started again after a node was lost, it would wait for a client that has gone
        ]
        return combine(ours, self.asked.sbatch)

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
            **self.asked.settings(),
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the settings for people, with their reasons."""
        reasons = {**self.reasons, "world": f"rank 0 is the scheduler, {self.world - 1} are workers"}
        return [*shown(self.settings(), reasons), *self.asked.rows()]


def make_request(asked: Asked, nodes: Sequence[Node], logs: Path) -> Request:
    """Return what to ask for.

    Args:
        asked: what the user has asked for.
        nodes: the partition's.
        logs: folder for the job's logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, too few, or none that has what a node of the job needs.
    """
    up = usable(nodes, asked.options["partition"])
    _, smallest = smallest_idle(up)
    threads = asked.options["threads"] or 1
    ranks = asked.options["ranks_per_node"] or max(1, min(smallest.cpus // threads, _RANKS))
    share = smallest.memory * threads // smallest.cpus * ranks
    memory, why, mem = memory_on_node(
        asked, ranks * threads, (share, f"{smallest.name} has {smallest.memory} MiB"), ranks
    )
    worked_out = {"memory": (memory // ranks, f"of a rank; {why}")}
    request = Request(mem=mem, **settle(asked, up, _choices(up, ranks, logs), worked_out))
    refuse_small_world(request.world, ["the scheduler", "a worker"])
    _refuse_what_cannot_be(request, up)
    return request


def _choices(up: Sequence[Node], ranks: int, logs: Path) -> Choices:
    idle, smallest = smallest_idle(up)
    return {
        "nodes": (min(idle, _NODES), f"of the {idle} idle, {_NODES} at most"),
        "ranks_per_node": (ranks, f"{smallest.name} has {smallest.cpus} cores; {_RANKS} at most"),
        "threads": (1, "of a rank: --cpus-per-task"),
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
