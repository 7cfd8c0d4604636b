"""What to ask Slurm for: every setting that was not given is worked out from what the nodes have."""

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
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption, combine, log_options
from dask_hpc.units import format_walltime

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
    mem: SbatchOption | None
    asked: Asked
    reasons: Mapping[str, str]

    def sbatch(self, name: str) -> list[SbatchOption]:
        """Return sbatch's options for a job of that name; raises `RequestError`."""
        ours = [
            SbatchOption("job-name", name),
            *log_options(self.log_directory, name),
            SbatchOption("partition", self.partition),
            *self.asked.place(),
            SbatchOption("ntasks", "1"),
            SbatchOption("cpus-per-task", str(self.cores)),
            *([self.mem] if self.mem else []),
            SbatchOption("time", format_walltime(self.walltime)),
        ]
        return combine(ours, self.asked.sbatch)

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
            **self.asked.settings(),
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the settings for people, with their reasons."""
        return [*shown(self.settings(), self.reasons), *self.asked.rows()]


def make_request(asked: Asked, nodes: Sequence[Node], interface: tuple[str, str], logs: Path) -> Request:
    """Return what to ask for.

    Args:
        asked: what the user has asked for.
        nodes: the partition's.
        interface: the scheduler's interface and why it is the one.
        logs: folder for the jobs' logs, if none was given.

    Raises:
        RequestError: there are no usable nodes, or no node has what a job asks for.
    """
    up = usable(nodes, asked.options["partition"])
    _, smallest = smallest_idle(up)
    cores = asked.options["cores"] or min(smallest.cpus, _CORES)
    share = smallest.memory * min(cores, smallest.cpus) // smallest.cpus
    whose = f"{smallest.name} has {smallest.memory} MiB for {smallest.cpus} cores"
    memory, why, mem = memory_on_node(asked, cores, (share, whose))
    choices = _choices(up, cores, interface, logs)
    request = Request(mem=mem, **settle(asked, up, choices, {"memory": (memory, why)}))
    _refuse_what_cannot_be(request, up, nodes)
    return request


def _choices(up: Sequence[Node], cores: int, interface: tuple[str, str], logs: Path) -> Choices:
    idle, smallest = smallest_idle(up)
    return {
        "jobs": (min(idle, _JOBS), f"one a node of the {idle} idle, {_JOBS} at most"),
        "cores": (cores, f"{smallest.name} has {smallest.cpus}; {_CORES} at most"),
        "processes": (1, "NumPy lets threads run side by side, and one process starts fastest"),
        "interface": interface,
        **usual(smallest, logs),
    }


def _refuse_what_cannot_be(request: Request, up: Sequence[Node], nodes: Sequence[Node]) -> None:
    wanted = f"Asked for: {request.cores} cores and {request.memory} MiB a job, {request.jobs} jobs."
    have = f"{wanted}\nThe nodes have:\n{describe_nodes(nodes)}"
    if not any(node.cpus >= request.cores and node.memory >= request.memory for node in up):
        raise RequestError("No node is large enough for the job.", have, "ask for less by --cores or --memory.")
    if request.processes > request.cores:
        raise RequestError(
            f"{request.processes} processes cannot share {request.cores} cores.", todo="ask for fewer --processes."
        )
    refuse_long(request.walltime, up)
