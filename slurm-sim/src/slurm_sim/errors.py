"""Errors for people: what failed, what was found, what to do.

SlurmSimError
├── SpecError           what was asked for makes no sense (also a ValueError)
├── EngineError         no Docker engine answers, it refused, or an image cannot be built
├── StartError          the mini-cluster did not become ready; nothing is left of a new one
├── NotRunningError     there is no mini-cluster, or no container, of that name, or it is stopped
├── CommandError        a command in a container ended with a status other than 0
└── JobError            a Slurm job was refused or failed
    └── JobTimeoutError it did not end in time (also a TimeoutError)
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
    """The base of every error here.

    Args:
        what: The failure, in one sentence.
        seen: What was observed; may have several lines.
        todo: What to do about it.
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
    """No Docker engine answers, it refused, or an image cannot be built."""


class StartError(SlurmSimError):
    """The mini-cluster did not become ready; nothing is left of a new one, and all of one that was stopped."""


class NotRunningError(SlurmSimError):
    """There is no mini-cluster, or no container, of that name, or it is stopped."""


class JobError(SlurmSimError):
    """A Slurm job was refused or failed."""


class JobTimeoutError(JobError, TimeoutError):
    """A job did not end in time."""


class CommandError(SlurmSimError):
    """A command in a container ended with a status other than 0."""

    def __init__(self, command: str, *, returncode: int, stdout: str, stderr: str) -> None:
        self.command = command
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"{command!r} ended with status {returncode}.", stderr or stdout)


def _restored(kind: type[SlurmSimError], arguments: tuple[object, ...], attributes: dict[str, object]) -> SlurmSimError:
    """Return an error as it was: pytest-xdist and multiprocessing hand errors to other processes."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error
