"""Slurm's REST API: the text for Compose, tokens, and rejected requests."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slurm_sim import NotRunningError, SlurmSim, SpecError, _rest
from slurm_sim._compose import project
from slurm_sim._engine import Engine


def services(**wanted: Any) -> dict[str, Any]:
    """Return the services in the text that Compose reads for a mini-cluster."""
    spec = SlurmSim(name="a", image="mine", **wanted).spec
    found: dict[str, Any] = json.loads(project(spec, ["c1"]).nodes.replace("!reset ", ""))["services"]
    return found


def test_slurmrestd_has_controllers_configuration() -> None:
    """slurmrestd gets slurm.conf as the controller does; without `rest`, it is not mentioned."""
    found = services(rest=True)
    assert {"source": "slurm-conf", "target": "/usr/local/share/slurm-sim/etc/slurm.conf", "mode": 0o644} in found[
        "slurmrestd"
    ]["configs"]
    assert "slurmrestd" not in services()


def test_slurmdbd_has_key_of_tokens_only_with_rest() -> None:
    """With accounting, slurmdbd accepts the tokens, too."""
    assert services(rest=True, accounting=True)["slurmdbd"]["volumes"] == ["jwt:/etc/slurm-jwt"]
    assert services(accounting=True)["slurmdbd"]["volumes"] == []


@pytest.mark.parametrize("lifetime", [0, -1, 2**31 - 1, 10**20])
def test_rejects_lifetime_that_slurm_rejects(lifetime: int) -> None:
    """The lifetime is checked before the engine is asked."""
    with pytest.raises(SpecError, match=rf"between 1 and 2147483646, not {lifetime}"):
        _rest.token(Engine("none"), lifetime=lifetime)


def test_advises_how_to_get_the_api() -> None:
    """A mini-cluster without the API cannot get it later: the error says how to start one that has it."""
    with pytest.raises(NotRunningError, match="has no REST API") as error:
        _rest.require(Engine("a"), SlurmSim(name="a", image="mine").spec)
    assert "--rest" in error.value.todo


def test_reads_claims_of_token() -> None:
    """The claims are base64 without padding, of any length."""
    for user in ("hpc", "alice", "x" * 32):
        text = json.dumps({"exp": 1795817994, "iat": 1, "sun": user}).encode()
        claims = _rest.claims(f"x.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.y")
        assert (claims.sun, claims.expires) == (user, datetime(2026, 11, 27, 22, 19, 54, tzinfo=UTC))
