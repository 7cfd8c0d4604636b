"""Running a program without hanging or raising."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from dask_hpc import processes
from dask_hpc.processes import Answer, run
from dask_hpc.stop import handling
from tests.support.waiting import until

TAKES_ITS_TIME = "trap 'sleep 0.5; touch {0}/ended; exit' TERM; touch {0}/runs; while :; do sleep 0.05; done"


def test_reports_hanging_or_missing_command() -> None:
    """Neither raises; the answer has the reason."""
    assert "timed out after 0 s" in run("sleep", "9", timeout=0.1).err
    assert "No such file" in run("no-such-command-here").err


def test_answer_has_last_line_of_output() -> None:
    """The line is the last of standard error, else of standard output, else the status."""
    assert run("sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3") == Answer(3, "out\n", "one\ntwo\n")
    assert run("sh", "-c", "echo one >&2; echo ' two ' >&2; echo >&2").said == "two"
    assert run("sh", "-c", "echo out; exit 3").said == "out"
    assert run("sh", "-c", "exit 3").said == "status 3"


def test_program_reads_given_input() -> None:
    """Standard input is empty by default, so that the program does not wait for the user."""
    assert run("cat", stdin="a script\n").out == "a script\n"
    assert run("cat") == Answer(0, "", "")


def test_program_has_given_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the environment of this process."""
    monkeypatch.setenv("KEPT", "1")
    assert run("sh", "-c", "echo $KEPT").out == "1\n"
    assert run("/bin/sh", "-c", "echo $KEPT", environ={"KEPT": "2"}).out == "2\n"


def test_stop_waits_for_commands_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends slowly, as srun does, has ended when `stop_all` returns; no other command starts."""
    monkeypatch.setattr(processes, "_RUNNING", processes._Running())
    script = TAKES_ITS_TIME.format(tmp_path)
    thread = threading.Thread(target=run, args=("sh", "-c", script), kwargs={"timeout": 60})
    thread.start()
    until((tmp_path / "runs").exists, "the command")
    processes.stop_all()
    assert (tmp_path / "ended").exists()
    assert "interrupted" in run("true").err
    thread.join()


def test_interrupt_ends_program(tmp_path: Path) -> None:
    """Ctrl-C reaches only this process, which terminates the program and lets it clean up."""

    class Pressed(Exception):  # noqa: N818 (an event)
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise Pressed

    def press() -> None:
        until((tmp_path / "runs").exists, "the program")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    thread = threading.Thread(target=press)
    thread.start()
    with handling(interrupt, signal.SIGUSR1), pytest.raises(Pressed):
        run("sh", "-c", TAKES_ITS_TIME.format(tmp_path), timeout=60)
    thread.join()
    assert (tmp_path / "ended").exists()
