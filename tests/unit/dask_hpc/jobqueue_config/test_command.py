"""The command `dask-hpc jobqueue-config`: how the file is written."""

from __future__ import annotations

import re
import stat
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from dask_hpc.cli import main
from dask_hpc.errors import RequestError, ResultsError
from dask_hpc.jobqueue_config.command import write


def test_overwrites_file_only_with_force(tmp_path: Path) -> None:
    """The same text is kept, a different file is rejected with the difference, and --force replaces it."""
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
    """A folder in place of the file, or a file in place of its folder, is an error."""
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
    assert "Slurm not found" in done.output
    assert not (tmp_path / "x.yaml").exists()


def test_help_has_examples_and_suggestions() -> None:
    """The help has examples; a mistyped name gets a suggestion."""
    text = CliRunner().invoke(main, ["jobqueue-config", "--help"]).output
    assert all(word in text for word in ("Examples:", "--output -", "--force"))
    assert "Did you mean 'jobqueue-config'?" in CliRunner().invoke(main, ["jobqueue"]).output


def test_creates_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing folders are created; nothing is written elsewhere first, which may be another file system."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    file = tmp_path / "config" / "dask" / "jobqueue.yaml"
    assert write(file, "a\n", force=False) == "written"
    assert file.read_text() == "a\n"


@pytest.mark.parametrize("before", ["", "\n", "# jobqueue:\n", "# jobqueue:\n\n  # slurm:\n"])
def test_replaces_file_without_settings(tmp_path: Path, before: str) -> None:
    """dask-jobqueue creates a file with only comments when it is first imported."""
    file = tmp_path / "jobqueue.yaml"
    file.write_text(before)
    assert write(file, "a\n", force=False) == "replaced"


def test_keeps_file_in_other_encoding(tmp_path: Path) -> None:
    """A file that is not UTF-8 is not overwritten, like any other that differs."""
    file = tmp_path / "jobqueue.yaml"
    file.write_bytes(b"name: \xff\n")
    with pytest.raises(RequestError, match="name: "):
        write(file, "a\n", force=False)
    assert file.read_bytes() == b"name: \xff\n"


def test_difference_is_short_and_labelled(tmp_path: Path) -> None:
    """The difference has one line around each change, from the existing file to the new one."""
    file = tmp_path / "jobqueue.yaml"
    file.write_text("1\n2\n3\n4\n5\n")
    with pytest.raises(RequestError) as refused:
        write(file, "1\n2\nthree\n4\n5\n", force=False)
    shown = refused.value.message.splitlines()
    start = shown.index(f"--- {file}")
    assert shown[start : start + 7] == [f"--- {file}", "+++ this site", "@@ -2,3 +2,3 @@", " 2", "-3", "+three", " 4"]


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The existing file is unchanged, and no partial file is left beside it."""
    file = tmp_path / "jobqueue.yaml"
    file.write_text("old: 1\n")

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResultsError, match="No space left"):
        write(file, "new: 1\n", force=True)
    assert file.read_text() == "old: 1\n"
    assert list(tmp_path.iterdir()) == [file]
