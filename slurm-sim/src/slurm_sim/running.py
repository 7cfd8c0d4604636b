"""Run commands in containers, by the engine's own client."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from slurm_sim import _engine_errors
from slurm_sim._lifeline import Lifeline
from slurm_sim._locking import deferred, uninterrupted
from slurm_sim.errors import CommandError, EngineError

_BRIEF = 0.3
"""Seconds after which a command gets a lifeline, which costs as much as a short command does."""


class Completed(msgspec.Struct, frozen=True):
    """A command that has ended: its status, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def docker(*args: str, stdin: bytes = b"") -> Completed:
    """Run the engine's client, which reads `stdin`, never the terminal. Raises `EngineError` if there is no engine."""
    try:
        done = subprocess.run(["docker", *args], input=stdin, capture_output=True, process_group=0, check=False)
    except FileNotFoundError:
        raise EngineError("there is no docker command", hint="run containers/engine.sh, or install Docker") from None
    return _completed(done.returncode, done.stdout, done.stderr)


def _completed(status: int, output: bytes, errors: bytes) -> Completed:
    said = errors.decode(errors="replace")
    if status and (error := _engine_errors.no_engine(said)):
        raise error
    return Completed(status, output.decode(errors="replace"), said)


def check_engine() -> None:
    """Raises `EngineError` unless an engine answers."""
    seen = docker("version", "--format", "{{.Server.Version}}")
    if seen.returncode:
        raise _engine_errors.unanswered(seen.stderr)


def engine(*args: str, stdin: bytes = b"") -> str:
    """Run the engine's client for what has to succeed, and return its output. Raises `EngineError` with the reason."""
    done = docker(*args, stdin=stdin)
    if done.returncode:
        seen = _engine_errors.explanation(done.stderr)
        raise EngineError(f"'docker {args[0]}' failed", seen=seen, hint=_engine_errors.hint(done.stderr))
    return done.stdout


def exec_arguments(
    container: str,
    command: Sequence[str],
    *,
    user: str,
    workdir: str | None = None,
    env: Mapping[str, str] | None = None,
    tty: bool = False,
) -> list[str]:
    """The client's arguments that run `command` in `container` with its standard input connected."""
    options = ["--interactive", f"--user={user}"]
    options += ["--tty"] * tty
    options += [f"--workdir={workdir}"] if workdir else []
    options += [f"--env={name}={value}" for name, value in (env or {}).items()]
    return ["exec", *options, container, *command]


def execute(
    container: str,
    command: Sequence[str],
    *,
    user: str,
    workdir: str | None,
    env: Mapping[str, str] | None,
    stdin: bytes,
    limit: float | None,
) -> Completed:
    """Run a command in a container, and end it there if this process ends or is interrupted.

    Raises:
        subprocess.TimeoutExpired: The command still ran after `limit` seconds.
    """
    lifeline = Lifeline(container, user)
    arguments = exec_arguments(container, lifeline.tie(command), user=user, workdir=workdir, env=env)
    client: subprocess.Popen[bytes] | None = None
    pipe = subprocess.PIPE
    try:
        with deferred():  # or it could run without anyone who knows of it
            client = subprocess.Popen(["docker", *arguments], stdin=pipe, stdout=pipe, stderr=pipe, process_group=0)
        try:
            output, errors = client.communicate(stdin, timeout=_BRIEF if limit is None else min(_BRIEF, limit))
        except subprocess.TimeoutExpired:
            lifeline.start()
            output, errors = client.communicate(timeout=limit)
    except BaseException:
        if client is not None:
            with uninterrupted():
                _end(client, lifeline)
        raise
    lifeline.release()
    return _completed(client.returncode, output, errors)


def _end(client: subprocess.Popen[bytes], lifeline: Lifeline) -> None:
    lifeline.send("TERM")
    lifeline.await_end()
    client.kill()
    client.communicate()


def checked(command: Sequence[str], done: Completed) -> Completed:
    """Returns `done` if its status is 0; else raises `CommandError`."""
    if done.returncode:
        raise CommandError(shlex.join(command), done.returncode, done.stdout, done.stderr)
    return done


def replace_by_docker(*args: str) -> NoReturn:
    """Becomes the engine's client: streams, signals and exit status are its own."""
    os.execvp("docker", ["docker", *args])  # noqa: S606
