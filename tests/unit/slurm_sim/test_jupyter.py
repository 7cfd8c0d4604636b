"""JupyterLab on the login node: the combinations that are rejected."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim, SpecError


def test_rejects_jupyter_on_bare_nodes() -> None:
    """Bare nodes have nothing to run JupyterLab with."""
    with pytest.raises(SpecError, match="Bare nodes have no JupyterLab") as refused:
        SlurmSim(bare=True, jupyter=True)
    assert "--bare" in refused.value.todo


def test_rejects_jupyter_with_other_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login node needs JupyterLab's own image; any other, given by either way, is rejected."""
    with pytest.raises(SpecError, match="the image mine"):
        SlurmSim(image="mine", jupyter=True)
    monkeypatch.setenv("SLURM_SIM_IMAGE", "theirs")
    with pytest.raises(SpecError, match="the image theirs"):
        SlurmSim(jupyter=True)
