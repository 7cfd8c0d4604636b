"""The images that a mini-cluster runs."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim


def test_bare_nodes_use_bare_image(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """$SLURM_SIM_IMAGE does not change bare nodes; an image that is named explicitly does."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    assert SlurmSim(bare=True).spec.node_image == f"slurm-sim/bare:{versions['SLURM_VERSION']}"
    assert SlurmSim(bare=True, image="other").spec.login_image == "other"
