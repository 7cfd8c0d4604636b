"""Output while a workload runs: progress on a terminal, and no traceback without a reader."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_hpc.screen import Mark, Screen
from tests.support.hpc_command import PACKAGE, write

QUICK = """\
client.gather(client.map(abs, range(12)))
return Outcome({}, {}, [])
"""
GATED = """\
import pathlib, time
def wait_for_gate(number):
    while number >= 6 and not pathlib.Path("{gate}").exists():
        time.sleep(0.05)
client.gather(client.map(wait_for_gate, range(12)))
return Outcome({{}}, {{}}, [])
"""


def dask_hpc(command: str, **streams: int) -> subprocess.Popen[str]:
    """Start a line of shell in which `dask_hpc` is the command."""
    line = f'dask_hpc() {{ "{sys.executable}" -m dask_hpc "$@"; }}; {command}'
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "TERM": "xterm", "COLUMNS": "120"}
    return subprocess.Popen(["bash", "-c", line], text=True, env=environment, **streams)  # type: ignore[call-overload, no-any-return]


def read_terminal(end: int) -> Iterator[str]:
    """Yield all text on a terminal so far, after each write, without control sequences."""
    said = b""
    while True:
        try:
            part = os.read(end, 1 << 16)
        except OSError:  # on Linux, the other end is closed
            return
        if not part:
            return
        said += part
        yield re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode(errors="replace"))


def test_shows_progress_on_terminal(workloads: Path, tmp_path: Path) -> None:
    """While tasks are computed, a terminal shows how many of them the scheduler has seen finished."""
    gate = tmp_path / "gate"
    write(workloads, "slow", GATED.format(gate=gate))
    ours, theirs = pty.openpty()
    run = dask_hpc(
        f"dask_hpc run slow --workers 1 --results {tmp_path / 'r'}", stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    said = ""
    for said in read_terminal(ours):
        if re.search(r"\b6/12 +tasks", said):
            gate.touch()  # the other six tasks wait for this
    os.close(ours)
    assert run.wait() == 0, said
    assert gate.exists(), said
    assert "computing slow" in said


def test_stays_quiet_in_pipe(workloads: Path, tmp_path: Path) -> None:
    """In a pipe there is no progress and no control character."""
    write(workloads, "quick", QUICK)
    pipe = subprocess.PIPE
    run = dask_hpc(f"dask_hpc run quick --workers 1 --results {tmp_path / 'r'}", stderr=pipe, stdout=pipe)
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert err == ""
    assert "computing" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("run quick --workers 1 --results {}", 0),
        ("run quick --workers 1 --results {} --json", 0),
        ("list", 0),
        ("list --json", 1),
        ("run quick --help", 1),
    ],
)
def test_survives_closed_pipe(workloads: Path, tmp_path: Path, line: str, status: int) -> None:
    """Without a reader there is no traceback, and a run still keeps its result."""
    write(workloads, "quick", QUICK)
    reading, writing = os.pipe()
    os.close(reading)
    run = dask_hpc(f"dask_hpc {line.format(tmp_path / 'r')}", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, err = run.communicate()
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert run.returncode == status, err
    if line.startswith("run quick --workers"):
        assert (tmp_path / "r" / "quick" / "latest" / "result.json").is_file()


def test_table_keeps_all_content(capsys: pytest.CaptureFixture[str]) -> None:
    """A word longer than its column is folded, not cut; markup is shown as text; a pipe has no colour."""
    Screen(pipe_width=40).table("A [title]", ("what", ""), [("[red]", Mark("[bad]", "red")), ("x" * 60, "y")])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "A [title]"
    assert "[red]" in out
    assert "[bad]" in out
    assert out.count("x") == 60
    assert max(map(len, out.splitlines())) <= 40
    assert "\x1b" not in out
