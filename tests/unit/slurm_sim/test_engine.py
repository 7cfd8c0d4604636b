"""The containers of a mini-cluster, and short commands in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import CommandError
from slurm_sim._engine import Engine
from tests.support.bridge_site import executable


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a fake `docker` command that prints its arguments and its input."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", '#!/bin/sh\necho "$@"; cat; exit ${STATUS:-0}\n')
    return tmp_path / "docker"


def test_names_containers_as_compose_does() -> None:
    """The names of containers and of the network begin with the mini-cluster's name."""
    assert Engine("mine").container("c1") == "mine-c1-1"
    assert Engine("mine").network == "mine_default"


def test_run_adds_only_given_options(client: Path) -> None:
    """Without a user, the container's default is used; standard input is connected only for an input."""
    engine = Engine("mine")
    assert engine.run("login", "sinfo", "-h").stdout == "exec mine-login-1 sinfo -h\n"
    done = engine.run("c1", "cat", user="hpc", stdin=b"text")
    assert done.stdout == "exec --user=hpc --interactive mine-c1-1 cat\ntext"


def test_exec_passes_variables_of_engine(client: Path) -> None:
    """Every command gets the engine's variables; its own override them."""
    said = Engine("mine", env={"A": "1", "B": "2"}).exec("true", env={"B": "3"}, stdin="input").stdout
    assert "--env=A=1 --env=B=3 mine-login-1" in said
    assert said.endswith("true\ninput")


def test_exec_raises_for_failed_command_unless_unchecked(client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command as the caller gave it; with `check=False`, there is none."""
    monkeypatch.setenv("STATUS", "5")
    assert Engine("mine").exec("false", check=False).returncode == 5
    with pytest.raises(CommandError) as failed:
        Engine("mine").exec("false")
    assert (failed.value.command, failed.value.returncode) == ("false", 5)


def test_logs_returns_last_lines(client: Path) -> None:
    """The engine is asked for the last lines of a service's container."""
    assert Engine("mine").logs("slurmctld", 7) == "logs --tail 7 mine-slurmctld-1\n"
