"""The layout of task graphs."""

from __future__ import annotations

from collections import Counter

import dask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.errors import WorkloadError
from dask_hpc.tutorial.report.task_graph import dependencies, lay_out


def square(x: int) -> int:
    return x * x


def three_squares() -> dask.delayed.Delayed:
    return dask.delayed(sum)([dask.delayed(square)(number) for number in range(3)])


def test_reads_delayed_graph() -> None:
    """Three squares and their sum are four tasks, and the sum needs the squares."""
    found = dependencies(three_squares())
    names = Counter(str(key).split("-")[0] for key in found)
    assert names == {"square": 3, "sum": 1}
    assert sorted(map(len, found.values())) == [0, 0, 0, 3]


def test_reads_arrays_and_lists() -> None:
    """A Dask array has a graph, and several collections are drawn as one."""
    import dask.array as da

    array = da.ones((4, 4), chunks=2).sum()
    assert len(dependencies(array)) >= 5
    assert len(dependencies([three_squares(), three_squares()])) == 8


def test_rejects_other_objects() -> None:
    """An object that is not a Dask collection is rejected, and the error names its type."""
    with pytest.raises(WorkloadError, match="dict has no task graph"):
        dependencies({"a": 1})


def test_places_squares_left_of_sum() -> None:
    """Two layers: the squares above each other, and the sum beside their middle."""
    layout = lay_out(dependencies(three_squares()))
    assert sorted((node.name, node.layer, node.place, node.count) for node in layout.nodes) == [
        ("square", 0, -1.0, 1),
        ("square", 0, 0.0, 1),
        ("square", 0, 1.0, 1),
        ("sum", 1, 0.0, 1),
    ]
    assert len(layout.edges) == 3
    assert layout.height == 3
    assert layout.sentence.startswith("The graph has 4 tasks and 3 dependencies")


def test_avoids_crossing_lines() -> None:
    """Two chains in crossed order are laid out side by side."""
    layout = lay_out({"a": set(), "b": set(), "d": {"b"}, "c": {"a"}, "f": {"d"}, "e": {"c"}})
    assert all(layout.nodes[start].place == layout.nodes[stop].place for start, stop in layout.edges)


def test_summarises_large_graph() -> None:
    """A thousand tasks of one function are drawn as one circle."""
    graph: dict[str, set[str]] = {f"draw-{number:04x}": set() for number in range(1000)}
    graph["sum-0"] = set(graph)
    layout = lay_out(graph)
    assert [(node.name, node.count) for node in layout.nodes] == [("draw", 1000), ("sum", 1)]
    assert layout.edges == [(0, 1)]
    assert "1001 tasks and 1000 dependencies" in layout.sentence


def test_draws_empty_graph() -> None:
    """An empty graph has no nodes and raises no error."""
    assert lay_out({}).nodes == []


@given(st.lists(st.sets(st.integers(0, 30), max_size=4), max_size=31))
def test_places_every_task_right_of_dependencies(drawn: list[set[int]]) -> None:
    """In any graph, edges go to the right, and no two tasks share a place."""
    graph = {key: {need for need in needs if need < key} for key, needs in enumerate(drawn)}
    layout = lay_out(graph)
    assert all(layout.nodes[start].layer < layout.nodes[stop].layer for start, stop in layout.edges)
    places = {(node.layer, node.place) for node in layout.nodes}
    assert len(places) == len(layout.nodes) == len(graph)
