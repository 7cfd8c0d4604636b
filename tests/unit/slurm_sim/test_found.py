"""Reading mini-clusters from the engine's list of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import NotRunningError, Spec
from slurm_sim._found import Found, find, find_all, spec_label
from tests.support.bridge_site import executable
from tests.support.specs import spec

SPEC = spec("one")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the output of a fake `docker ps`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", f'#!/bin/sh\n[ "$1 $2 $3" != "ps --all --format" ] || cat {tmp_path}/rows\n')
    return tmp_path / "rows"


def row(project: str, service: str, state: str = "running", label: Spec | None = SPEC) -> str:
    """Return one container's line."""
    return "\t".join([project, service, state, spec_label(label) if label else ""]) + "\n"


def test_nodes_are_in_order(listed: Path) -> None:
    """c10 follows c9; the login node, the controller and other services are not nodes."""
    services = ["c10", "controller", "slurmctld", "c9", "login", "c1"]
    listed.write_text("".join(row("one", service) for service in services))
    found = find("one")
    assert found.nodes == ["c1", "c9", "c10"]
    assert found.states == dict.fromkeys(services, "running")
    assert found.spec == SPEC


def test_distinguishes_mini_clusters(listed: Path) -> None:
    """Each mini-cluster has its own containers; other projects of the engine are ignored."""
    listed.write_text(
        row("one", "login") + row("other", "db", label=None) + row("two", "c1", "exited") + row("one", "c1")
    )
    assert find_all() == {
        "one": Found(SPEC, ["c1"], {"login": "running", "c1": "running"}),
        "two": Found(SPEC, ["c1"], {"c1": "exited"}),
    }


def test_container_without_label_belongs_to_its_project(listed: Path) -> None:
    """One container with the spec's label is enough to find all of them."""
    listed.write_text(row("one", "login") + row("one", "c1", label=None))
    assert find("one").nodes == ["c1"]


def test_rejects_unknown_mini_cluster(listed: Path) -> None:
    """The error lists the existing mini-clusters, and says how to start one."""
    listed.write_text(row("two", "login") + row("one", "login"))
    with pytest.raises(NotRunningError) as caught:
        find("three")
    assert caught.value.seen == "existing: one, two"
    listed.write_text("")
    with pytest.raises(NotRunningError) as caught:
        find("three")
    assert "slurm-sim up" in caught.value.todo
