"""The engine's and the base image's scripts: quiet where all is there, clear where it is not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")


@pytest.fixture
def tree(root: Path) -> Iterator[Path]:
    """The scripts where anybody can read them, which a checkout need not be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "containers").mkdir()
        for name in ("containers/engine.sh", "containers/base.sh", "versions.env"):
            shutil.copy(root / name, Path(folder) / name)
        yield Path(folder)


def run(command: list[str | Path], **env: str) -> subprocess.CompletedProcess[str]:
    """Runs it with these variables beside PATH, and nothing else of ours."""
    own = {"PATH": os.environ["PATH"], "LC_ALL": "C"} | env
    return subprocess.run(command, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def assert_explained(done: subprocess.CompletedProcess[str], who: str) -> list[str]:
    """Three lines on stderr (what, seen, to do), nothing on stdout, status 1."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith(f"{who}: ")
    assert lines[1].strip().startswith("seen: ")
    assert lines[2].strip().startswith("to do: ")
    return lines


@needs_root
def test_an_ordinary_user_without_an_engine_is_told_what_to_install(tree: Path) -> None:
    """No engine and no root: what was looked for, what was seen, what to do."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run(
        [*nobody, tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent"
    )
    what, seen, todo = assert_explained(done, "engine")
    assert "no Docker engine" in what
    assert "/nonexistent/docker.sock" in what + seen
    assert "install Docker" in todo


@needs_root
def test_an_ordinary_user_without_docker_is_told_what_to_install(tree: Path, tmp_path: Path) -> None:
    """No docker command at all is said as such."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run([*nobody, tree / "containers/engine.sh"], PATH=str(programs_without_docker(tree)))
    _what, seen, _todo = assert_explained(done, "engine")
    assert "docker" in seen


def programs_without_docker(folder: Path) -> Path:
    """A folder with the programs that the scripts use, but docker."""
    there = folder / "bin"
    there.mkdir(mode=0o755)
    for name in ("bash", "dirname", "env", "id", "head", "tail", "sort", "setpriv", "printf"):
        found = shutil.which(name)
        if found:
            (there / name).symlink_to(found)
    return there


def test_an_engine_named_by_docker_host_that_is_dead_is_said(tree: Path) -> None:
    """A DOCKER_HOST that nobody answers at is the user's to mend: nothing is installed, also for root."""
    done = run([tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent")
    what, _seen, _todo = assert_explained(done, "engine")
    assert "at unix:///nonexistent/docker.sock" in what


def test_a_socket_that_nobody_listens_at_is_said(tree: Path, tmp_path: Path) -> None:
    """A socket left over by an engine that died is told from one that answers."""
    left_over = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left_over))
    done = run([tree / "containers/engine.sh"], DOCKER_HOST=f"unix://{left_over}", HOME="/nonexistent")
    assert_explained(done, "engine")


def test_an_engine_that_answers_is_taken_quietly(tree: Path) -> None:
    """Where all is there, nothing is said and nothing is done."""
    done = run([tree / "containers/engine.sh"], HOME=str(Path.home()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_at_once_are_as_quiet_as_one(tree: Path) -> None:
    """Two that look for the engine at the same time do not disturb each other."""
    both = [
        subprocess.Popen([tree / "containers/engine.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    assert [(one.communicate()[0], one.returncode) for one in both] == [(b"", 0), (b"", 0)]


def test_a_base_that_is_neither_is_refused(tree: Path, tmp_path: Path) -> None:
    """BASE is `pull` or `bootstrap`; anything else is named, and is not remembered."""
    done = run([tree / "containers/base.sh"], BASE="nonsense", DASK_HPC_CACHE=str(tmp_path))
    what, seen, _todo = assert_explained(done, "base")
    assert "BASE=nonsense" in what
    assert "bootstrap" in seen
    assert not (tmp_path / "base/choice").exists()


def test_a_forced_base_is_remembered(tree: Path, tmp_path: Path) -> None:
    """BASE=pull prints the pinned image, by digest; without BASE, the same choice holds from then on."""
    first = run([tree / "containers/base.sh"], BASE="pull", DASK_HPC_CACHE=str(tmp_path))
    again = run([tree / "containers/base.sh"], DASK_HPC_CACHE=str(tmp_path))
    assert first.returncode == again.returncode == 0
    assert first.stdout == again.stdout
    assert first.stdout.startswith("docker-image://docker.io/library/debian:")
    assert "@sha256:" in first.stdout


def test_without_an_engine_the_command_says_so(tmp_path: Path) -> None:
    """slurm-sim says that no engine answers, and what to do, without a traceback."""
    for command in (["up"], ["list"], ["down"], ["status"]):
        done = run(
            [sys.executable, "-c", "from slurm_sim.cli import main; main()", *command],
            DOCKER_HOST="unix:///nonexistent/docker.sock",
            HOME="/nonexistent",
        )
        assert done.returncode == 1, command
        assert "no Docker engine answers" in done.stderr
        assert "to do: " in done.stderr
        assert "Traceback" not in done.stderr


def test_without_docker_the_command_says_so(tmp_path: Path) -> None:
    """So it does where there is no docker command."""
    done = run([sys.executable, "-c", "from slurm_sim.cli import main; main()", "up"], PATH=str(tmp_path))
    assert done.returncode == 1
    assert "slurm-sim: there is no docker command\n  to do: " in done.stderr
