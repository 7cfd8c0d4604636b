"""Run a command in a container on this process's own streams, as if it ran here."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from types import FrameType

from slurm_sim._docker import exec_arguments, start_docker
from slurm_sim._identity import identify
from slurm_sim._lifeline import GRACE, Lifeline
from slurm_sim._signals import INTERRUPTS, Stopped, handling


def attached(container: str, command: Sequence[str], *, user: str, workdir: str | None = None) -> int:
    """Run a command with this process's streams and signals, and return its exit status.

    Raises:
        Stopped: A signal arrived; the command received it, and has ended.
    """
    terminal = _on_terminal()
    who = identify(container, user)
    lifeline = Lifeline(container, who.user, terminal=terminal)
    asked: list[int] = []

    def forward(signum: int, _frame: FrameType | None) -> None:
        if not asked:
            _thread.start_new_thread(give_up, ())
        asked.append(signum)
        lifeline.send(signal.Signals(signum).name.removeprefix("SIG"))

    def give_up() -> None:
        time.sleep(GRACE)  # in a container that hangs, the command never ends
        client.kill()

    with handling(forward, *INTERRUPTS):
        lifeline.start()
        tied = lifeline.tie(command)
        folder = workdir or who.workdir
        arguments = exec_arguments(container, tied, user=who.user, workdir=folder, env=who.env, tty=terminal)
        # Ctrl-C must not reach the client, only the command; but a client that reads the terminal must be in its group
        group = None if _is_terminal(0) else 0
        client = start_docker(*arguments, stdin=_input(), process_group=group)
        status = client.wait()
        if asked or status < 0:  # or the client was killed
            if not asked:
                lifeline.send("HUP")
            lifeline.await_end()
        else:
            lifeline.release()
    if asked:
        raise Stopped(asked[0])
    return status if status >= 0 else 128 - status


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False


def _in_foreground() -> bool:
    """Return whether the terminal lets this process read; a process in the background would be stopped."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # not this process's controlling terminal
        return True


def _on_terminal() -> bool:
    return _is_terminal(0) and _is_terminal(1) and _in_foreground()


def _input() -> int | None:
    """Return the client's standard input: this process's own, unless that is closed or cannot be read."""
    try:
        os.fstat(0)
    except OSError:
        return subprocess.DEVNULL
    return None if not _is_terminal(0) or _in_foreground() else subprocess.DEVNULL
