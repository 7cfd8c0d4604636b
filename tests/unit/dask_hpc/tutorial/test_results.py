"""The results folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dask_hpc.clusters.facts import ClusterFacts
from dask_hpc.errors import ResultsError, WorkloadError
from dask_hpc.identity import Identity
from dask_hpc.tutorial.results import SCHEMA, Check, Result, Store, load, make

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


def result(store: Store, **changed: Any) -> Result:
    fields: dict[str, Any] = {
        "workload": "w", "summary": "W.", "started": "2026-01-01T00:00:00+00:00", "ok": True, "size": "default",
        "parameters": {"n": 3}, "values": {"x": 1.5}, "timings": {}, "checks": [Check("c", True)], "notes": [],
        "table": {"columns": ["a"], "rows": [["1"]]}, "pictures": [], "environment": Identity(), "versions": {},
        "cluster": ClusterFacts(kind="local", workers=1, threads=1, nodes=["here"], tls=False), "folder": str(store.folder),
    }  # fmt: skip
    return make(**fields | changed)


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
    kept = result(store)
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
        store.keep(result(store))
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


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1])
def test_rejects_other_schema(tmp_path: Path, schema: int) -> None:
    """A result of an earlier or later version is rejected, whatever else is in it."""
    file = tmp_path / "result.json"
    file.write_text(f'{{"schema": {schema}, "something": "else"}}')
    with pytest.raises(ResultsError, match=f"has schema {schema}; this dask-hpc reads {SCHEMA}"):
        load(file)


@pytest.mark.parametrize("change", [{}, {"unknown": 1}, {"timings": {"total": "long"}}, {"checks": [{"name": "c"}]}])
def test_rejects_invalid_result(tmp_path: Path, change: dict[str, Any]) -> None:
    """A missing, unknown or mistyped field is rejected with what was expected."""
    store = Store(tmp_path, "w")
    good = msgspec.to_builtins(result(store))
    file = tmp_path / "result.json"
    file.write_bytes(msgspec.json.encode(good | change if change else {"schema": SCHEMA}))
    with pytest.raises(ResultsError, match=r"is not a result\.\n(Object|Expected)"):
        load(file)


def test_converts_numpy_numbers(tmp_path: Path) -> None:
    """NumPy's numbers become Python's own, and NaN becomes no value."""
    values = {"x": np.float32(0.5), "n": np.int64(3), "yes": np.True_, "nan": np.float64("nan")}
    kept = result(Store(tmp_path, "w"), values=values, timings={"t": np.float64(1.0)}, parameters={"f": tmp_path})
    assert kept.values == {"x": 0.5, "n": 3, "yes": True, "nan": None}
    assert kept.timings == {"t": 1.0}
    assert kept.parameters == {"f": str(tmp_path)}


@pytest.mark.parametrize("wrong", [{"values": {"z": 1j}}, {"values": {"a": np.ones(3)}}, {"timings": {"t": None}}])
def test_rejects_values_that_json_cannot_hold(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """A value that result.json cannot hold is an error that names the workload."""
    with pytest.raises(WorkloadError, match="w gave a result that cannot be kept"):
        result(Store(tmp_path, "w"), **wrong)
