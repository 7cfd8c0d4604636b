"""A task graph, laid out in layers: every task right of those that it needs, and few lines that cross."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask_hpc.errors import WorkloadError

__all__ = ["Drawing", "Node", "dependencies", "draw"]

_MOST_TASKS, _MOST_IN_A_LAYER = 150, 40  # more cannot be told apart on a page
_SWEEPS = 4

Graph = Mapping[Any, set[Any]]
"""By key, the keys that it needs."""


@dataclass(frozen=True)
class Node:
    """A task, or `count` tasks of one function: `layer` counts from the left, `place` is its centre in the layer."""

    name: str
    layer: int
    place: float
    count: int = 1


@dataclass(frozen=True)
class Drawing:
    """Nodes, edges between their numbers, how high the highest layer is, and a sentence about the whole."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[int, int]]
    height: int
    sentence: str


def dependencies(graph: Any) -> dict[Any, set[Any]]:
    """Return the tasks of a Dask collection, or of several, and what each needs.

    Raises:
        WorkloadError: it is no Dask collection.
    """
    from dask.base import is_dask_collection
    from dask.core import get_dependencies

    tasks: dict[Any, Any] = {}
    for collection in graph if isinstance(graph, list | tuple) else [graph]:
        if not is_dask_collection(collection):
            raise WorkloadError(
                f"A {type(collection).__name__} has no task graph to draw.", todo="give Outcome a Dask collection."
            )
        tasks |= dict(collection.__dask_graph__())
    return {key: get_dependencies(tasks, key) & tasks.keys() - {key} for key in tasks}


def draw(graph: Graph) -> Drawing:
    """Lay a graph out; one that is too large to be read gets one node for all tasks of a function in a layer."""
    from dask.utils import key_split

    layers = _layers(graph)
    names = {key: str(key_split(key)) for key in graph}
    edges = [(need, key) for key, needs in graph.items() for need in needs]
    tasks = f"{len(graph)} task{'s' * (len(graph) != 1)} and {len(edges)} dependenc{'y' if len(edges) == 1 else 'ies'}"
    if len(graph) <= _MOST_TASKS and max(Counter(layers.values()).values(), default=0) <= _MOST_IN_A_LAYER:
        sizes = dict.fromkeys(graph, 1)
        return _drawing(layers, names, sizes, edges, f"The graph has {tasks}; data flows from left to right.")
    group = {key: (layers[key], names[key]) for key in graph}
    sizes = dict(Counter(group.values()))
    return _drawing(
        {one: one[0] for one in sizes}, {one: one[1] for one in sizes}, sizes,
        sorted({(group[need], group[key]) for need, key in edges}),
        f"The graph has {tasks}, too many to tell apart: here a circle stands for all tasks of a function that are "
        "equally far from the start. Data flows from left to right.",
    )  # fmt: skip


def _layers(graph: Graph) -> dict[Any, int]:
    """Return for every task the length of the longest way to it."""
    waiting = {key: len(needs) for key, needs in graph.items()}
    users: dict[Any, list[Any]] = defaultdict(list)
    for key, needs in graph.items():
        for need in needs:
            users[need].append(key)
    layers = dict.fromkeys(graph, 0)
    ready = [key for key, count in waiting.items() if count == 0]
    for key in ready:  # grows while it is gone through
        for user in users[key]:
            layers[user] = max(layers[user], layers[key] + 1)
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return layers


def _drawing(
    layers: Mapping[Any, int], names: Mapping[Any, str], sizes: Mapping[Any, int],
    edges: Sequence[tuple[Any, Any]], sentence: str,
) -> Drawing:  # fmt: skip
    places = _places(layers, edges)
    number = {key: index for index, key in enumerate(layers)}
    nodes = [Node(names[key], layers[key], places[key], sizes[key]) for key in layers]
    height = max(Counter(layers.values()).values(), default=0)
    return Drawing(nodes, [(number[need], number[key]) for need, key in edges], height, sentence)


def _places(layers: Mapping[Any, int], edges: Sequence[tuple[Any, Any]]) -> dict[Hashable, float]:
    """Order each layer by where its tasks' neighbours are, there and back; centre the layers on each other."""
    columns: dict[int, list[Any]] = defaultdict(list)
    for key, layer in layers.items():
        columns[layer].append(key)
    neighbours: dict[bool, dict[Any, list[Any]]] = {True: defaultdict(list), False: defaultdict(list)}
    for need, key in edges:
        neighbours[True][key].append(need)
        neighbours[False][need].append(key)
    places: dict[Hashable, float] = {}
    for keys in columns.values():
        _spread(keys, places)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        for layer in sorted(columns, reverse=not forwards):
            columns[layer].sort(key=lambda key: _mean(neighbours[forwards][key], places, places[key]))
            _spread(columns[layer], places)
    return places


def _spread(keys: Sequence[Any], places: dict[Hashable, float]) -> None:
    for index, key in enumerate(keys):
        places[key] = index - (len(keys) - 1) / 2


def _mean(keys: Sequence[Any], places: Mapping[Hashable, float], otherwise: float) -> float:
    return sum(places[key] for key in keys) / len(keys) if keys else otherwise
