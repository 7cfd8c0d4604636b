"""Asking Slurm about its nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.clusters.slurm import ask
from dask_hpc.clusters.slurm.ask import Node, parse_nodes
from dask_hpc.errors import ClusterError
from tests.support.requests import SLURM_SINFO


def test_names_launcher_in_sif_without_bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A SIF that was started by hand has no sbatch; the error names the launcher."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    with pytest.raises(ClusterError, match=r"\./dask-hpc run"):
        ask.require()


def test_parses_nodes() -> None:
    """Every field of sinfo's line is read, and a partition's star means the default."""
    first = parse_nodes(SLURM_SINFO)[0]
    assert first == Node("c1", "batch", True, 4, 4000, "idle", 4, 3600)
    assert parse_nodes("c1|debug|2+|900+|idle|0/2/0/2|infinite")[0].limit is None


@pytest.mark.parametrize("line", ["banana", "c1|batch|x|1|idle|0/1/0/1|1", "c1|batch|1|1|idle|n/a|1"])
def test_rejects_unexpected_sinfo_line(line: str) -> None:
    """A line of another form is an error that quotes it."""
    with pytest.raises(ClusterError, match=line.split("|", maxsplit=1)[0]):
        parse_nodes(line)
