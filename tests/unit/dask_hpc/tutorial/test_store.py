"""The folder of one run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_hpc.errors import ResultsError
from dask_hpc.tutorial.results import load
from dask_hpc.tutorial.store import Store
from tests.support.results import make_result

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Mount a tmpfs with the test's options."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", request.param, "none", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_loads_kept_result(tmp_path: Path) -> None:
    """A kept result is read back under its own name and under `latest`."""
    store = Store(tmp_path, "w")
    kept = make_result(store.folder)
    store.add("report.html", lambda file: file.write_text("page"))
    store.keep(kept)
    assert (store.folder / "report.html").read_text() == "page"
    assert load(store.folder / "result.json") == kept
    assert load(tmp_path / "w" / "latest" / "result.json") == kept
    assert {path.name for path in (tmp_path / "w").iterdir()} == {store.folder.name, "latest"}


def test_latest_points_to_last_run(tmp_path: Path) -> None:
    """After a second run `latest` is the second, and the first is still there."""
    stores = [Store(tmp_path, "w") for _ in range(2)]
    for store in stores:
        store.keep(make_result(store.folder))
    assert (tmp_path / "w" / "latest").resolve() == stores[1].folder
    assert stores[0].folder.is_dir()


def test_hides_incomplete_results(tmp_path: Path) -> None:
    """A running workload's folder has a hidden name, and discarding it leaves nothing."""
    store = Store(tmp_path, "w")
    assert not store.folder.exists()
    store.discard()
    assert list((tmp_path / "w").iterdir()) == []


def test_rejects_file_as_results_folder(tmp_path: Path) -> None:
    """A results folder that is a file is rejected before anything runs."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="not writable"):
        Store(tmp_path / "file", "w")


@needs_root
@pytest.mark.parametrize("small", ["ro"], indirect=True)
def test_rejects_read_only_results_folder(small: Path) -> None:
    """A read-only results folder is rejected before anything runs, with what to do."""
    with pytest.raises(ResultsError, match="--results DIR"):
        Store(small, "w")


@needs_root
@pytest.mark.parametrize("small", ["size=64k"], indirect=True)
def test_rejects_full_results_folder(small: Path) -> None:
    """A full disk is detected before anything runs, and nothing partial stays on it."""
    with pytest.raises(ResultsError, match="full"):
        Store(small, "w")
    assert list((small / "w").iterdir()) == []
