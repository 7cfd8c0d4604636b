"""What Slurm's commands say: nodes, and whether there is a Slurm at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.clusters.slurm import ask
from dask_hpc.clusters.slurm.ask import Node, parse_nodes
from dask_hpc.errors import ClusterError
from tests.support.requests import SLURM_SINFO


def test_a_sif_without_a_bridge_names_the_launcher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a SIF that was started by hand there is no sbatch: the launcher is what to use."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    with pytest.raises(ClusterError, match=r"\./dask-hpc run"):
        ask.require()


def test_nodes_are_read() -> None:
    """Every field of sinfo's line is in its place, and a partition's star means the default."""
    first = parse_nodes(SLURM_SINFO)[0]
    assert first == Node("c1", "batch", True, 4, 4000, "idle", 4, 3600)
    assert parse_nodes("c1|debug|2+|900+|idle|0/2/0/2|infinite")[0].limit is None


@pytest.mark.parametrize("line", ["banana", "c1|batch|x|1|idle|0/1/0/1|1", "c1|batch|1|1|idle|n/a|1"])
def test_an_unexpected_sinfo_is_shown(line: str) -> None:
    """A line of another form is an error that quotes it."""
    with pytest.raises(ClusterError, match=line.split("|", maxsplit=1)[0]):
        parse_nodes(line)
