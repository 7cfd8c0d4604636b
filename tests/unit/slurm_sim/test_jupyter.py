"""JupyterLab on the login node: the combinations that are rejected."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim, SpecError


def test_bare_nodes_have_none() -> None:
    """A mini-cluster whose nodes have nothing to run cannot have it, and the message says so."""
    with pytest.raises(SpecError, match="bare nodes have no JupyterLab") as refused:
        SlurmSim(bare=True, jupyter=True)
    assert "--bare" in refused.value.hint


def test_another_image_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login node's image is JupyterLab's own: another one, given by either way, is refused."""
    with pytest.raises(SpecError, match="the image mine"):
        SlurmSim(image="mine", jupyter=True)
    monkeypatch.setenv("SLURM_SIM_IMAGE", "theirs")
    with pytest.raises(SpecError, match="the image theirs"):
        SlurmSim(jupyter=True)
