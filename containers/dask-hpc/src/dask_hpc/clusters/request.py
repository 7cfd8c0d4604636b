"""Plan a Slurm job: choose a default and a reason for each setting, and reject what the partition lacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from dask_hpc.clusters.asked import Asked
from dask_hpc.clusters.facts import Value
from dask_hpc.errors import RequestError
from dask_hpc.slurm.allocation import mebibytes
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.sbatch import SbatchOption, combine, log_options
from dask_hpc.units import NO_MEMORY, format_walltime

T = TypeVar("T")

NODE_DISK = "/tmp"  # noqa: S108 (Dask makes a private folder in it)
_WALLTIME = 600  # enough to see a speed-up, short enough to start soon


@dataclass(frozen=True, kw_only=True)
class JobRequest(ABC):
    """A job to request from Slurm.

    Attributes:
        memory: MiB.
        walltime: seconds.
        partition: the partition to run in.
        local_directory: folder on the nodes that workers spill to.
        log_directory: shared folder for the job's output.
        mem: the option that requests memory from Slurm, if any.
        asked: the user's requests.
        reasons: the reason for each setting's value.
    """

    memory: int
    walltime: int
    partition: str
    local_directory: str
    log_directory: Path
    mem: SbatchOption | None
    asked: Asked
    reasons: Mapping[str, str]

    @abstractmethod
    def size(self) -> dict[str, Value]:
        """Return the settings of the job's size."""

    @abstractmethod
    def size_options(self) -> list[SbatchOption]:
        """Return the job's size as sbatch options."""

    def sbatch(self, name: str) -> list[SbatchOption]:
        """Return the sbatch options for a job of that name; raises `RequestError`."""
        ours = [
            SbatchOption("job-name", name),
            *log_options(self.log_directory, name),
            SbatchOption("partition", self.partition),
            *self.asked.place(),
            *self.size_options(),
            *([self.mem] if self.mem else []),
            SbatchOption("time", format_walltime(self.walltime)),
        ]
        return combine(ours, self.asked.sbatch)

    def settings(self) -> dict[str, Value]:
        """Return the settings for programs."""
        return {
            **self.size(),
            "memory": f"{self.memory}MiB",
            "walltime": format_walltime(self.walltime),
            "partition": self.partition,
            "local_directory": self.local_directory,
            "log_directory": str(self.log_directory),
            **self.asked.settings(),
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the settings and their reasons as table rows."""
        rows = [
            (name.replace("_", " "), str(value), self.reasons[name])
            for name, value in self.settings().items()
            if name in self.reasons
        ]
        return [*rows, *self.asked.rows()]


class Chooser:
    """Chooses the user's value or a default, and keeps the reason for each setting in `reasons`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.reasons = {"partition": asked.sources.get("partition", "Slurm's default")}

    def choose(self, name: str, default: T, why: str) -> T:
        """Return a setting's value; the option of that name, if given, is converted to the default's type."""
        given = getattr(self._asked.options, name)
        if given is None:
            self.reasons[name] = why
            return default
        self.reasons[name] = self._asked.sources[name]
        return cast("T", Path(given) if isinstance(default, Path) else given)

    def walltime(self, node: Node) -> int:
        """Return the wall time in seconds; `node` is the smallest that the job may run on."""
        return self.choose("walltime", min(_WALLTIME, node.limit or _WALLTIME), "enough for a demonstration")

    def local_directory(self) -> str:
        """Return the folder that workers spill to."""
        return self.choose("local_directory", NODE_DISK, "the node's own disk, not the shared home")

    def log_directory(self, default: Path) -> Path:
        """Return the folder for the jobs' output."""
        return self.choose("log_directory", default, "shared by login node and nodes; moved into the results")


def usable(nodes: Sequence[Node], partition: str | None) -> list[Node]:
    """Return the nodes that jobs can start on; raises `RequestError` if there are none."""
    if up := [node for node in nodes if node.up]:
        return up
    where = f"partition {partition}" if partition else "Slurm's default partition"
    raise RequestError(f"No usable node in {where}.", describe_nodes(nodes), "see 'sinfo'.")


def smallest_idle(up: Sequence[Node]) -> tuple[int, Node]:
    """Return the number of idle nodes and the smallest of them; if none is idle, of all nodes."""
    idle = [node for node in up if node.idle] or list(up)
    return len(idle), min(idle, key=lambda node: node.cpus)


@dataclass(frozen=True, kw_only=True)
class NodeMemory:
    """A job's memory per node in MiB, the reason, and the option that requests it from Slurm.

    The option is None if one of the user's options already requests memory, or with `--memory none`.
    """

    mib: int
    why: str
    option: SbatchOption | None = None


def memory_on_node(asked: Asked, *, cpus: int, share: int, why: str, ranks: int = 1) -> NodeMemory:
    """Return a job's memory per node.

    Args:
        asked: the user's requests.
        cpus: the job's CPUs per node.
        share: the fair share of the node's memory, in MiB.
        why: the reason for that share.
        ranks: processes per node, if `--memory` is per process.
    """
    given = (asked.options.memory or 0) * ranks
    if own := [option for option in asked.sbatch if option.name in {"mem", "mem-per-cpu", "mem-per-gpu"}]:
        amount = mebibytes(own[-1].value) or 0
        theirs = {"mem": amount, "mem-per-cpu": amount * cpus}.get(own[-1].name, 0)
        return NodeMemory(mib=given or theirs or share, why=f"--sbatch-option={own[-1]}")
    if asked.options.memory == NO_MEMORY:
        return NodeMemory(mib=share, why=f"not requested from Slurm; {why}")
    mib = given or share
    return NodeMemory(mib=mib, why=asked.sources["memory"] if given else why, option=SbatchOption("mem", f"{mib}M"))


def refuse_long(walltime: int, up: Sequence[Node]) -> None:
    """Raise `RequestError` if the wall time, in seconds, is longer than every partition in `up` allows."""
    limits = [node.limit for node in up if node.limit is not None]
    if len(limits) == len(up) and walltime > max(limits):
        raise RequestError(
            f"Partition {up[0].partition} ends jobs after {format_walltime(max(limits))}.",
            f"Requested: {format_walltime(walltime)}",
            "request a shorter --walltime, or another --partition.",
        )


def describe_nodes(nodes: Sequence[Node], most: int = 10) -> str:
    """Return one line per node, for at most `most` nodes."""
    lines = [f"  {node.name}: {node.cpus} cores, {node.memory} MiB, {node.state}" for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(f"  … and {len(nodes) - most} more")
    return "\n".join(lines) or "  (none)"
