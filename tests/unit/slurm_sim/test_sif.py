"""The SIF that a bare mini-cluster shares."""

from __future__ import annotations

import platform
import struct
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import SlurmSim, SpecError, _sif


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


def sif(
    tmp_path: Path, *, code: bytes = b"", magic: bytes = b"SIF_MAGIC\0", size: int = 1024, mode: int = 0o644
) -> Path:
    """Write a file with a SIF's header; 1024 bytes are whole."""
    codes = {name: number for number, name in _sif._ARCHITECTURES.items()}
    machine = code or codes[platform.machine()]
    numbers = (1, 2, 3, 4, 5, 6, 1000, 24)  # the last two: where the data begins, and how long it is
    header = struct.pack(
        "<32s10s3s3s16s8q", b"#!/usr/bin/env run-singularity\n", magic, b"01\0", machine, b"", *numbers
    )
    path = tmp_path / "x.sif"
    path.write_bytes(header.ljust(size, b"\0")[:size])
    path.chmod(mode)
    return path


def test_accepts_a_whole_sif_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is absolute, for Compose runs elsewhere."""
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
def test_rejects_a_damaged_or_foreign_sif(tmp_path: Path, wrong: dict[str, Any], seen: str) -> None:
    """A file that Apptainer would fail on later is refused before anything starts."""
    with pytest.raises(SpecError) as refused:
        SlurmSim(bare=True, sif=sif(tmp_path, **wrong))
    assert seen in refused.value.seen


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_rejects_a_sif_that_nodes_cannot_read(tmp_path: Path, mode: int) -> None:
    """The nodes' user is another one than this host's."""
    with pytest.raises(SpecError) as refused:
        SlurmSim(bare=True, sif=sif(tmp_path, mode=mode))
    assert "chmod a+r" in refused.value.hint
