"""Run the engine's client, the command `docker`, and its Compose plugin."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from slurm_sim import _engine_errors
from slurm_sim._signals import deferred, uninterrupted
from slurm_sim.errors import CommandError, EngineError

Stream = int | IO[bytes] | None
"""A stream of a process, as `subprocess` accepts it."""


class Completed(msgspec.Struct, frozen=True):
    """The exit status and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


def docker(*args: str, stdin: bytes = b"") -> Completed:
    """Run the engine's client, which reads `stdin`, never the terminal. Raises `EngineError` if no engine answers."""
    try:
        done = subprocess.run(["docker", *args], input=stdin, capture_output=True, process_group=0, check=False)
    except FileNotFoundError:
        raise EngineError("Command 'docker' not found.", todo="run containers/engine.sh, or install Docker.") from None
    return completed(done)


def docker_output(*args: str, stdin: bytes = b"") -> str:
    """Run the engine's client and return its output. Raises `EngineError` with the reason if it fails."""
    done = docker(*args, stdin=stdin)
    if done.returncode:
        seen = _engine_errors.explanation(done.stderr)
        raise EngineError(f"'docker {args[0]}' failed.", seen, _engine_errors.advice(done.stderr))
    return done.stdout


def start_docker(
    *args: str,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    process_group: int | None = 0,
) -> subprocess.Popen[bytes]:
    """Start the engine's client, and return without waiting for it."""
    return subprocess.Popen(
        ["docker", *args], stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0, process_group=process_group
    )


def stream_docker(*args: str, stdin: bytes, stdout: Stream = None) -> None:
    """Run the engine's client with its output on this process's own, or on another stream."""
    subprocess.run(["docker", *args], input=stdin, stdout=stdout, check=False)


def replace_by_docker(*args: str) -> NoReturn:
    """Become the engine's client: streams, signals and exit status are its own."""
    os.execvp("docker", ["docker", *args])  # noqa: S606


def run_to_its_end(
    command: str | Sequence[str],
    *,
    talk: Callable[[subprocess.Popen[bytes]], tuple[bytes, bytes]],
    end: Callable[[subprocess.Popen[bytes]], None],
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in its own process group, which Ctrl-C does not reach.

    Args:
        command: The program and its arguments.
        talk: Gives the process its input, waits for its end, and returns its output and its errors.
        end: Ends the process if this one is interrupted; is not interrupted itself.
        cwd: Its working directory.
        env: Its environment.
    """
    process: subprocess.Popen[bytes] | None = None
    pipe = subprocess.PIPE
    try:
        with deferred():  # an interrupt just after the start would leave it running
            process = subprocess.Popen(command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=pipe, process_group=0)
        output, errors = talk(process)
    except BaseException:
        if process is not None:
            with uninterrupted():
                end(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def completed(done: subprocess.CompletedProcess[bytes]) -> Completed:
    """Return the result of the engine's client as text. Raises `EngineError` if no engine answered."""
    errors = done.stderr.decode(errors="replace")
    if done.returncode and (error := _engine_errors.no_engine(errors)):
        raise error
    return Completed(done.returncode, done.stdout.decode(errors="replace"), errors)


def checked(command: Sequence[str], done: Completed) -> Completed:
    """Return `done` if its status is 0; else raise `CommandError`."""
    if done.returncode:
        raise CommandError(shlex.join(command), returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
    return done


def check_engine() -> None:
    """Raise `EngineError` unless an engine answers."""
    done = docker("version", "--format", "{{.Server.Version}}")
    if done.returncode:
        raise _engine_errors.unanswered(done.stderr)


def exec_arguments(
    container: str,
    command: Sequence[str],
    *,
    user: str,
    workdir: str | None = None,
    env: Mapping[str, str] | None = None,
    tty: bool = False,
) -> list[str]:
    """Return the client's arguments that run `command` in `container` with its standard input connected."""
    options = ["--interactive", f"--user={user}"]
    options += ["--tty"] * tty
    options += [f"--workdir={workdir}"] if workdir else []
    options += [f"--env={name}={value}" for name, value in (env or {}).items()]
    return ["exec", *options, container, *command]
