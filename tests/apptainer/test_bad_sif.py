"""SIFs that cannot run: Apptainer's error on a node, and slurm-sim's error before anything starts."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm_sim import SlurmSim, SpecError

pytestmark = pytest.mark.timeout(300)

Damage = Callable[[bytes], bytes]

OTHER = {"x86_64": b"04", "aarch64": b"02"}
"""SIF code of an architecture other than this machine's."""

ARCHITECTURE = 45
"""Offset of the architecture in a SIF's header."""


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def cut_off_early(data: bytes) -> bytes:
    return data[:20000]


def empty(_data: bytes) -> bytes:
    return b""


def an_error_page(_data: bytes) -> bytes:
    return b"<html>not found</html>" * 100


def of_another_architecture(data: bytes) -> bytes:
    """Change the header and the file-system descriptor, as if the SIF had been built elsewhere."""
    own = data[ARCHITECTURE : ARCHITECTURE + 2]
    other = OTHER[platform.machine()]
    head = bytearray(data[:32176])  # header and descriptors
    head[ARCHITECTURE : ARCHITECTURE + 2] = other
    partition = bytes((1, 0, 0, 0, 2, 0, 0, 0))  # squashfs, system partition: the architecture follows
    at = head.index(partition + own) + len(partition)
    head[at : at + 2] = other
    return bytes(head) + data[len(head) :]


@pytest.mark.parametrize(
    ("damage", "apptainers", "ours"),
    [
        (cut_off, "trying to read the squashfs image", "is truncated"),
        (cut_off_early, "unexpected EOF", "is truncated"),
        (empty, "image format not recognized", "is not a SIF"),
        (an_error_page, "image format not recognized", "is not a SIF"),
        (of_another_architecture, "could not run on the host", "is for another architecture"),
    ],
)
def test_rejects_damaged_sif(
    bare: SlurmSim, sif: Path, tmp_path: Path, damage: Damage, apptainers: str, ours: str
) -> None:
    """Apptainer rejects a damaged SIF in a job; slurm-sim rejects it at once, with a hint."""
    bad = tmp_path / "bad.sif"
    bad.write_bytes(damage(sif.read_bytes()))
    with pytest.raises(SpecError, match=ours) as refused:
        SlurmSim(bare=True, sif=bad)
    assert refused.value.todo
    bare.put(bad, "/home/hpc/bad.sif")
    done = bare.exec("srun", "apptainer", "exec", "bad.sif", "true", check=False, timeout=150)
    assert done.returncode != 0
    assert apptainers in done.stderr


def test_rejects_missing_sif(bare: SlurmSim, tmp_path: Path) -> None:
    """Apptainer and slurm-sim both name the missing file."""
    with pytest.raises(SpecError, match=r"The SIF .*/no\.sif cannot be read"):
        SlurmSim(bare=True, sif=tmp_path / "no.sif")
    done = bare.exec("srun", "apptainer", "exec", "no.sif", "true", check=False, timeout=150)
    assert "/home/hpc/no.sif: no such file or directory" in done.stderr


def test_rejects_folder_as_sif(tmp_path: Path) -> None:
    """A folder is rejected."""
    with pytest.raises(SpecError, match=r"The SIF .* cannot be read"):
        SlurmSim(bare=True, sif=tmp_path)


def test_rejects_unreadable_sif(bare: SlurmSim, sif: Path, tmp_path: Path) -> None:
    """Apptainer rejects a SIF that the job's user cannot read, and slurm-sim says how to fix that."""
    own = tmp_path / "own.sif"
    own.write_bytes(sif.read_bytes())
    own.chmod(0o600)
    with pytest.raises(SpecError, match="not world-readable") as refused:
        SlurmSim(bare=True, sif=own)
    assert refused.value.todo == f"run 'chmod a+r {own}'."
    bare.put(sif, "/home/hpc/own.sif")
    bare.exec("chmod", "0200", "own.sif", workdir="/home/hpc")
    done = bare.exec("srun", "apptainer", "exec", "own.sif", "true", check=False, timeout=150)
    assert "not readable by the current user" in done.stderr


def test_sif_requires_bare_nodes(sif: Path) -> None:
    """A SIF on nodes that are not bare is rejected, because they have no Apptainer."""
    with pytest.raises(SpecError, match="Only bare nodes have Apptainer") as refused:
        SlurmSim(sif=sif)
    assert "--bare" in refused.value.todo
