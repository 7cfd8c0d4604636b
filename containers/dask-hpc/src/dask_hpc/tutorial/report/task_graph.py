"""Lay out a task graph in layers: every task is right of its dependencies, and few lines cross.

No library is used, because they draw the workloads' graphs the same, and denser ones (64 to 108 tasks) 1.4 to 2.2 times
as high: grandalf (1.4 MB with pyparsing) with as many crossings or more, fast-sugiyama (0.7 MB) with other layers,
igraph (17 MB) with more crossings; networkx (17 MB) does not order layers. Their lines do cross fewer other tasks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from dask_hpc.errors import WorkloadError

_MOST_TASKS = 150  # more cannot be told apart on a page
_MOST_IN_A_LAYER = 40
_SWEEPS = 4

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A task, or `count` tasks of one function: `layer` counts from the left, `place` is its centre in the layer."""

    name: str
    layer: int
    place: float
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Nodes, edges as pairs of their indices, the height of the highest layer, and a sentence about the graph."""

    nodes: Sequence[Node] = ()
    edges: Sequence[tuple[int, int]] = ()
    height: int = 0
    sentence: str = ""


def dependencies(graph: Any) -> dict[Hashable, set[Hashable]]:
    """Return the dependencies of each task of a Dask collection, or of several.

    Raises:
        WorkloadError: an object is not a Dask collection.
    """
    from dask.base import is_dask_collection
    from dask.core import get_dependencies

    tasks: dict[Hashable, object] = {}
    for collection in graph if isinstance(graph, list | tuple) else [graph]:
        if not is_dask_collection(collection):
            raise WorkloadError(
                f"A {type(collection).__name__} has no task graph to draw.", todo="pass a Dask collection to Outcome."
            )
        tasks |= dict(collection.__dask_graph__())
    return {key: get_dependencies(tasks, key) & tasks.keys() - {key} for key in tasks}


def lay_out(graph: Mapping[Key, AbstractSet[Key]]) -> Layout:
    """Lay out a graph; if it is too large to read, one node stands for all tasks of a function in a layer.

    Args:
        graph: each task's dependencies.
    """
    from dask.utils import key_split

    layers = _layers(graph)
    names = {key: str(key_split(key)) for key in graph}
    order = {key: number for number, key in enumerate(graph)}
    # the order of a set of strings differs between processes, and pages should not
    edges = [(need, key) for key, needs in graph.items() for need in sorted(needs, key=order.__getitem__)]
    tasks = f"{len(graph)} task{'s' * (len(graph) != 1)} and {len(edges)} dependenc{'y' if len(edges) == 1 else 'ies'}"
    if len(graph) <= _MOST_TASKS and _height(layers) <= _MOST_IN_A_LAYER:
        sentence = f"The graph has {tasks}; data flows from left to right."
        return _laid_out(layers, names, dict.fromkeys(graph, 1), edges=edges, sentence=sentence)
    groups = {key: (layers[key], names[key]) for key in graph}
    counts = Counter(groups.values())
    return _laid_out(
        {group: group[0] for group in counts},
        {group: group[1] for group in counts},
        counts,
        edges=sorted({(groups[need], groups[key]) for need, key in edges}),
        sentence=f"The graph has {tasks}, too many to tell apart. Each circle stands for all tasks of a function "
        "that are equally far from the start. Data flows from left to right.",
    )


def _layers(graph: Mapping[Key, AbstractSet[Key]]) -> dict[Key, int]:
    """Return the length of the longest path to each task."""
    layers: dict[Key, int] = {}
    for key in TopologicalSorter(graph).static_order():
        layers[key] = max((layers[need] + 1 for need in graph[key]), default=0)
    return {key: layers[key] for key in graph}


def _height(layers: Mapping[Key, int]) -> int:
    return max(Counter(layers.values()).values(), default=0)


def _laid_out(
    layers: Mapping[Key, int],
    names: Mapping[Key, str],
    counts: Mapping[Key, int],
    *,
    edges: Sequence[tuple[Key, Key]],
    sentence: str,
) -> Layout:
    places = _places(layers, edges)
    number = {key: index for index, key in enumerate(layers)}
    return Layout(
        nodes=[Node(name=names[key], layer=layers[key], place=places[key], count=counts[key]) for key in layers],
        edges=[(number[need], number[key]) for need, key in edges],
        height=_height(layers),
        sentence=sentence,
    )


def _places(layers: Mapping[Key, int], edges: Sequence[tuple[Key, Key]]) -> dict[Key, float]:
    """Order each layer by the mean place of its tasks' neighbours, forwards and backwards; centre the layers."""
    columns: dict[int, list[Key]] = defaultdict(list)
    for key, layer in layers.items():
        columns[layer].append(key)
    needs: dict[Key, list[Key]] = defaultdict(list)
    users: dict[Key, list[Key]] = defaultdict(list)
    for need, key in edges:
        needs[key].append(need)
        users[need].append(key)
    places: dict[Key, float] = {}
    for column in columns.values():
        _spread(column, places)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        neighbours = needs if forwards else users
        for layer in sorted(columns, reverse=not forwards):
            means = {key: _mean(neighbours[key], places, otherwise=places[key]) for key in columns[layer]}
            columns[layer].sort(key=means.__getitem__)
            _spread(columns[layer], places)
    return places


def _spread(column: Sequence[Key], places: MutableMapping[Key, float]) -> None:
    for index, key in enumerate(column):
        places[key] = index - (len(column) - 1) / 2


def _mean(keys: Sequence[Key], places: Mapping[Key, float], *, otherwise: float) -> float:
    return sum(places[key] for key in keys) / len(keys) if keys else otherwise
