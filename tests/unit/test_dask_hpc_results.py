"""The results folder: whole or not there, found unusable before the work, and read back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_hpc.errors import ResultsError
from dask_hpc.identity import Identity, environment
from dask_hpc.results import Check, ClusterFacts, Result, Store, load

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


def result(store: Store) -> Result:
    store.report.write_text("page")
    return Result(
        workload="w", started="2026-01-01T00:00:00+00:00", ok=True, parameters={"n": 3}, values={"x": 1.5}, timings={},
        checks=[Check("c", True)], cluster=ClusterFacts("local", 1, 1, ["here"], tls=False), environment=Identity(),
        versions={}, folder=str(store.folder),
    )  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, with the mount options that the test asks for."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", request.param, "none", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_result_is_read_back(tmp_path: Path) -> None:
    """What is kept is what comes back, at its own name and at `latest`."""
    store = Store(tmp_path, "w")
    kept = result(store)
    store.report.write_text('<link rel="shortcut icon" href=x>page')
    store.keep(kept)
    assert (store.folder / store.report.name).read_text() == "page"
    assert load(store.folder / "result.json") == kept
    assert load(tmp_path / "w" / "latest" / "result.json") == kept
    assert {path.name for path in (tmp_path / "w").iterdir()} == {store.folder.name, "latest"}


def test_latest_moves_on(tmp_path: Path) -> None:
    """After a second run `latest` is the second, and the first is still there."""
    stores = [Store(tmp_path, "w") for _ in range(2)]
    for store in stores:
        store.keep(result(store))
    assert (tmp_path / "w" / "latest").resolve() == stores[1].folder
    assert stores[0].folder.is_dir()


def test_nothing_is_visible_before_it_is_complete(tmp_path: Path) -> None:
    """While a run is going on its folder has a hidden name, and a discarded one leaves nothing."""
    store = Store(tmp_path, "w")
    assert not store.folder.exists()
    store.discard()
    assert list((tmp_path / "w").iterdir()) == []


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """A results folder that is a file is found out before anything runs."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="not writable"):
        Store(tmp_path / "file", "w")


@needs_root
@pytest.mark.parametrize("small", ["ro"], indirect=True)
def test_a_read_only_folder_is_refused(small: Path) -> None:
    """A read-only results folder is found out before anything runs, with the way out."""
    with pytest.raises(ResultsError, match="--results DIR"):
        Store(small, "w")


@needs_root
@pytest.mark.parametrize("small", ["size=64k"], indirect=True)
def test_a_full_folder_is_refused(small: Path) -> None:
    """A full disk is found out before anything runs, and nothing half-written stays on it."""
    with pytest.raises(ResultsError, match="full"):
        Store(small, "w")
    assert list((small / "w").iterdir()) == []


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A result of a later version is named as such rather than misread."""
    store = Store(tmp_path, "w")
    store.keep(result(store))
    file = store.folder / "result.json"
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(ResultsError, match="schema 2"):
        load(file)
    file.write_text("{}")
    with pytest.raises(ResultsError, match="not a result"):
        load(file)


def test_the_environment_says_what_it_is(tmp_path: Path) -> None:
    """The lock's identity is read where there is one; elsewhere it is empty, not an error."""
    file = tmp_path / "env.json"
    assert environment(file) == Identity()
    file.write_text('{"schema":1,"lock_sha256":"abc","channel":"local","drifted":true,"more":1}')
    assert environment(file) == Identity("abc", "local", True)
    file.write_text("banana")
    assert environment(file) == Identity()
