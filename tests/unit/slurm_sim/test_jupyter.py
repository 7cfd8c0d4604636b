"""JupyterLab on the login node: rejected combinations of options."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim, SpecError


def test_rejects_jupyter_on_bare_nodes() -> None:
    """The error names the option to leave out."""
    with pytest.raises(SpecError, match="Bare nodes have no JupyterLab") as refused:
        SlurmSim(bare=True, jupyter=True)
    assert "--bare" in refused.value.todo


def test_rejects_jupyter_with_other_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab needs its own image; another one is rejected, as an argument or in $SLURM_SIM_IMAGE."""
    with pytest.raises(SpecError, match="the image mine"):
        SlurmSim(image="mine", jupyter=True)
    monkeypatch.setenv("SLURM_SIM_IMAGE", "theirs")
    with pytest.raises(SpecError, match="the image theirs"):
        SlurmSim(jupyter=True)
