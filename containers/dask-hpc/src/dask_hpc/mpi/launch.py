"""Detect the launcher of this process, and its number of tasks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dask_hpc.slurm.allocation import VARIABLES, Allocation
from dask_hpc.slurm.jobs import tasks_of_step

_STEP = re.compile(r"slurmstepd: \[(\d+)\.(\d+)\]")  # a step of srun; `.batch` and `.extern` have one task


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A launch of several tasks.

    Attributes:
        by: `srun` or `mpirun`.
        tasks: number of tasks; without an answer from Slurm, the tasks on this node, or 0 if that is only one.
        first: True if this is the first task, which prints for all.
        told: the variables that the decision depends on, for the message.
        cleaned: True if the launcher was found in /proc, not in the environment.
    """

    by: str
    tasks: int
    first: bool
    told: tuple[str, ...] = (VARIABLES["tasks"], VARIABLES["mpi"], VARIABLES["pmix"], "PMI_SIZE")
    cleaned: bool = False


def launch(environ: Mapping[str, str] = os.environ, proc: Path = Path("/proc")) -> Launch | None:
    """Return the launch of this process; None if it was started directly, as in a batch script."""
    return _by_variables(environ) or _by_ancestors(proc, os.getpid())


def _by_variables(environ: Mapping[str, str]) -> Launch | None:
    # mpirun's ranks inherit the variables of the step around its daemon, and srun's tasks those of an mpirun around it
    allocation = Allocation.from_environment(environ)
    if "OMPI_COMM_WORLD_SIZE" in environ and not allocation.by_srun:
        return Launch(
            by="mpirun",
            tasks=int(environ["OMPI_COMM_WORLD_SIZE"]),
            first=environ.get("OMPI_COMM_WORLD_RANK", "0") == "0",
            told=("OMPI_COMM_WORLD_SIZE", VARIABLES["pmix"]),
        )
    if allocation.tasks is not None:
        return Launch(by="srun", tasks=allocation.tasks, first=not allocation.rank)
    return None


def _by_ancestors(proc: Path, pid: int) -> Launch | None:
    """Look for Slurm or mpirun among the ancestors of a process whose environment names neither."""
    while pid > 1:
        above = _parent(proc, pid)
        if step := _STEP.match(_text(proc / str(above) / "cmdline")):
            here = _tasks(proc, above)
            # one task here proves nothing: others may be on other nodes, or have ended
            tasks = tasks_of_step(f"{step[1]}.{step[2]}") or (len(here) if len(here) > 1 else 0)
            first = pid == min(here, default=pid)
            return None if tasks == 1 else Launch(by="srun", tasks=tasks, first=first, cleaned=True)
        if found := _by_variables(_environ(proc, above)):
            return replace(found, cleaned=True) if found.tasks > 1 else None
        pid = above
    return None


def _tasks(proc: Path, stepd: int) -> list[int]:
    pids = [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
    children = [pid for pid in pids if _parent(proc, pid) == stepd]
    return [pid for pid in children if not _text(proc / str(pid) / "cmdline").startswith("slurmstepd")]


def _environ(proc: Path, pid: int) -> dict[str, str]:
    entries = _text(proc / str(pid) / "environ").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _parent(proc: Path, pid: int) -> int:
    _, _, rest = _text(proc / str(pid) / "stat").rpartition(")")  # the name before it may contain blanks
    return int(rest.split()[1]) if rest else 0


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_bytes().decode(errors="replace")
    return ""
