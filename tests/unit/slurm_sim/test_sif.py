"""The SIF that a bare mini-cluster shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurm_sim import SlurmSim, SpecError
from tests.support.header_sif import sif


def test_rejects_sif_without_bare_nodes(tmp_path: Path) -> None:
    """The error names the missing option."""
    with pytest.raises(SpecError, match="Only bare nodes") as refused:
        SlurmSim(sif=tmp_path / "x.sif")
    assert "--bare" in refused.value.todo


def test_names_missing_sif(tmp_path: Path) -> None:
    """The error names the file, and the command that builds it."""
    with pytest.raises(SpecError, match=r"The SIF .*x\.sif cannot be read") as refused:
        SlurmSim(bare=True, sif=tmp_path / "x.sif")
    assert "make sif" in refused.value.todo


def test_accepts_complete_sif_of_this_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is made absolute, since Compose runs in another folder."""
    whole = sif(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert SlurmSim(bare=True, sif="x.sif").spec.sif == str(whole)


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ({"magic": b"NO_MAGIC\0\0"}, "1024 bytes"),
        ({"size": 0}, "0 bytes"),
        ({"size": 127}, "127 bytes"),
        ({"size": 128}, "128 of 1024 bytes"),
        ({"size": 1023}, "1023 of 1024 bytes"),
        ({"code": b"09\0"}, "s390x"),
        ({"code": b"77\0"}, "unknown"),
    ],
)
def test_rejects_damaged_or_foreign_sif(tmp_path: Path, wrong: dict[str, Any], seen: str) -> None:
    """A file on which Apptainer would fail later is rejected before anything starts."""
    with pytest.raises(SpecError) as refused:
        SlurmSim(bare=True, sif=sif(tmp_path, **wrong))
    assert seen in refused.value.seen


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_rejects_sif_that_nodes_cannot_read(tmp_path: Path, mode: int) -> None:
    """A SIF that is not world-readable is rejected: the nodes have another user than this host."""
    with pytest.raises(SpecError) as refused:
        SlurmSim(bare=True, sif=sif(tmp_path, mode=mode))
    assert "chmod a+r" in refused.value.todo
