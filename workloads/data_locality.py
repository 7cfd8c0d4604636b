"""Bring a matrix and a function together in six ways, and count the bytes: c·tr(M) for three numbers c.

The tutorial's "Data locality and managing memory". Two of its sentences are wrong. `.result()` brings data to the
client, not to the scheduler. The lambda sends more than the text says: the matrix goes to the workers inside the
lambda, comes back inside three `Delayed`, and goes out again with their graph. `client.submit` on local data, which
the tutorial leaves out, is no better: it warns once per task. `dask-hpc run` counts the bytes; here workers are
threads.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster

FACTORS = (0.5, 1, 2)  # the tutorial's


@dataclass(frozen=True)
class Way:
    """The result of one way: the numbers, whether Dask warned, and the time in seconds."""

    numbers: list[float]
    warned: bool
    seconds: float


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
    """Put the matrix into three graphs of one task each."""
    return client.gather([client.submit(dask_trace, matrix, c) for c in FACTORS])


def on_worker(client: Client, matrix: np.ndarray, seed: int) -> Any:
    """Let a worker make the matrix, and put its future into the graph (cells 44 and 49)."""
    made = client.submit(random_matrix, len(matrix), seed)
    return dask.compute(*[dask.delayed(dask_trace)(made, c) for c in FACTORS])


def lambda_local(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Let workers make the graphs, with a function that contains the matrix (cell 54)."""
    mapped = client.map(lambda c: dask.delayed(dask_trace)(matrix, c), FACTORS)
    return dask.compute(*client.gather(mapped))


def lambda_scattered(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Do the same with a function that contains a future (cell 61)."""
    sent = client.scatter(matrix, broadcast=True, hash=False)  # a new key: Dask may still be releasing the last one
    mapped = client.map(lambda c: dask.delayed(dask_trace)(sent, c), FACTORS)
    return dask.compute(*client.gather(mapped))


def scattered(client: Client, matrix: np.ndarray, _seed: int) -> Any:
    """Map the function itself over the future, without the detour."""
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


def measure(client: Client, name: str, matrix: np.ndarray, seed: int) -> Way:
    """Run one way, and record its time and whether Dask warned."""
    with warnings.catch_warnings(record=True) as caught, client.as_current():
        warnings.simplefilter("always")
        start = perf_counter()
        numbers = list(WAYS[name](client, matrix, seed))
        seconds = perf_counter() - start
    warned = any("Sending large graph" in str(one.message) for one in caught)
    return Way(numbers, warned, seconds)


def main(client: Client, n: int = 1500, seed: int = 42) -> dict[str, Way]:
    """Bring a matrix and a function together in six ways, and measure the bytes that move and the time.

    The numbers do not depend on the workers. The bytes of scatter do: every worker gets a copy.

    Args:
        client: the client of a Dask cluster.
        n: Rows of the matrix.
        seed: Seed of the random numbers.
    """
    matrix = random_matrix(n, seed)
    for name in WAYS:
        measure(client, name, matrix[:2, :2], seed)  # a first call imports modules: that is not timed
    return {name: measure(client, name, matrix, seed) for name in WAYS}


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, processes=False, **loopback) as cluster, Client(cluster) as client:
        for name, way in main(client).items():
            warning = ", and Dask warns of a large graph" if way.warned else ""
            print(f"{name:>33}: {way.seconds:.3f} s{warning}")
