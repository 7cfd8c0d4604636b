"""Detecting a site."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.doctor.examine import examine
from dask_hpc.doctor.site import here


def test_reports_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says once that Slurm is missing, has the other checks, and queries no nodes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    site = here(os.environ, (), jobs=True, partition=None)
    assert site.place == "machine without Slurm"
    found = {one.check: one for one in examine(site)}
    assert found["Slurm"].status == "warning"
    assert "Slurm not found" in found["Slurm"].seen
    assert not {"sbatch", "nodes", "PMIx", "clocks"} & set(found)
    assert {"environment", "shared folders", "/dev/shm", "open files", "CPUs", "memory"} <= set(found)
    assert not [one for one in found.values() if one.status == "failure"]
