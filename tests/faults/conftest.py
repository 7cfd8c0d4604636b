"""Mini-clusters whose Slurm gives lost nodes up soon: what is proved here does not depend on how long it waits."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def slurm_sim_options(slurm_sim_options: dict[str, Any]) -> dict[str, Any]:
    """A third of the mini-cluster's own time limits."""
    return slurm_sim_options | {"slurm_conf": {"SlurmdTimeout": 10, "KillWait": 2}}
