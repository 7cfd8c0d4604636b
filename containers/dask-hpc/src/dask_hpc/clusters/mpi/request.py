"""Work out the MPI job to ask Slurm for: one job of many ranks, its size chosen from what the nodes have."""

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

_NODES = 2  # a default, as the next: enough to see a speed-up, little enough to start soon
_RANKS = 8


@dataclass(frozen=True, kw_only=True)
class MpiJob(JobRequest):
    """One job of MPI ranks; threads and memory are those of a rank."""

    nodes: int
    ranks_per_node: int
    threads: int

    @property
    def world(self) -> int:
        """Number of ranks: one scheduler, and the workers."""
        return self.nodes * self.ranks_per_node

    def size(self) -> dict[str, Value]:
        """Return the settings that say how large the job is."""
        return {
            "nodes": self.nodes,
            "ranks_per_node": self.ranks_per_node,
            "world": self.world,
            "threads": self.threads,
        }

    def size_options(self) -> list[SbatchOption]:
        """Return sbatch's options for them."""
        return [
            SbatchOption("nodes", str(self.nodes)),
            SbatchOption("ntasks-per-node", str(self.ranks_per_node)),
            SbatchOption("cpus-per-task", str(self.threads)),
            SbatchOption("no-requeue"),  # started again after a node was lost, it would wait for a client that has gone
        ]


def make_request(asked: Asked, nodes: Sequence[Node], *, logs: Path) -> MpiJob:
    """Return the job to ask for.

    Args:
        asked: what the user asks for.
        nodes: the partition's.
        logs: folder for the job's logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, too few, or none that has what a node of the job needs.
    """
    up = usable(nodes, asked.options.partition)
    idle, smallest = smallest_idle(up)
    chooser = Chooser(asked)
    threads = chooser.choose("threads", 1, "of a rank: --cpus-per-task")
    ranks = chooser.choose(
        "ranks_per_node",
        max(1, min(smallest.cpus // threads, _RANKS)),
        f"{smallest.name} has {smallest.cpus} cores; {_RANKS} at most",
    )
    memory = memory_on_node(
        asked,
        cpus=ranks * threads,
        share=smallest.memory * threads // smallest.cpus * ranks,
        why=f"{smallest.name} has {smallest.memory} MiB",
        ranks=ranks,
    )
    count = chooser.choose("nodes", min(idle, _NODES), f"of the {idle} idle, {_NODES} at most")
    reasons = {
        "memory": f"of a rank; {memory.why}",
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
            "There are too few nodes that are large enough for the job.",
            f"Asked for: {request.nodes} nodes, each with {cores} cores and {memory} MiB for "
            f"{request.ranks_per_node} ranks.\nThe nodes have:\n{describe_nodes(up)}",
            "ask for less by --nodes, --ranks-per-node, --threads or --memory.",
        )
    refuse_long(request.walltime, up)
