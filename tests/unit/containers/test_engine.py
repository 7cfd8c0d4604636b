"""engine.sh: quiet with a working engine, clear errors without."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import assert_explained, run

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: needs root")


@needs_root
def test_explains_missing_engine(tree: Path) -> None:
    """Without an engine, an ordinary user gets an error: what failed, what was found, what to do."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run(
        [*nobody, tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent"
    )
    what, seen, todo = assert_explained(done, "engine")
    assert "no Docker engine" in what
    assert "/nonexistent/docker.sock" in what + seen
    assert "install Docker" in todo


@needs_root
def test_names_missing_docker_command(tree: Path, tmp_path: Path) -> None:
    """Without the docker command, the error says so."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run([*nobody, tree / "containers/engine.sh"], PATH=str(programs_without_docker(tree)))
    _what, seen, _todo = assert_explained(done, "engine")
    assert "docker: command not found" in seen


def programs_without_docker(folder: Path) -> Path:
    """Make a folder with the programs that the scripts use, except docker."""
    there = folder / "bin"
    there.mkdir(mode=0o755)
    for name in ("bash", "dirname", "env", "id", "head", "tail", "sort", "setpriv", "printf"):
        found = shutil.which(name)
        if found:
            (there / name).symlink_to(found)
    return there


def test_reports_dead_docker_host(tree: Path) -> None:
    """If DOCKER_HOST does not answer, nothing is installed, not even for root."""
    done = run([tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent")
    what, _seen, _todo = assert_explained(done, "engine")
    assert "at unix:///nonexistent/docker.sock" in what


def test_reports_stale_socket(tree: Path, tmp_path: Path) -> None:
    """A socket that a dead engine left behind is reported."""
    left_over = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left_over))
    done = run([tree / "containers/engine.sh"], DOCKER_HOST=f"unix://{left_over}", HOME="/nonexistent")
    what, seen, _todo = assert_explained(done, "engine")
    assert f"at unix://{left_over}" in what
    assert "connection refused" in seen.lower() or "cannot connect" in seen.lower()


def test_is_quiet_with_working_engine(tree: Path) -> None:
    """With a working engine the script prints nothing and does nothing."""
    done = run([tree / "containers/engine.sh"], HOME=str(Path.home()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_at_once_are_quiet(tree: Path) -> None:
    """Two scripts at the same time do not disturb each other."""
    both = [
        subprocess.Popen([tree / "containers/engine.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    assert [(one.communicate()[0], one.returncode) for one in both] == [(b"", 0), (b"", 0)]
