"""Mini-clusters that mark lost nodes down early, because these tests do not depend on the time limit."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def slurm_sim_options(slurm_sim_options: dict[str, Any]) -> dict[str, Any]:
    """A third of the mini-cluster's own time limits."""
    return slurm_sim_options | {"slurm_conf": {"SlurmdTimeout": 10, "KillWait": 2}}
