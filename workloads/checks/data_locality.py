"""Check data-locality: the numbers, the bytes that move in each way, and Dask's warnings.

The bytes are counted around the script's `measure`, one way at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dask
import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client

from dask_hpc.tutorial import Bars, Check, Count, Need, Outcome, Traffic, checks, traffic
from workloads.data_locality import FACTORS, WAYS, Way, dask_trace, measure, random_matrix

TALK = 256 << 10  # bytes allowed for Dask's own messages
LOCAL = ("delayed, local matrix", "submit, local matrix", "map of a lambda, local matrix")
SCATTERED = ("map of a lambda, scattered matrix", "map, scattered matrix")
MADE = "made on a worker"
NOTES = (
    "Bytes are the kernel's count for TCP connections. The client sends a local matrix inside the graph to the "
    "scheduler, which sends it on inside every task: three matrices reach the workers, regardless of how many left "
    "the client.",
    "submit sends one graph per call, so the matrix leaves the client three times; one dask.compute of three Delayed "
    "sends one graph, and the matrix once.",
    "scatter sends the matrix once; every worker gets one copy, regardless of the number of tasks. Use it if only the "
    "client has the data. If a worker can make or read the data, nothing needs to be sent.",
)


def memory(n: int, **_: object) -> Need:
    """Estimate bytes: a local matrix is in the client, its graph, the scheduler, and all tasks, maybe on one worker."""
    one = 8 * n * n
    return Need(client=10 * one, worker=10 * one)


@checks(
    types={"n": Count(maximum=30_000), "seed": Count(minimum=0)},
    sizes={"tutorial": {"n": 2048}},
    memory=memory,
)
def outcome(client: Client, n: int, seed: int) -> Outcome:
    """Run all six ways, count the bytes of each, and compare numbers, warnings and bytes with the expected ones."""
    matrix = random_matrix(n, seed)
    found: dict[str, Way] = {}
    moved: dict[str, Traffic] = {}
    for name in WAYS:
        measure(client, name, matrix[:2, :2], seed)  # a first call imports modules, as in `main`
    for name in WAYS:
        with traffic(client) as moved[name]:
            found[name] = measure(client, name, matrix, seed)
    expected = [dask_trace(matrix, c) for c in FACTORS]
    return Outcome(
        measured(found, moved),
        {name: way.seconds for name, way in found.items()},
        held(found, moved, expected, matrix.nbytes),
        columns=("", "warns", "client sends", "workers receive", "client receives", "time"),
        rows=[row(name, way, moved[name]) for name, way in found.items()],
        pictures=pictures(found, moved),
        graph=[dask.delayed(dask_trace)(dask.delayed(random_matrix)(n, seed), c) for c in FACTORS],
        notes=NOTES,
    )


def measured(found: Mapping[str, Way], moved: Mapping[str, Traffic]) -> dict[str, Any]:
    """Return the trace, all bytes and all warnings by name."""
    values: dict[str, Any] = {"trace": found[MADE].numbers[1]}
    for name, way in found.items():
        values[f"{name}: client sends"] = moved[name].sent
        values[f"{name}: workers receive"] = moved[name].into_workers
        values[f"{name}: client receives"] = moved[name].received
        values[f"{name}: warns"] = way.warned
    return values


def held(found: Mapping[str, Way], moved: Mapping[str, Traffic], expected: list[float], size: int) -> list[Check]:
    """Compare the numbers with NumPy's, and warnings and bytes with the expected ones; `size` is the matrix's bytes."""
    right = all(np.allclose(way.numbers, expected, rtol=1e-12, atol=0) for way in found.values())
    warned = {name for name, way in found.items() if way.warned}
    limit = parse_bytes(dask.config.get("distributed.admin.large-graph-warning-threshold"))
    should = set(LOCAL) if size > limit else set()
    sent = {name: one.sent for name, one in moved.items()}
    once = [sent[name] for name in SCATTERED]
    return [
        Check("every way gives NumPy's numbers", right, ", ".join(f"{number:.6f}" for number in expected)),
        Check(
            "Dask warns about large graphs if they contain a local matrix, and only then",
            warned == should,
            ", ".join(sorted(warned)) or f"no warning: {format_bytes(size)} are not above {format_bytes(limit)}",
        ),
        Check(
            "a local matrix is sent with every graph",
            all(sent[name] > size for name in LOCAL),
            ", ".join(f"{sent[name] / size:.1f} times" for name in LOCAL),
        ),
        Check(
            "scatter sends the matrix once",
            all(size < one < size + TALK for one in once),
            f"{once[0] / size:.2f} times",
        ),
        Check("a matrix made on a worker is not sent", sent[MADE] < TALK, format_bytes(sent[MADE])),
    ]


def row(name: str, way: Way, moved: Traffic) -> list[str]:
    """Return the table's row for one way."""
    counts = (moved.sent, moved.into_workers, moved.received)
    return [name, "yes" if way.warned else "no", *map(format_bytes, counts), f"{way.seconds:.3f} s"]


def pictures(found: Mapping[str, Way], moved: Mapping[str, Traffic]) -> tuple[Bars, Bars]:
    """Draw bytes and seconds, with a bar for each way."""
    return (
        Bars("Data sent by the client", "MiB", {name: one.sent / 2**20 for name, one in moved.items()}),
        Bars("Time", "s", {name: way.seconds for name, way in found.items()}),
    )
