"""The images that a mini-cluster runs."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim


def test_bare_nodes_run_the_bare_image(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever $SLURM_SIM_IMAGE says; an image that is named goes first."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    assert SlurmSim(bare=True).spec.node_image == f"slurm-sim/bare:{versions['SLURM_VERSION']}"
    assert SlurmSim(bare=True, image="other").spec.login_image == "other"
