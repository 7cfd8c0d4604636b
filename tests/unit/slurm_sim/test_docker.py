"""Arguments and results of commands in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import CommandError, EngineError
from slurm_sim._docker import Completed, check_engine, checked, docker, exec_arguments
from tests.support.bridge_site import executable


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path for a fake `docker` command, the only one on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "docker"


def test_passes_user_folder_and_variables() -> None:
    """Options come before the container, and the command is passed unchanged."""
    arguments = exec_arguments(
        "sim-c1-1", ["sh", "-c", "a b"], user="hpc", workdir="/w", env={"A": "1", "B": ""}, tty=True
    )
    options = arguments[1:-4]
    rest = arguments[-4:]
    assert arguments[0] == "exec"
    assert options == ["--interactive", "--user=hpc", "--tty", "--workdir=/w", "--env=A=1", "--env=B="]
    assert rest == ["sim-c1-1", "sh", "-c", "a b"]


def test_requests_no_terminal_by_default() -> None:
    """By default, standard input is connected, and no other option is set."""
    assert exec_arguments("c", ["true"], user="root") == ["exec", "--interactive", "--user=root", "c", "true"]


def test_checked_returns_successful_command() -> None:
    """Status 0 is no error, regardless of the output."""
    done = Completed(0, "out", "warning")
    assert checked(["true"], done) is done


def test_checked_raises_error_with_status_and_output() -> None:
    """The error has the command, quoted for a shell, its status and both streams."""
    with pytest.raises(CommandError) as caught:
        checked(["cat", "a b"], Completed(3, "out", "err"))
    error = caught.value
    assert (error.command, error.returncode, error.stdout, error.stderr) == ("cat 'a b'", 3, "out", "err")


def test_docker_passes_status_streams_and_input(client: Path) -> None:
    """The client reads the given input; invalid UTF-8 in its output is replaced."""
    executable(client, "#!/bin/sh\necho \"$@\"; cat; printf '\\377' >&2; exit 5\n")
    assert docker("a", "b c", stdin=b"input") == Completed(5, "a b c\ninput", "\ufffd")


def test_docker_has_empty_input_by_default(client: Path) -> None:
    """Without input, the client reads nothing and never waits for the terminal."""
    executable(client, "#!/bin/sh\nexec cat\n")
    assert docker("x") == Completed(0, "", "")


def test_missing_client_is_engine_error(client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a docker command, the error names it."""
    monkeypatch.setenv("PATH", str(client.parent))
    with pytest.raises(EngineError, match="docker"):
        docker("version")


def test_check_engine_shows_last_line_of_client(client: Path) -> None:
    """If no engine answers, the error shows the last line of the client's errors, which has the reason."""
    executable(client, "#!/bin/sh\nprintf 'Client:\\nCannot connect\\n' >&2\nexit 1\n")
    with pytest.raises(EngineError) as caught:
        check_engine()
    assert caught.value.seen == "Cannot connect"
    executable(client, "#!/bin/sh\nexit 0\n")
    check_engine()
