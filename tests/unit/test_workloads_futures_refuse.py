"""What the workloads with futures refuse before a Dask cluster is started: with the figure, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dask_hpc.cli import main

FOUR = ("futures-pipeline", "data-locality", "pinned-tasks", "local-cluster")
SIZE = {"futures-pipeline": "--n", "data-locality": "--n", "pinned-tasks": "--n", "local-cluster": "--samples"}


def refused(folder: Path, *args: str) -> str:
    """Run `dask-hpc run`, which has to end with a usage error and to leave no results; return what it says."""
    done = CliRunner().invoke(main, ["run", *args, "--results", str(folder / "results")], prog_name="dask-hpc")
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not (folder / "results").exists()
    return " ".join(done.output.split())


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "banana", "1e15"])
def test_no_size(tmp_path: Path, name: str, value: str) -> None:
    """Nothing, less than nothing, halves, words and what no machine has are no sizes."""
    said = refused(tmp_path, name, SIZE[name], value)
    assert SIZE[name] in said
    assert value in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["futures-pipeline", "--n", "30000", "--matrices", "100"], ["futures-pipeline does not fit", "GiB"]),
        (["data-locality", "--n", "30000"], ["data-locality does not fit", "GiB"]),
        (["pinned-tasks", "--n", "30000"], ["pinned-tasks does not fit", "GiB"]),
        (["local-cluster", "--n-workers", "1000"], ["local-cluster does not fit", "GiB"]),
        (["local-cluster", "--samples", "1e11", "--chunks", "1"], ["local-cluster does not fit", "TiB"]),
        (["local-cluster", "--samples", "3", "--chunks", "4"], ["--chunks", "4 chunks are more than 3 samples"]),
        (["local-cluster", "--memory-limit", "1"], ["--memory-limit", "64MiB"]),
        (["pinned-tasks", "--workers", "1"], ["pinned-tasks needs at least 2 workers", "Planned: 1"]),
        (["pinned-tasks", "--n", "10", "--memory", "12"], ["--memory"]),
        (["futures-pipeline", "--size", "huge"], ["--size", "tutorial"]),
        (["futures-pipeline", "--compare", "-1"], ["--compare"]),
        (["data-locality", "--dim", "3"], ["--dim"]),
    ],
)
def test_what_cannot_be_had(tmp_path: Path, args: list[str], words: list[str]) -> None:
    """Too large, too small, contradictory or unknown: the message has the option or both figures."""
    said = refused(tmp_path, *args)
    for word in words:
        assert word in said
