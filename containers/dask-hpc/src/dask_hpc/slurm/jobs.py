"""Jobs: read their state from the queue, the controller and their logs, and cancel them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.allocation import Allocation, mebibytes
from dask_hpc.slurm.commands import ask, run

_ALIVE = frozenset({"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED"})
_COMPLETING = "COMPLETING"
_HOPELESS = frozenset(
    {
        "AccountNotAllowed",
        "AssocMaxCpuPerJobLimit",
        "AssocMaxMemPerJob",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "JobHeldAdmin",
        "JobHeldUser",
        "PartitionDown",
        "PartitionInactive",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSMaxCpuPerJobLimit",
        "QOSMaxMemoryPerJob",
        "QOSMaxWallDurationPerJobLimit",
        "launch failed requeued held",
    }
)
"""Reasons of a pending job that will never start: https://slurm.schedmd.com/job_reason_codes.html"""

_TABLE = "%.10i %.12P %.28j %.10u %.2t %.8M %.4C %.8m %R"


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """A job as squeue shows it.

    Attributes:
        reason: the reason for waiting, or for its end.
        start: the time at which it started, as text.
        left: seconds until Slurm ends it; None without a limit.
    """

    id: str
    state: str
    reason: str
    node: str
    start: str = ""
    left: int | None = None

    @property
    def completing(self) -> bool:
        """True if its processes are being ended; Slurm gives the reason for its end later."""
        return self.state == _COMPLETING

    @property
    def alive(self) -> bool:
        """True if the job runs or may still start; a completing job does neither."""
        return self.state in _ALIVE

    @property
    def finished(self) -> bool:
        """True if Slurm has finished with the job, including the work after its last process."""
        return not self.alive and self.state != _COMPLETING

    @property
    def hopeless(self) -> bool:
        """True if the job waits for a condition that will never be met."""
        return self.state == "PENDING" and self.reason in _HOPELESS


def jobs(name: str) -> list[QueuedJob]:
    """Return the user's jobs with that name that wait, run or ended recently."""
    text = _squeue(name, "-h", "-t", "all", "-o", "%i|%T|%r|%N|%S|%L")
    return [_parse_job(line) for line in text.splitlines() if line.strip()]


def accounted(ids: Sequence[str]) -> dict[str, QueuedJob]:
    """Return ended jobs that squeue no longer shows, by number, from Slurm's accounting, if the site has it."""
    answer = run("sacct", "-nPX", "--jobs", ",".join(ids), "--format=JobIDRaw,State,ExitCode,NodeList")
    lines = [line.split("|") for line in answer.out.splitlines()] if answer.status == 0 else []
    found = [
        QueuedJob(id=number, state=state.split()[0], reason=_reason(exit_code), node=node)
        for number, state, exit_code, node in lines  # such as 7|CANCELLED by 1000|0:15|c1
    ]
    return {job.id: job for job in found if job.finished}


def _reason(exit_code: str) -> str:
    """Return an exit code, such as 0:9, as squeue's reason for the end of a job."""
    status, _, signum = exit_code.partition(":")
    if signum not in {"", "0"}:
        return f"RaisedSignal:{signum}"
    return "NonZeroExitCode" if status != "0" else "None"


def ended(job: str) -> str:
    """Return the state in which a job ended, as Slurm names it; '' if it has not ended or Slurm is not available."""
    if not shutil.which("squeue"):
        return ""
    state = ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", check=False).strip()
    return "" if state in _ALIVE else state or "no longer known to Slurm"


def queue(name: str) -> str:
    """Return squeue's output for the jobs with that name."""
    return _squeue(name, "-o", _TABLE)


def cancel(name: str) -> None:
    """Cancel the jobs with that name; jobs that have ended are not an error."""
    ask("scancel", "--name", name, check=False)


def cancel_jobs(ids: Sequence[str]) -> None:
    """Cancel jobs by number; jobs that have ended are not an error."""
    ask("scancel", *ids, check=False)


def wait_until_gone(name: str, timeout: float = 60) -> None:
    """Wait until none of the jobs is left in the queue; raise `ClusterError` after `timeout` seconds."""
    deadline = monotonic() + timeout
    pause = 0.02
    while rest := _squeue(name, "-h", "-o", "%i %T").strip():
        if monotonic() > deadline:
            raise ClusterError(
                f"Jobs are still in the queue {timeout:.0f} s after scancel.", rest, "scancel them again."
            )
        sleep(pause)  # Slurm does not report an empty queue by itself, and frequent queries load the controller
        pause = min(pause * 2, 5)


def tasks_of_step(step: str) -> int:
    """Return the number of tasks of a step such as `7.0`; 0 if Slurm is not available, as in a SIF."""
    found = re.search(r"\bTasks=(\d+)", run("scontrol", "show", "step", step, timeout=5).out)
    return int(found[1]) if found else 0


def with_granted_memory(allocation: Allocation) -> Allocation:
    """Return the allocation with the memory from the controller, since no variable has a site's default."""
    said = run("scontrol", "show", "job", allocation.job, "--oneliner").out
    per_node = re.search(r"MinMemoryNode=(\S+)", said)
    per_cpu = re.search(r"MinMemoryCPU=(\S+)", said)
    return replace(
        allocation,
        memory_per_node=mebibytes(per_node[1]) if per_node else None,
        memory_per_cpu=mebibytes(per_cpu[1]) if per_cpu else None,
    )


def judge(found: Sequence[QueuedJob], logs: Path) -> None:
    """Raise if waiting for these jobs is pointless.

    Raises:
        RequestError: Slurm will never start one of them.
        ClusterError: one has ended.
    """
    if stuck := [job for job in found if job.hopeless]:
        raise RequestError(
            "Slurm will not start these jobs.", queue_lines(stuck), "request less; 'sinfo' shows the limits."
        )
    if over := [job for job in found if job.finished]:
        shared = any(logs.glob("*.err"))
        todo = "" if shared else f"check that {logs} is shared with the nodes, or choose another --log-directory."
        raise ClusterError("A job ended before its workers connected.", f"{queue_lines(over)}\n{log_tails(logs)}", todo)


def queue_lines(found: Sequence[QueuedJob]) -> str:
    """Return one line per job."""
    lines = [f"  job {job.id}: {job.state} ({job.reason}) {job.node}" for job in found]
    return "\n".join(lines) or "  (no job in the queue)"


def describe(found: Sequence[QueuedJob], logs: Path) -> str:
    """Return the state of jobs, one line each, and the end of their logs."""
    return f"{queue_lines(found)}\n{log_tails(logs)}"


def log_tails(logs: Path, lines: int = 12, *, jobs: Collection[str] | None = None) -> str:
    """Return the path and the last lines of each job's log, without Dask's INFO messages.

    Args:
        logs: the folder of the logs.
        lines: the number of lines.
        jobs: the numbers of the jobs; by default all.
    """
    parts = []
    for file in sorted(logs.glob("*.err")):
        if jobs is not None and file.stem.rpartition("-")[2] not in jobs:
            continue
        text = [line for line in file.read_text(errors="replace").splitlines() if " - INFO - " not in line][-lines:]
        parts.append("\n".join([f"{file}:", *(f"  {line}" for line in text or ["(no warnings or errors)"])]))
    return "\n".join(parts) or f"No log in {logs}: no job has started, or none could write there."


def _squeue(name: str, *options: str) -> str:
    return ask("squeue", "-u", str(os.getuid()), "--name", name, *options)


def _parse_job(line: str) -> QueuedJob:
    number, state, reason, node, start, left = line.strip().split("|")
    return QueuedJob(id=number, state=state, reason=reason, node=node, start=start, left=_seconds(left))


def _seconds(left: str) -> int | None:
    """Return the seconds in squeue's [D-][H:]M:S; None for UNLIMITED or an invalid time."""
    if not (found := re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", left)):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
