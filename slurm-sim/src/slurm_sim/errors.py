"""Errors that say what failed, what was found and what to do.

SlurmSimError
├── SpecError           the request is invalid (also a ValueError)
├── EngineError         no Docker engine answers, it reports an error, or an image cannot be built
├── StartError          the mini-cluster did not become ready; a new one is removed
├── NotRunningError     a mini-cluster or a container was not found, or is stopped
├── CommandError        a command in a container failed
└── JobError            a Slurm job was rejected or failed
    └── JobTimeoutError a job did not end in time (also a TimeoutError)
"""

from __future__ import annotations

__all__ = [
    "CommandError",
    "EngineError",
    "JobError",
    "JobTimeoutError",
    "NotRunningError",
    "SlurmSimError",
    "SpecError",
    "StartError",
]


class SlurmSimError(Exception):
    """Base class of all errors of slurm-sim.

    Args:
        what: The failure, in one sentence.
        seen: The observation; may have several lines.
        todo: Advice for the user.
    """

    def __init__(self, what: str, seen: str = "", todo: str = "") -> None:
        self.what = what
        self.seen = seen.strip()
        self.todo = todo
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        parts = [self.what, self.seen, f"What to do: {self.todo}" if self.todo else ""]
        return "\n".join(part for part in parts if part)


class SpecError(SlurmSimError, ValueError):
    """The request is invalid."""


class EngineError(SlurmSimError):
    """No Docker engine answers, it reports an error, or an image cannot be built."""


class StartError(SlurmSimError):
    """The mini-cluster did not become ready; a new one is removed, and one that was stopped is kept."""


class NotRunningError(SlurmSimError):
    """A mini-cluster or a container was not found, or is stopped."""


class JobError(SlurmSimError):
    """A Slurm job was rejected or failed."""


class JobTimeoutError(JobError, TimeoutError):
    """A job did not end in time."""


class CommandError(SlurmSimError):
    """A command in a container exited with a status other than 0."""

    def __init__(self, command: str, *, returncode: int, stdout: str, stderr: str) -> None:
        self.command = command
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"{command!r} exited with status {returncode}.", stderr or stdout)


def _restored(kind: type[SlurmSimError], arguments: tuple[object, ...], attributes: dict[str, object]) -> SlurmSimError:
    """Restore a pickled error: pytest-xdist and multiprocessing pass errors to other processes."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error
