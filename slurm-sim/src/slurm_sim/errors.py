"""What can go wrong, and what to do then.

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


class SlurmSimError(Exception):
    """The base of every error here: what failed, what was seen, what to do."""

    def __init__(self, what: str, *, seen: str = "", hint: str = "") -> None:
        self.what, self.seen, self.hint = what, seen, hint
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.seen.strip():
            first, *rest = self.seen.strip().splitlines()
            lines += [f"  seen:  {first}", *(f"         {line}" for line in rest)]
        if self.hint:
            lines.append(f"  to do: {self.hint}")
        return "\n".join(lines)


class SpecError(SlurmSimError, ValueError):
    """What was asked for makes no sense."""


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

    def __init__(self, command: str, returncode: int, stdout: str, stderr: str) -> None:
        self.command, self.returncode, self.stdout, self.stderr = command, returncode, stdout, stderr
        super().__init__(f"{command!r} ended with status {returncode}", seen=stderr or stdout)


def _restored(kind: type[SlurmSimError], arguments: tuple[object, ...], attributes: dict[str, object]) -> SlurmSimError:
    """An error as it was: pytest-xdist and multiprocessing hand errors to other processes."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error
