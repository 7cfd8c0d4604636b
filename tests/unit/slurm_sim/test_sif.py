"""The SIF that a bare mini-cluster shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import SlurmSim, SpecError


def test_rejects_sif_without_bare_nodes(tmp_path: Path) -> None:
    """The error names the missing option."""
    with pytest.raises(SpecError, match="only bare nodes") as refused:
        SlurmSim(sif=tmp_path / "x.sif")
    assert "--bare" in refused.value.hint


def test_names_missing_sif(tmp_path: Path) -> None:
    """The error names the file, and the command that builds it."""
    with pytest.raises(SpecError, match=r"cannot read the SIF .*x\.sif") as refused:
        SlurmSim(bare=True, sif=tmp_path / "x.sif")
    assert "make sif" in refused.value.hint
