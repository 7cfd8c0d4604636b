"""The services, volumes and ports of rest.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def rest(root: Path) -> dict[str, Any]:
    """Return rest.yaml, parsed."""
    loaded: dict[str, Any] = yaml.safe_load((root / "compose/rest.yaml").read_text(encoding="utf-8"))
    return loaded


def test_publishes_one_loopback_port(rest: dict[str, Any]) -> None:
    """Only slurmrestd publishes a port, on 127.0.0.1, and the engine chooses its number."""
    assert {name: one.get("ports") for name, one in rest["services"].items() if "ports" in one} == {
        "slurmrestd": ["127.0.0.1::6820"]
    }


def test_slurmrestd_has_no_capability(rest: dict[str, Any]) -> None:
    """It drops all capabilities, adds none, can gain none, and runs as its image's user."""
    service = rest["services"]["slurmrestd"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "user", "privileged"} & set(service)


def test_only_controller_has_key_of_tokens(rest: dict[str, Any]) -> None:
    """slurmrestd and the login node have the socket, and no key; only slurmrestd can replace the socket."""
    assert {name: one["volumes"] for name, one in rest["services"].items()} == {
        "slurmctld": ["jwt:/etc/slurm-jwt"],
        "slurmrestd": ["rest:/run/slurmrestd", "users:/var/lib/extrausers:ro,nocopy"],
        "login": ["rest:/run/slurmrestd:ro,nocopy"],
    }


def test_labels_everything(rest: dict[str, Any]) -> None:
    """`down` finds the service and the volumes by their label."""
    label = {"io.slurm-sim.spec": "${SLURM_SIM_SPEC:-}"}
    assert rest["services"]["slurmrestd"]["labels"] == label
    assert [volume["labels"] for volume in rest["volumes"].values()] == [label, label]
