"""The command `dask-hpc jobqueue-config`: how the file is written."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from dask_hpc.cli import main
from dask_hpc.errors import RequestError, ResultsError
from dask_hpc.jobqueue_config.command import write


def test_overwrites_file_only_with_force(tmp_path: Path) -> None:
    """The same text is left alone, another one is rejected with the difference, and --force replaces it."""
    file = tmp_path / "dask" / "jobqueue.yaml"
    assert write(file, "a\nb\n", force=False) == "written"
    assert write(file, "a\nb\n", force=False) == "is up to date"
    with pytest.raises(RequestError, match=r"(?s)differs.*-b\n\+c.*--force") as refused:
        write(file, "a\nc\n", force=False)
    assert refused.value.exit_code == 2
    assert file.read_text() == "a\nb\n"
    assert write(file, "a\nc\n", force=True) == "replaced"
    assert file.read_text() == "a\nc\n"
    assert [one.name for one in file.parent.iterdir()] == ["jobqueue.yaml"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_replaces_target_of_link(tmp_path: Path) -> None:
    """A configuration behind a symbolic link is replaced at its target."""
    (tmp_path / "kept.yaml").write_text("old\n")
    (tmp_path / "jobqueue.yaml").symlink_to("kept.yaml")
    write(tmp_path / "jobqueue.yaml", "new\n", force=True)
    assert (tmp_path / "jobqueue.yaml").is_symlink()
    assert (tmp_path / "kept.yaml").read_text() == "new\n"


def test_reports_unwritable_file(tmp_path: Path) -> None:
    """A folder in the file's place, or a file in its folder's, is an error."""
    (tmp_path / "file").write_text("")
    for target in (tmp_path, tmp_path / "file" / "jobqueue.yaml"):
        with pytest.raises(ResultsError, match=f"{re.escape(str(target))} cannot be written"):
            write(target, "x", force=True)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_reports_missing_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Slurm nothing is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["jobqueue-config", "--output", str(tmp_path / "x.yaml")])
    assert done.exit_code == 1
    assert "There is no Slurm here" in done.output
    assert not (tmp_path / "x.yaml").exists()


def test_help_has_examples_and_suggestions() -> None:
    """The help has commands to copy; a near miss is recognised."""
    text = CliRunner().invoke(main, ["jobqueue-config", "--help"]).output
    assert all(word in text for word in ("Examples:", "--output -", "--force"))
    assert "Did you mean 'jobqueue-config'?" in CliRunner().invoke(main, ["jobqueue"]).output
