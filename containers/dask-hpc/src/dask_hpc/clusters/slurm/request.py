"""Work out the worker jobs to ask Slurm for: what was not given is chosen from what the nodes have."""

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
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption

_JOBS = 2  # a default, as the next: enough to see a speed-up, little enough to start soon
_CORES = 8


@dataclass(frozen=True, kw_only=True)
class WorkerJobs(JobRequest):
    """Jobs of one size, each with `processes` workers that share its cores and its memory."""

    jobs: int
    cores: int
    processes: int
    interface: str

    def size(self) -> dict[str, Value]:
        """Return the settings that say how large the jobs are, and how they are reached."""
        return {
            "jobs": self.jobs,
            "cores": self.cores,
            "processes": self.processes,
            "interface": self.interface,
        }

    def size_options(self) -> list[SbatchOption]:
        """Return sbatch's options for them."""
        return [SbatchOption("ntasks", "1"), SbatchOption("cpus-per-task", str(self.cores))]


def make_request(asked: Asked, nodes: Sequence[Node], *, interface: tuple[str, str], logs: Path) -> WorkerJobs:
    """Return the jobs to ask for.

    Args:
        asked: what the user asks for.
        nodes: the partition's.
        interface: the scheduler's interface and why it is the one.
        logs: folder for the jobs' logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, or no node has what a job asks for.
    """
    up = usable(nodes, asked.options.partition)
    idle, smallest = smallest_idle(up)
    chooser = Chooser(asked)
    cores = chooser.choose(
        "cores", min(smallest.cpus, _CORES), f"{smallest.name} has {smallest.cpus}; {_CORES} at most"
    )
    memory = memory_on_node(
        asked,
        cpus=cores,
        share=smallest.memory * min(cores, smallest.cpus) // smallest.cpus,
        why=f"{smallest.name} has {smallest.memory} MiB for {smallest.cpus} cores",
    )
    request = WorkerJobs(
        jobs=chooser.choose("jobs", min(idle, _JOBS), f"one per node of the {idle} idle, {_JOBS} at most"),
        cores=cores,
        processes=chooser.choose("processes", 1, "NumPy lets threads run side by side, and one process starts fastest"),
        interface=chooser.choose("interface", *interface),
        memory=memory.mib,
        mem=memory.option,
        walltime=chooser.walltime(smallest),
        partition=asked.options.partition or up[0].partition,
        local_directory=chooser.local_directory(),
        log_directory=chooser.log_directory(logs),
        asked=asked,
        reasons={**chooser.reasons, "memory": memory.why},
    )
    _refuse_what_cannot_be(request, up, nodes)
    return request


def _refuse_what_cannot_be(request: WorkerJobs, up: Sequence[Node], nodes: Sequence[Node]) -> None:
    wanted = f"Asked for: {request.cores} cores and {request.memory} MiB a job, {request.jobs} jobs."
    have = f"{wanted}\nThe nodes have:\n{describe_nodes(nodes)}"
    if not any(node.cpus >= request.cores and node.memory >= request.memory for node in up):
        raise RequestError("No node is large enough for the job.", have, "ask for less by --cores or --memory.")
    if request.processes > request.cores:
        raise RequestError(
            f"{request.processes} processes cannot share {request.cores} cores.", todo="ask for fewer --processes."
        )
    refuse_long(request.walltime, up)
