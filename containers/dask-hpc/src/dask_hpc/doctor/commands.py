"""Running a command without ever hanging or raising."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from dask_hpc.slurm.environment import plain

__all__ = ["Answer", "run", "srun_environment", "stop_all"]


_OF_SLURM = {"sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun"}


@dataclass(frozen=True)
class Answer:
    """What a command said; `status` is None if it could not be run or did not end in time."""

    status: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """The line that says what went wrong."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else f"status {self.status}"


def run(*command: str, timeout: float = 15, env: Mapping[str, str] | None = None) -> Answer:
    """Run a command with nothing on its standard input, for `timeout` seconds at most."""
    environment = os.environ if env is None else env
    if command[0] in _OF_SLURM:
        environment = plain(environment)
    environment = {**environment, "LC_ALL": "C"}
    try:
        with _RUNNING.start(command, environment) as process:
            return _wait(process, command[0], timeout)
    except OSError as error:
        return Answer(None, "", f"{command[0]}: {error.strerror}")
    finally:
        _RUNNING.forget()


class _Running:
    """What runs now, so that it can be ended when a person does not want to wait."""

    def __init__(self) -> None:
        self._lock, self._processes, self._stopped = threading.Lock(), list[subprocess.Popen[str]](), False

    def start(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise InterruptedError(errno.EINTR, "interrupted")
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, errors="replace", env=environ, process_group=0,
            )  # fmt: skip
            self._processes.append(process)
            return process

    def forget(self) -> None:
        with self._lock:
            self._processes = [process for process in self._processes if process.poll() is None]

    def stop(self, patience: float = 60) -> None:
        """Start no more, and return when those that run have ended: srun cancels its job first."""
        with self._lock:
            self._stopped, running = True, list(self._processes)
            for process in running:
                process.terminate()
        end = monotonic() + patience
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - monotonic()))


_RUNNING = _Running()
stop_all = _RUNNING.stop


def _wait(process: subprocess.Popen[str], name: str, timeout: float) -> Answer:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # srun ends its job then; after a SIGKILL it could not
        try:
            process.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
        return Answer(None, "", f"{name} has not answered for {timeout:.0f} s")
    return Answer(process.returncode, out, err)


def srun_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for an srun that must not take on the size of the job or step that it is called in."""
    return plain(environ) | {"SLURM_PMIX_FENCE": "ring"}  # what MPI needs: see `fences` in checks/mpi.py
