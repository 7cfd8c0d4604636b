"""A test's part of a shared mini-cluster."""

from __future__ import annotations

import pytest

from slurm_sim import NotRunningError
from slurm_sim._pytest_lease import LeasedEngine


def test_has_only_its_own_nodes_and_daemons() -> None:
    """Containers of other tests' nodes are rejected by name."""
    engine = LeasedEngine("shared", "pytest-1", ("slurmctld", "login"))
    engine.leased = ["c2", "c3"]
    assert engine.nodes() == ["c2", "c3"]
    assert [engine.container(service) for service in ("login", "slurmctld", "c3")] == [
        "shared-login-1",
        "shared-slurmctld-1",
        "shared-c3-1",
    ]
    with pytest.raises(NotRunningError, match="'c1' does not belong to this test") as refused:
        engine.container("c1")
    assert refused.value.seen == "slurmctld, login, c2, c3"
