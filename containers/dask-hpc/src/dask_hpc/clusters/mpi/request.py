"""Choose the size of the MPI job, one job of many ranks, from the nodes' resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.clusters.asked import Asked
from dask_hpc.clusters.facts import Value
from dask_hpc.clusters.request import (
    Chooser,
    JobRequest,
    describe_nodes,
    memory_on_node,
    refuse_long,
    smallest_idle,
    usable,
)
from dask_hpc.errors import RequestError
from dask_hpc.mpi.traps import refuse_small_world
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption

_NODES = 2  # defaults: enough to see a speed-up, few enough to start soon
_RANKS = 8


@dataclass(frozen=True, kw_only=True)
class MpiJob(JobRequest):
    """One job of MPI ranks; threads and memory are per rank."""

    nodes: int
    ranks_per_node: int
    threads: int

    @property
    def world(self) -> int:
        """Number of ranks: one scheduler and the workers."""
        return self.nodes * self.ranks_per_node

    def size(self) -> dict[str, Value]:
        """Return the settings of the job's size."""
        return {
            "nodes": self.nodes,
            "ranks_per_node": self.ranks_per_node,
            "world": self.world,
            "threads": self.threads,
        }

    def size_options(self) -> list[SbatchOption]:
        """Return the job's size as sbatch options."""
        return [
            SbatchOption("nodes", str(self.nodes)),
            SbatchOption("ntasks-per-node", str(self.ranks_per_node)),
            SbatchOption("cpus-per-task", str(self.threads)),
            SbatchOption("no-requeue"),  # requeued after a lost node, it would wait for a client that has ended
        ]


def make_request(asked: Asked, nodes: Sequence[Node], *, logs: Path) -> MpiJob:
    """Return the job to request.

    Args:
        asked: the user's requests.
        nodes: the partition's nodes.
        logs: folder for the job's logs, if none was given.

    Raises:
        RequestError: too few nodes are usable, or large enough.
    """
    up = usable(nodes, asked.options.partition)
    idle, smallest = smallest_idle(up)
    chooser = Chooser(asked)
    threads = chooser.choose("threads", 1, "per rank: --cpus-per-task")
    ranks = chooser.choose(
        "ranks_per_node",
        max(1, min(smallest.cpus // threads, _RANKS)),
        f"{smallest.name} has {smallest.cpus} cores; at most {_RANKS}",
    )
    memory = memory_on_node(
        asked,
        cpus=ranks * threads,
        share=smallest.memory * threads // smallest.cpus * ranks,
        why=f"{smallest.name} has {smallest.memory} MiB",
        ranks=ranks,
    )
    count = chooser.choose("nodes", min(idle, _NODES), f"{idle} idle; at most {_NODES}")
    reasons = {
        "memory": f"per rank; {memory.why}",
        "world": f"rank 0 is the scheduler, {count * ranks - 1} are workers",
    }
    request = MpiJob(
        nodes=count,
        ranks_per_node=ranks,
        threads=threads,
        memory=memory.mib // ranks,
        mem=memory.option,
        walltime=chooser.walltime(smallest),
        partition=asked.options.partition or up[0].partition,
        local_directory=chooser.local_directory(),
        log_directory=chooser.log_directory(logs),
        asked=asked,
        reasons=chooser.reasons | reasons,
    )
    refuse_small_world(request.world, ["the scheduler", "a worker"])
    _refuse_what_cannot_be(request, up)
    return request


def _refuse_what_cannot_be(request: MpiJob, up: Sequence[Node]) -> None:
    cores = request.ranks_per_node * request.threads
    memory = request.ranks_per_node * request.memory
    fit = [node for node in up if node.cpus >= cores and node.memory >= memory]
    if len(fit) < request.nodes:
        raise RequestError(
            "Too few nodes are large enough for the job.",
            f"Requested: {request.nodes} nodes, each with {cores} cores and {memory} MiB for "
            f"{request.ranks_per_node} ranks.\nThe nodes have:\n{describe_nodes(up)}",
            "request less with --nodes, --ranks-per-node, --threads or --memory.",
        )
    refuse_long(request.walltime, up)
