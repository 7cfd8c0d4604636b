"""Results of runs, as stored in `result.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dask_hpc.errors import ResultsError, WorkloadError
from dask_hpc.tutorial.results import SCHEMA, load
from tests.support.results import make_result


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1])
def test_rejects_other_schema(tmp_path: Path, schema: int) -> None:
    """A result of an earlier or later version is rejected, regardless of its other fields."""
    file = tmp_path / "result.json"
    file.write_text(f'{{"schema": {schema}, "something": "else"}}')
    with pytest.raises(ResultsError, match=f"has schema {schema}; this dask-hpc reads {SCHEMA}"):
        load(file)


@pytest.mark.parametrize("change", [{}, {"unknown": 1}, {"timings": {"total": "long"}}, {"checks": [{"name": "c"}]}])
def test_rejects_invalid_result(tmp_path: Path, change: dict[str, Any]) -> None:
    """A missing, unknown or mistyped field is rejected with what was expected."""
    good = msgspec.to_builtins(make_result(tmp_path))
    file = tmp_path / "result.json"
    file.write_bytes(msgspec.json.encode(good | change if change else {"schema": SCHEMA}))
    with pytest.raises(ResultsError, match=r"is not a result\.\n(Object|Expected)"):
        load(file)


def test_converts_numpy_numbers(tmp_path: Path) -> None:
    """NumPy's numbers become Python's own, and NaN becomes no value."""
    values = {"x": np.float32(0.5), "n": np.int64(3), "yes": np.True_, "nan": np.float64("nan")}
    kept = make_result(tmp_path, values=values, timings={"t": np.float64(1.0)}, parameters={"f": tmp_path})
    assert kept.values == {"x": 0.5, "n": 3, "yes": True, "nan": None}
    assert kept.timings == {"t": 1.0}
    assert kept.parameters == {"f": str(tmp_path)}


@pytest.mark.parametrize("wrong", [{"values": {"z": 1j}}, {"values": {"a": np.ones(3)}}, {"timings": {"t": None}}])
def test_rejects_values_that_json_cannot_hold(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """A value that result.json cannot hold is an error that names the workload."""
    with pytest.raises(WorkloadError, match="The result of w cannot be stored"):
        make_result(tmp_path, **wrong)
