"""Arguments and results of commands in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import CommandError, EngineError
from slurm_sim._docker import Completed, check_engine, checked, docker, exec_arguments
from tests.support.bridge_site import executable


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a `docker` command; nothing else of that name is on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "docker"


def test_passes_user_folder_and_variables() -> None:
    """Options stand before the container, and the command is passed as it is."""
    arguments = exec_arguments(
        "sim-c1-1", ["sh", "-c", "a b"], user="hpc", workdir="/w", env={"A": "1", "B": ""}, tty=True
    )
    options = arguments[1:-4]
    rest = arguments[-4:]
    assert arguments[0] == "exec"
    assert options == ["--interactive", "--user=hpc", "--tty", "--workdir=/w", "--env=A=1", "--env=B="]
    assert rest == ["sim-c1-1", "sh", "-c", "a b"]


def test_asks_for_no_terminal_by_itself() -> None:
    """Without options, standard input is connected and nothing else is changed."""
    assert exec_arguments("c", ["true"], user="root") == ["exec", "--interactive", "--user=root", "c", "true"]


def test_returns_a_command_that_succeeded() -> None:
    """Status 0 is no error, whatever the command wrote."""
    done = Completed(0, "out", "warning")
    assert checked(["true"], done) is done


def test_a_failed_command_carries_everything_it_left() -> None:
    """The error has the command in a form for a shell, its status and both streams."""
    with pytest.raises(CommandError) as caught:
        checked(["cat", "a b"], Completed(3, "out", "err"))
    error = caught.value
    assert (error.command, error.returncode, error.stdout, error.stderr) == ("cat 'a b'", 3, "out", "err")


def test_status_streams_and_input_pass(client: Path) -> None:
    """The client reads what it is given; bytes that are no text do not break its output."""
    executable(client, "#!/bin/sh\necho \"$@\"; cat; printf '\\377' >&2; exit 5\n")
    assert docker("a", "b c", stdin=b"input") == Completed(5, "a b c\ninput", "\ufffd")


def test_the_client_reads_nothing_without_input(client: Path) -> None:
    """It never waits for the terminal."""
    executable(client, "#!/bin/sh\nexec cat\n")
    assert docker("x") == Completed(0, "", "")


def test_a_missing_client_is_an_engine_error(client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a docker command the error says so."""
    monkeypatch.setenv("PATH", str(client.parent))
    with pytest.raises(EngineError, match="docker"):
        docker("version")


def test_an_engine_that_does_not_answer_shows_its_last_line(client: Path) -> None:
    """Docker's reason is the last line that it writes."""
    executable(client, "#!/bin/sh\nprintf 'Client:\\nCannot connect\\n' >&2\nexit 1\n")
    with pytest.raises(EngineError) as caught:
        check_engine()
    assert caught.value.seen == "Cannot connect"
    executable(client, "#!/bin/sh\nexit 0\n")
    check_engine()
