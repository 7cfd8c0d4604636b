"""The containers of a mini-cluster, and commands that end soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import CommandError
from slurm_sim._engine import Engine
from tests.support.bridge_site import executable


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` command that prints its arguments and its input."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", '#!/bin/sh\necho "$@"; cat; exit ${STATUS:-0}\n')
    return tmp_path / "docker"


def test_names_containers_as_compose_does() -> None:
    """A service's container and the network have the mini-cluster's name before them."""
    assert Engine("mine").container("c1") == "mine-c1-1"
    assert Engine("mine").network == "mine_default"


def test_runs_short_commands_as_they_are(client: Path) -> None:
    """Without a user or an input, the container decides; with an input, it is connected."""
    engine = Engine("mine")
    assert engine.run("login", "sinfo", "-h").stdout == "exec mine-login-1 sinfo -h\n"
    done = engine.run("c1", "cat", user="hpc", stdin=b"text")
    assert done.stdout == "exec --user=hpc --interactive mine-c1-1 cat\ntext"


def test_every_command_has_the_variables_of_its_engine(client: Path) -> None:
    """A command's own variable goes before the engine's."""
    said = Engine("mine", env={"A": "1", "B": "2"}).exec("true", env={"B": "3"}, stdin="input").stdout
    assert "--env=A=1 --env=B=3 mine-login-1" in said
    assert said.endswith("true\ninput")


def test_a_failed_command_is_an_error_if_it_is_checked(client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command as it was asked for."""
    monkeypatch.setenv("STATUS", "5")
    assert Engine("mine").exec("false", check=False).returncode == 5
    with pytest.raises(CommandError) as failed:
        Engine("mine").exec("false")
    assert (failed.value.command, failed.value.returncode) == ("false", 5)


def test_logs_are_the_last_lines(client: Path) -> None:
    """Of the container of a service."""
    assert Engine("mine").logs("slurmctld", 7) == "logs --tail 7 mine-slurmctld-1\n"
