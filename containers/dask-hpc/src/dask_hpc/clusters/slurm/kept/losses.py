"""Count what losing workers costs each task, and end a task that would be lost again and again.

Dask counts every unexpected loss of a worker against the tasks that the worker had, and ends a task after some of them.
Here only losses count for which a task can be to blame: a worker that died although its job could have gone on. What
Slurm took away does not count. A task that is longer than a job lasts would then start again and again, so tasks that
were cut off by the end of their job after a long time are counted, too.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes
from distributed.scheduler import KilledWorker

from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.errors import ClusterError
from dask_hpc.units import format_walltime

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler, TaskState, WorkerState

_CUT_OFF = 3  # times that a task is cut off, after at least `_LONG` of the wall time, until it ends with an error
_LONG = 0.5
_EVER = 20  # times that a task is cut off after any time


class TaskCutOffError(ClusterError):
    """A task takes longer than a job lasts."""


class TaskDiedError(KilledWorker, ClusterError):
    """The workers that ran a task died, each time: Dask's `KilledWorker`, with the reasons."""

    def __init__(self, task: Any, last_worker: WorkerState, allowed_failures: int, *parts: str) -> None:
        ClusterError.__init__(self, *parts)
        self.args = (task, last_worker, allowed_failures, *parts)  # those of KilledWorker, and what pickle passes

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Memory:
    """The memory that a job's workers used when they last reported it, and their limit, in bytes."""

    used: int = 0
    limit: int = 0

    def __str__(self) -> str:
        return f"{format_bytes(self.used)} of {format_bytes(self.limit)}"


@dataclass(frozen=True)
class Loss:
    """A worker that left, and what it had.

    Attributes:
        worker: its state at that time, without its tasks.
        tasks: the keys of its tasks.
        running: seconds that tasks had run, by key.
        memory: its memory.
        counts: False if the worker announced that it would leave.
    """

    worker: WorkerState
    tasks: Sequence[Any]
    running: dict[Any, float]
    memory: Memory
    counts: bool

    @classmethod
    def of(cls, worker: WorkerState, now: float, *, counts: bool) -> Loss:
        """Return the loss of a worker; `now` is Dask's time, in seconds since 1970."""
        silent = max(0.0, now - worker.last_seen)
        return cls(
            worker=worker.clean(),
            tasks=[task.key for task in worker.processing],
            running={task.key: seconds + silent for task, seconds in worker.executing.items()},
            memory=Memory(int(worker.metrics.get("memory", 0)), worker.memory_limit or 0),
            counts=counts,
        )


class Losses:
    """Counts losses by task.

    Args:
        scheduler: the scheduler whose tasks they are.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._cut: dict[Any, list[float]] = defaultdict(list)
        self._deaths: dict[Any, list[str]] = defaultdict(list)

    def cut_off(self, loss: Loss, walltime: float) -> None:
        """Count tasks that were cut off by the end of their job, or by its retirement before that end."""
        for key, seconds in loss.running.items():
            if task := self._unfinished(key):
                self._cut[key].append(seconds)
                long = [one for one in self._cut[key] if one >= _LONG * walltime]
                if len(long) >= _CUT_OFF or len(self._cut[key]) >= _EVER:
                    self._end(task, _cut_off(key, self._cut[key], walltime))
        self._forget()

    def died(self, loss: Loss, fate: Fate, job: str) -> bool:
        """Count tasks whose worker died; return whether there were any."""
        tasks = [task for key in loss.tasks if (task := self._unfinished(key))] if loss.counts else []
        for task in tasks:
            task.suspicious += 1
            task.prefix.suspicious += 1
            memory = f", with {loss.memory}" if fate.cause is Cause.MEMORY else ""
            self._deaths[task.key].append(f"  job {job} {fate.text}{memory}")
            if task.suspicious > self._scheduler.allowed_failures:
                parts = _died(task.key, self._deaths[task.key], fate)
                self._end(task, TaskDiedError(task.key, loss.worker, self._scheduler.allowed_failures, *parts))
        self._forget()
        return bool(tasks)

    def _unfinished(self, key: Any) -> TaskState | None:
        task = self._scheduler.tasks.get(key)
        return None if task is None or task.state in {"memory", "erred", "released", "forgotten"} else task

    def _end(self, task: TaskState, error: Exception) -> None:
        """End a task with an error, whatever its state is by now."""
        stimulus = "dask-hpc-lost-again"
        if task.processing_on:  # where it may not have started yet
            message = {"op": "free-keys", "keys": [task.key], "stimulus_id": stimulus}
            self._scheduler.worker_send(task.processing_on.address, message)
        details: dict[str, Any] = {"exception": pickle.dumps(error), "cause": task.key, "exception_text": str(error)}
        if task.state == "waiting":  # Dask passes no details on the way, through 'released'
            task.exception, task.exception_text, task.exception_blame = details["exception"], str(error), task
            details = {}
        more = self._scheduler.transition(task.key, "erred", stimulus_id=stimulus, **details)
        self._scheduler.transitions(more, stimulus_id=stimulus)

    def _forget(self) -> None:
        """Forget tasks that no longer exist; a long run has very many."""
        for counts in (self._cut, self._deaths):
            if len(counts) > 1000:
                for key in [key for key in counts if key not in self._scheduler.tasks]:
                    del counts[key]


def _cut_off(key: Any, seconds: Sequence[float], walltime: float) -> TaskCutOffError:
    ran = ", ".join(f"{one:.0f}" for one in seconds)
    limit = format_walltime(int(walltime))
    return TaskCutOffError(
        f"Task {key!r} takes longer than a job lasts.",
        f"The end of its job cut it off {len(seconds)} times, after {ran} s; wall time: {limit}.",
        "request a longer --walltime, or split the task into shorter ones.",
    )


def _died(key: Any, deaths: Sequence[str], fate: Fate) -> tuple[str, str, str]:
    memory = "request more --memory, run fewer tasks at once with fewer --cores, or split the task into smaller ones."
    return (
        f"Task {key!r} was lost {len(deaths)} times, each time together with its worker.",
        "\n".join(deaths),
        memory if fate.cause is Cause.MEMORY else "find out from the jobs' logs why the workers ended.",
    )
