"""Plan the worker jobs: choose what was not given from the nodes' resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

_JOBS = 2  # defaults: enough to see a speed-up, few enough to start soon
_CORES = 8


@dataclass(frozen=True, kw_only=True)
class WorkerJobs(JobRequest):
    """Jobs of one size, each with `processes` workers that share its cores and memory.

    There are `jobs` of them at first; up to `most_jobs` if there is work for more.
    """

    jobs: int
    most_jobs: int
    cores: int
    processes: int
    interface: str

    def size(self) -> dict[str, Value]:
        """Return the settings of the jobs' size, and the interface."""
        return {
            "jobs": self.jobs if self.jobs == self.most_jobs else f"{self.jobs}-{self.most_jobs}",
            "cores": self.cores,
            "processes": self.processes,
            "interface": self.interface,
        }

    def size_options(self) -> list[SbatchOption]:
        """Return the jobs' size as sbatch options."""
        return [SbatchOption("ntasks", "1"), SbatchOption("cpus-per-task", str(self.cores))]


def make_request(asked: Asked, nodes: Sequence[Node], *, interface: tuple[str, str], logs: Path) -> WorkerJobs:
    """Return the jobs to request.

    Args:
        asked: the user's requests.
        nodes: the partition's nodes.
        interface: the scheduler's interface, and the reason for it.
        logs: folder for the jobs' logs, if none was given.

    Raises:
        RequestError: no node is usable, or large enough.
    """
    up = usable(nodes, asked.options.partition)
    idle, smallest = smallest_idle(up)
    chooser = Chooser(asked)
    cores = chooser.choose(
        "cores", min(smallest.cpus, _CORES), f"{smallest.name} has {smallest.cpus}; at most {_CORES}"
    )
    memory = memory_on_node(
        asked,
        cpus=cores,
        share=smallest.memory * min(cores, smallest.cpus) // smallest.cpus,
        why=f"{smallest.name} has {smallest.memory} MiB for {smallest.cpus} cores",
    )
    jobs: Any = chooser.choose("jobs", min(idle, _JOBS), f"one per idle node ({idle}); at most {_JOBS}")
    fewest, most = jobs if isinstance(jobs, tuple) else (jobs, jobs)
    request = WorkerJobs(
        jobs=fewest,
        most_jobs=most,
        cores=cores,
        processes=chooser.choose("processes", 1, "NumPy runs in parallel threads, and one process starts fastest"),
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
    wanted = f"Requested: {request.cores} cores and {request.memory} MiB per job, {request.size()['jobs']} jobs."
    have = f"{wanted}\nThe nodes have:\n{describe_nodes(nodes)}"
    if not any(node.cpus >= request.cores and node.memory >= request.memory for node in up):
        raise RequestError("No node is large enough for the job.", have, "request less with --cores or --memory.")
    if request.processes > request.cores:
        raise RequestError(
            f"{request.processes} processes cannot share {request.cores} cores.", todo="request fewer --processes."
        )
    refuse_long(request.walltime, up)
