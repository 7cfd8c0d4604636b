"""Scripts without checks: the returned value is the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from dask_hpc.tutorial.returned import unchecked


@dataclass
class Found:
    """A result."""

    pi: float
    counts: list[int]


class Pair(NamedTuple):
    """A result."""

    mean: np.float64
    ok: bool


@pytest.mark.parametrize(
    ("returned", "values"),
    [
        (None, {}),
        (3, {"result": 3}),
        ("done", {"result": "done"}),
        (np.float64(0.5), {"result": 0.5}),
        ({"a": 1, "b": np.int64(2), "c": [1, 2]}, {"a": 1, "b": 2}),
        (Found(3.1, [1]), {"pi": 3.1}),
        (Pair(np.float64(2), True), {"mean": 2.0, "ok": True}),
        (np.ones((3, 3)), {}),
    ],
)
def test_plain_values_are_for_programs(returned: object, values: dict[str, Any]) -> None:
    """Numbers, strings and booleans, including NumPy's, are values; anything else is only in the table."""
    outcome = unchecked(lambda _client: returned).run(None)
    assert outcome.values == values
    assert all(type(value) in (int, float, str, bool) for value in outcome.values.values())
    assert len(outcome.rows) >= len(values)
    assert list(outcome.timings) == ["main"]
    assert outcome.checks == []


def test_table_shortens_long_values() -> None:
    """A large result takes one line."""
    ((_, text),) = unchecked(lambda _client: list(range(1000))).run(None).rows
    assert len(text) == 200
    assert text.endswith("…")
