"""The end of a rank's process."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask import config

from dask_hpc.mpi.ending import Ending, say
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings


@pytest.mark.parametrize("made_here", [True, False])
def test_failure_removes_folder_that_ranks_created(tmp_path: Path, *, made_here: bool) -> None:
    """A folder that existed before, such as one from `dask-hpc mpi-folder`, is kept."""
    folder = Folder(tmp_path / "one")
    folder.make(tls=False)
    ending = Ending()
    assert ending.status is None
    with config.set({"dask-hpc": {}}):
        MpiSettings(folder=str(folder.path), made_here=made_here).configure()
        ending.set_status(1)
    assert ending.status == 1
    assert folder.path.exists() is not made_here


def test_log_names_node_without_mpi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without MPI, the log names the node, and the rank is unknown."""
    monkeypatch.setenv("SLURMD_NODENAME", "c1")
    say("the end")
    assert capsys.readouterr().err == "dask-hpc: rank ? on c1: the end\n"
