"""One mini-cluster, as the Docker engine sees it."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping

from slurm_sim import _found
from slurm_sim._docker import (
    Completed,
    Stream,
    checked,
    completed,
    docker,
    exec_arguments,
    run_to_its_end,
    stream_docker,
)
from slurm_sim._identity import identify
from slurm_sim._lifeline import Lifeline
from slurm_sim.config import USER

HOME = "/home/hpc"
"""That user's home, shared by the login node and all nodes."""

_TIMED_OUT = (124, 137)
"""Exit statuses of `timeout` after it ended a command; it runs in the container, since the client cannot end one."""

_REFUSALS = ("Error response from daemon", "Error: No such container", "OCI runtime exec failed")
"""First words of the engine's errors if it ran no command; a command may print them, too."""

_PATIENCE = 10
"""Seconds for `timeout` to end its command; only a container that hangs needs longer."""

_BRIEF = 0.3
"""Seconds after which a command gets a lifeline, which costs as much as a short command."""


class Engine:
    """The containers of one mini-cluster, one per service: `slurmctld`, `login` and the nodes c1…cN.

    Args:
        name: Name of the mini-cluster.
        env: Environment variables for every command of `exec`.
    """

    def __init__(self, name: str, *, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._env = env or {}

    @property
    def network(self) -> str:
        """The name of its network."""
        return f"{self.name}_default"

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return _found.container_name(self.name, service)

    def nodes(self) -> list[str]:
        """Return the names of the compute nodes, in order."""
        return _found.find(self.name).nodes

    def state(self, service: str) -> str:
        """Return a service's state in the engine's words: `running`, `exited`, `paused`; "" without a container."""
        return _found.find(self.name).states.get(service, "")

    def require(self, *services: str) -> _found.Found:
        """Return the mini-cluster if these services are running; else raise `NotRunningError` with advice."""
        return _found.require(self.name, *services)

    def logs(self, service: str, lines: int) -> str:
        """Return the last lines of a daemon's log."""
        done = docker("logs", "--tail", str(lines), self.container(service))
        return done.stdout + done.stderr

    def run(self, service: str, *command: str, user: str = "", stdin: bytes = b"") -> Completed:
        """Run a short command, as the container's user unless another is given."""
        options = [f"--user={user}"] * bool(user) + ["--interactive"] * bool(stdin)
        return docker("exec", *options, self.container(service), *command, stdin=stdin)

    def stream(self, *command: str, on: str, user: str, stdin: bytes, stdout: Stream = None) -> None:
        """Run a command with its output, of any size, on this process's own, or on another stream."""
        who = identify(self.container(on), user)
        stream_docker(*exec_arguments(self.container(on), command, user=who.user), stdin=stdin, stdout=stdout)

    def exec(
        self,
        *command: str,
        on: str = "login",
        user: str = USER,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes = b"",
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Run any command, see `SlurmSim.exec`. It ends when this process ends, is interrupted or times out."""
        sent = stdin.encode() if isinstance(stdin, str) else stdin
        limited = command if timeout is None else ("timeout", "--kill-after=2", str(timeout), *command)
        late = f"{shlex.join(command)!r} did not end within {timeout:g} s" if timeout is not None else ""
        limit = timeout + _PATIENCE if timeout is not None else None
        who = identify(self.container(on), user)
        lifeline = Lifeline(self.container(on), who.user)
        variables = {**who.env, **self._env, **(env or {})}
        folder = workdir or who.workdir
        tied = lifeline.tie(limited)
        arguments = exec_arguments(self.container(on), tied, user=who.user, workdir=folder, env=variables)

        def talk(client: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
            try:
                return client.communicate(sent, timeout=_BRIEF if limit is None else min(_BRIEF, limit))
            except subprocess.TimeoutExpired:
                lifeline.start()
                return client.communicate(timeout=limit)

        def end(client: subprocess.Popen[bytes]) -> None:
            lifeline.send("TERM")
            lifeline.await_end()
            client.kill()
            client.communicate()

        start = time.monotonic()
        try:
            ended = run_to_its_end(["docker", *arguments], talk=talk, end=end)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{late}\n{on} does not answer") from None
        lifeline.release()
        done = completed(ended)
        if timeout is not None and done.returncode in _TIMED_OUT and time.monotonic() - start >= timeout:
            raise TimeoutError(f"{late}\n{done.stdout}{done.stderr}")
        if done.returncode and done.stderr.startswith(_REFUSALS):
            self.require(on)
        return checked(command, done) if check else done
