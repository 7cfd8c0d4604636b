"""The SIF that a bare mini-cluster shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import SlurmSim, SpecError


def test_a_sif_without_bare_nodes_is_refused(tmp_path: Path) -> None:
    """The message says what to ask for."""
    with pytest.raises(SpecError, match="only bare nodes") as refused:
        SlurmSim(sif=tmp_path / "x.sif")
    assert "--bare" in refused.value.hint


def test_a_sif_that_is_missing_is_named(tmp_path: Path) -> None:
    """So is what makes one."""
    with pytest.raises(SpecError, match=r"cannot read the SIF .*x\.sif") as refused:
        SlurmSim(bare=True, sif=tmp_path / "x.sif")
    assert "make sif" in refused.value.hint
