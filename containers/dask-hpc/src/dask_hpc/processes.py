"""Run programs without raising and with a time limit; all of them can be stopped at once."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Answer:
    """A program's exit status and output; `status` is None if it could not run or timed out."""

    status: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """The last line of standard error, else of standard output, else the status."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else f"status {self.status}"


def run(
    *command: str, timeout: float = 15, environ: Mapping[str, str] | None = None, stdin: str | None = None
) -> Answer:
    """Run a program in a new process group, so that Ctrl-C reaches only this process.

    Args:
        command: the program and its arguments.
        timeout: seconds after which it is terminated.
        environ: its environment; by default that of this process.
        stdin: its standard input; empty by default.
    """
    try:
        with _RUNNING.start(command, os.environ if environ is None else environ, stdin) as process:
            return _communicate(process, timeout, stdin)
    except OSError as error:
        return Answer(None, "", f"{command[0]}: {error.strerror}")
    finally:
        _RUNNING.forget()


def stop_all() -> None:
    """Terminate all running programs, wait until they have ended, and start no more."""
    _RUNNING.stop()


class _Running:
    """The running programs, which an interrupt stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._stopped = False

    def start(self, command: Sequence[str], environ: Mapping[str, str], stdin: str | None) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise InterruptedError(errno.EINTR, "interrupted")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environ,
                process_group=0,
            )
            self._processes.append(process)
            return process

    def forget(self) -> None:
        with self._lock:
            self._processes = [process for process in self._processes if process.poll() is None]

    def stop(self, patience: float = 60) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._processes)
            for process in running:
                process.terminate()
        end = monotonic() + patience  # srun cancels its job first
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - monotonic()))


_RUNNING = _Running()


def _communicate(process: subprocess.Popen[str], timeout: float, stdin: str | None) -> Answer:
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        _end(process)
        return Answer(None, "", f"{late.cmd[0]} timed out after {timeout:.0f} s")
    except BaseException:
        _end(process)
        raise
    return Answer(process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # srun then ends its job; after a SIGKILL it could not
    try:
        process.communicate(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
