"""What a person sees while a workload runs: progress on a terminal, and no traceback if nobody reads."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hpc_command import PACKAGE, write

SLOW = """\
import time
client.gather(client.map(time.sleep, [0.2 + n / 1000 for n in range(12)]))
return Outcome({}, {}, [])
"""


def dask_hpc(command: str, **streams: int) -> subprocess.Popen[str]:
    """Start a line of shell in which `dask-hpc` is the command."""
    line = f'dask_hpc() {{ "{sys.executable}" -m dask_hpc "$@"; }}; {command}'
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "TERM": "xterm", "COLUMNS": "120"}
    return subprocess.Popen(["bash", "-c", line], text=True, env=environment, **streams)  # type: ignore[call-overload, no-any-return]


def read_terminal(end: int) -> str:
    """Return all that was written to a terminal."""
    said = b""
    while True:
        try:
            part = os.read(end, 1 << 16)
        except OSError:  # Linux's way to say that nobody has the other end any more
            return said.decode()
        if not part:
            return said.decode()
        said += part


def test_progress_is_shown_on_a_terminal(workloads: Path, tmp_path: Path) -> None:
    """While tasks are computed, a terminal shows how many of how many the scheduler has seen finished."""
    write(workloads, "slow", SLOW)
    ours, theirs = pty.openpty()
    run = dask_hpc(
        f"dask_hpc run slow --workers 1 --results {tmp_path / 'r'}", stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    said = read_terminal(ours)
    os.close(ours)
    assert run.wait(60) == 0, said
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert "computing slow" in plain
    counted = {(int(done), int(total)) for done, total in re.findall(r"(\d+)/(\d+) +tasks", plain)}
    assert any(0 < done < total == 12 for done, total in counted), counted


def test_a_pipe_is_quiet(workloads: Path, tmp_path: Path) -> None:
    """In a pipe there is no progress and no control character."""
    write(workloads, "slow", SLOW)
    pipe = subprocess.PIPE
    run = dask_hpc(f"dask_hpc run slow --workers 1 --results {tmp_path / 'r'}", stderr=pipe, stdout=pipe)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert err == ""
    assert "computing" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("run slow --workers 1 --results {} | head -n 1", "0"),
        ("run slow --workers 1 --results {} --json | true", "0"),
        ("list | true", "[01]"),
        ("list --json | true", "[01]"),
        ("run slow --help | true", "[01]"),
    ],
)
def test_a_reader_that_goes_is_no_error(workloads: Path, tmp_path: Path, line: str, status: str) -> None:
    """`dask-hpc … | head` gives no traceback, and a run keeps its result although nobody reads its table."""
    write(workloads, "slow", SLOW)
    run = dask_hpc(
        f"dask_hpc {line.format(tmp_path / 'r')}; echo status ${{PIPESTATUS[0]}}",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = run.communicate(timeout=60)
    assert re.search(f"status {status}$", out.strip()), out + err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    if line.startswith("run slow --workers"):
        assert (tmp_path / "r" / "slow" / "latest" / "result.json").is_file()
