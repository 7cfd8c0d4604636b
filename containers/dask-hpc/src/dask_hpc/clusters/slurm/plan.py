"""What to ask Slurm for: every setting that was not given is worked out from what the nodes have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_hpc.clusters.slurm.ask import Node
from dask_hpc.clusters.slurm.choose import Choices, describe_nodes, refuse_long, settle, smallest_idle, usable, usual
from dask_hpc.errors import RequestError
from dask_hpc.params import format_walltime
from dask_hpc.results import Value

__all__ = ["Request", "make_request"]

_JOBS, _CORES = 2, 8  # defaults: enough to see a speed-up, little enough to start soon


@dataclass(frozen=True)
class Request:
    """One job's size and how many there are: memory in MiB, wall time in seconds."""

    jobs: int
    cores: int
    processes: int
    memory: int
    walltime: int
    partition: str
    interface: str
    local_directory: str
    log_directory: Path
    reasons: Mapping[str, str]

    def settings(self) -> dict[str, Value]:
        """Return the settings for programs."""
        return {
            "jobs": self.jobs,
            "cores": self.cores,
            "processes": self.processes,
            "memory": f"{self.memory}MiB",
            "walltime": format_walltime(self.walltime),
            "partition": self.partition,
            "interface": self.interface,
            "local_directory": self.local_directory,
            "log_directory": str(self.log_directory),
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the settings for people, with their reasons."""
        return [(name.replace("_", " "), str(value), self.reasons[name]) for name, value in self.settings().items()]


def make_request(options: Mapping[str, Any], nodes: Sequence[Node], interface: tuple[str, str], logs: Path) -> Request:
    """Return what to ask for.

    Args:
        options: the command line's; None where nothing was given.
        nodes: the partition's.
        interface: the scheduler's interface and why it is the one.
        logs: folder for the jobs' logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, or no node has what a job asks for.
    """
    up = usable(nodes, options["partition"])
    request = Request(**settle(options, up, _choices(options, up, interface, logs)))
    _refuse_what_cannot_be(request, up, nodes)
    return request


def _choices(options: Mapping[str, Any], up: Sequence[Node], interface: tuple[str, str], logs: Path) -> Choices:
    idle, smallest = smallest_idle(up)
    cores = options["cores"] or min(smallest.cpus, _CORES)
    share = smallest.memory * min(cores, smallest.cpus) // smallest.cpus
    return {
        "jobs": (min(idle, _JOBS), f"one a node of the {idle} idle, {_JOBS} at most"),
        "cores": (cores, f"{smallest.name} has {smallest.cpus}; {_CORES} at most"),
        "processes": (1, "NumPy lets threads run side by side, and one process starts fastest"),
        "memory": (share, f"{smallest.name} has {smallest.memory} MiB for {smallest.cpus} cores"),
        "interface": interface,
        **usual(smallest, logs),
    }


def _refuse_what_cannot_be(request: Request, up: Sequence[Node], nodes: Sequence[Node]) -> None:
    asked = f"Asked for: {request.cores} cores and {request.memory} MiB a job, {request.jobs} jobs."
    have = f"{asked}\nThe nodes have:\n{describe_nodes(nodes)}"
    if not any(node.cpus >= request.cores and node.memory >= request.memory for node in up):
        raise RequestError("No node is large enough for the job.", have, "ask for less by --cores or --memory.")
    if request.processes > request.cores:
        raise RequestError(
            f"{request.processes} processes cannot share {request.cores} cores.", todo="ask for fewer --processes."
        )
    refuse_long(request.walltime, up)
