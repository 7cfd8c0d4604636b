"""Bring a matrix and a function together in six ways, and count the bytes: c·tr(M) for three numbers c.

The tutorial's "Data locality and managing memory": `dask.delayed` on a matrix of the client, `client.map` of a lambda
that makes a `Delayed`, `client.submit` on the worker, `client.scatter(…, broadcast=True)`. Two of its sentences are
wrong. `.result()` brings data to the client, not to the scheduler. And the lambda sends more than the text says: the
matrix goes to the workers inside the lambda, comes back inside three `Delayed`, and goes out again with their graph.
`client.submit` on local data, which the tutorial passes over, is no cure: it warns, too, and once a task.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import click
import dask
import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client

from dask_hpc.tutorial import Bars, Check, Count, Need, Outcome, Traffic, traffic, workload

FACTORS = (0.5, 1, 2)  # the tutorial's
WARNING = "Sending large graph"
TALK = 256 << 10  # bytes that Dask's own messages may take
NOTES = (
    "Bytes are the kernel's count for TCP connections. With a local matrix in the graph the client sends it to the "
    "scheduler, which sends it on inside every task: what reaches the workers is three matrices, whatever left the "
    "client.",
    "submit sends one graph a call, so the matrix leaves the client three times; one dask.compute of three Delayed "
    "sends one graph, and the matrix once.",
    "scatter sends the matrix once; every worker gets one copy, however many tasks use it. It pays where the data "
    "exists in the client alone. Where a worker can make or read the data, nothing needs to be sent at all.",
)


@dataclass(frozen=True)
class Way:
    """What one way of doing it gave: the numbers, whether Dask warned, what moved, and seconds."""

    numbers: list[float]
    warned: bool
    moved: Traffic
    time: float


def random_matrix(n: int, seed: int) -> np.ndarray:
    """Return n × n numbers in [0, 1), the same for the same seed."""
    return np.random.default_rng(seed).random((n, n))


def dask_trace(matrix: np.ndarray, parameter: float = 1) -> float:
    """Return the trace of a matrix times a number."""
    return float(parameter * np.trace(matrix))


def delayed_local(_client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Put the matrix into a graph of three tasks (cell 8)."""
    return dask.compute(*[dask.delayed(dask_trace)(matrix, c) for c in FACTORS])


def submit_local(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Put the matrix into three graphs of a task each."""
    return client.gather([client.submit(dask_trace, matrix, c) for c in FACTORS])


def on_worker(client: Client, matrix: np.ndarray, seed: int) -> Any:
    """Let a worker make the matrix, and name it in the graph (cells 44 and 49)."""
    made = client.submit(random_matrix, len(matrix), seed)
    return dask.compute(*[dask.delayed(dask_trace)(made, c) for c in FACTORS])


def lambda_local(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Let workers make the graphs, out of a function that has the matrix in it (cell 54)."""
    mapped = client.map(lambda c: dask.delayed(dask_trace)(matrix, c), FACTORS)
    return dask.compute(*client.gather(mapped))


def lambda_scattered(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Do the same with a name in the function (cell 61)."""
    sent = client.scatter(matrix, broadcast=True, hash=False)  # a new name: the last one may still be going
    mapped = client.map(lambda c: dask.delayed(dask_trace)(sent, c), FACTORS)
    return dask.compute(*client.gather(mapped))


def scattered(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Do it without the detour: map the function itself over the name."""
    sent = client.scatter(matrix, broadcast=True, hash=False)
    return client.gather(client.map(dask_trace, [sent] * len(FACTORS), FACTORS))


WAYS = {
    "delayed, local matrix": delayed_local,
    "submit, local matrix": submit_local,
    "made on a worker": on_worker,
    "map of a lambda, local matrix": lambda_local,
    "map of a lambda, scattered matrix": lambda_scattered,
    "map, scattered matrix": scattered,
}
LOCAL = ("delayed, local matrix", "submit, local matrix", "map of a lambda, local matrix")
SCATTERED = ("map of a lambda, scattered matrix", "map, scattered matrix")
MADE = "made on a worker"


def measure(client: Client, way: Callable[[Client, np.ndarray, int], Any], matrix: np.ndarray, seed: int) -> Way:
    """Go one way, and look at what it takes."""
    with warnings.catch_warnings(record=True) as caught, traffic(client) as moved:
        warnings.simplefilter("always")
        start = perf_counter()
        numbers = list(way(client, matrix, seed))
        time = perf_counter() - start
    return Way(numbers, any(WARNING in str(one.message) for one in caught), moved, time)


def need(n: int, **_: object) -> Need:
    """A local matrix is in the client, in its graph, in the scheduler and in every task; a worker may get all tasks."""
    one = 8 * n * n
    return Need(client=10 * one, worker=10 * one)


@workload(
    click.option("--n", type=Count(maximum=30_000), default="1500", show_default=True, help="Rows of the matrix."),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    sizes={"tutorial": {"n": 2048}},
    memory=need,
)
def data_locality(client: Client, n: int, seed: int) -> Outcome:
    """Bring a matrix and a function together in six ways, and count the bytes that move and the time.

    The numbers do not depend on the workers; scatter's bytes grow with them, since every worker gets a copy.
    """
    matrix = random_matrix(n, seed)
    with client.as_current():
        for way in WAYS.values():
            way(client, matrix[:2, :2], seed)  # a first call imports what later ones find there: not what is timed
        found = {name: measure(client, way, matrix, seed) for name, way in WAYS.items()}
    expected = [dask_trace(matrix, c) for c in FACTORS]
    return Outcome(
        measured(found),
        {name: way.time for name, way in found.items()},
        checks(found, expected, matrix.nbytes),
        columns=("", "warns", "client sends", "workers receive", "client receives", "time"),
        rows=[row(name, way) for name, way in found.items()],
        pictures=pictures(found),
        graph=[dask.delayed(dask_trace)(dask.delayed(random_matrix)(n, seed), c) for c in FACTORS],
        notes=NOTES,
    )


def measured(found: dict[str, Way]) -> dict[str, Any]:
    """Return all bytes by name."""
    values: dict[str, Any] = {"trace": found[MADE].numbers[1]}
    for name, way in found.items():
        values[f"{name}: client sends"] = way.moved.sent
        values[f"{name}: workers receive"] = way.moved.into_workers
        values[f"{name}: client receives"] = way.moved.received
        values[f"{name}: warns"] = way.warned
    return values


def checks(found: dict[str, Way], expected: list[float], size: int) -> list[Check]:
    """Hold the numbers against NumPy's, and warnings and bytes against where the matrix was; `size` is its bytes."""
    right = all(np.allclose(way.numbers, expected, rtol=1e-12, atol=0) for way in found.values())
    warned = {name for name, way in found.items() if way.warned}
    limit = parse_bytes(dask.config.get("distributed.admin.large-graph-warning-threshold"))
    should = set(LOCAL) if size > limit else set()
    sent = {name: way.moved.sent for name, way in found.items()}
    once = [sent[name] for name in SCATTERED]
    return [
        Check("every way gives NumPy's numbers", right, ", ".join(f"{number:.6f}" for number in expected)),
        Check(
            "Dask warns of a large graph where a local matrix is in it, and nowhere else",
            warned == should,
            ", ".join(sorted(warned)) or f"no warning: {format_bytes(size)} are not above {format_bytes(limit)}",
        ),
        Check(
            "a local matrix is sent with every graph",
            all(sent[name] > size for name in LOCAL),
            ", ".join(f"{sent[name] / size:.1f} times" for name in LOCAL),
        ),
        Check("scatter sends it once", all(size < one < size + TALK for one in once), f"{once[0] / size:.2f} times"),
        Check("made on a worker, it is not sent", sent[MADE] < TALK, format_bytes(sent[MADE])),
    ]


def row(name: str, way: Way) -> list[str]:
    """Lay out what one way took."""
    moved = (way.moved.sent, way.moved.into_workers, way.moved.received)
    return [name, "yes" if way.warned else "no", *map(format_bytes, moved), f"{way.time:.3f} s"]


def pictures(found: dict[str, Way]) -> tuple[Bars, Bars]:
    """Draw bytes and seconds, a bar for each way."""
    return (
        Bars("What the client sends", "MiB", {name: way.moved.sent / 2**20 for name, way in found.items()}),
        Bars("How long it takes", "s", {name: way.time for name, way in found.items()}),
    )
