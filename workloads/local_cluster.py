"""Start a Dask cluster on this machine, run the same code on it, and close it so that nothing is left.

The tutorial's "A local client": `LocalCluster(n_workers=…, threads_per_worker=…, memory_limit=…, local_directory=…)`.
Its last cell shuts the client down and then deletes `cluster`, a name of another section (`cluster_local` is meant).
That closes the scheduler only if the cell is run; `with` always closes it. Dask does not reserve `memory_limit`: a
worker near it spills to disk and pauses, and a worker above it is restarted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import dask.array as da
from distributed import Client, LocalCluster

# Other users of this machine can reach 127.0.0.1, too. The package cryptography makes the certificates that keep them
# out; without it, the workers are threads of this process, and no port accepts tasks.
secure = find_spec("cryptography") is not None


@dataclass(frozen=True)
class Found:
    """π from both clusters, facts about our own, the folders that it left, and the seconds of each step."""

    given_pi: float
    own_pi: float
    workers: list[dict[str, Any]]
    processes: list[int]
    address: str
    left: list[str]
    seconds: dict[str, float]


def estimate(client: Client, samples: int, chunks: int, seed: int) -> float:
    """Return the tutorial's π: 4 times the share of points in the unit square that are in the circle."""
    xy = da.random.default_rng(seed).uniform(size=(2, samples), chunks=(2, -(-samples // chunks)))
    in_circle = (xy**2).sum(axis=0) < 1
    return float(client.compute(4 * in_circle.mean()).result())


def start_cluster(folder: str, n_workers: int, *, threads_per_worker: int, memory_limit: str) -> LocalCluster:
    """Start the tutorial's LocalCluster, on the loopback interface; a `with` block closes it."""
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=threads_per_worker,
        # as threads, workers share this process's memory: with a limit, they would pause because of other data
        memory_limit=memory_limit if secure else 0,
        local_directory=folder,
        processes=secure,
        security=secure or None,
        dashboard_address="127.0.0.1:0",  # by default it listens on every interface
        worker_dashboard_address="127.0.0.1:0",
    )


def main(
    client: Client,
    n_workers: int = 2,
    threads_per_worker: int = 1,
    memory_limit: str = "512MiB",
    samples: int = 4_000_000,
    chunks: int = 8,
    seed: int = 42,
) -> Found:
    """Start a Dask cluster on this machine, run the same code on it, and close it so that nothing is left.

    The same samples, chunks and seed give the same π on both clusters, on any number of workers.

    Args:
        client: the client of a Dask cluster.
        n_workers: Worker processes.
        threads_per_worker: Threads per worker.
        memory_limit: Memory per worker; no limit if workers are threads.
        samples: Points to draw.
        chunks: Tasks to divide them into.
        seed: Seed of the random numbers.
    """
    estimate(client, 1, 1, seed)  # a worker's first task imports modules: that is not timed
    start = perf_counter()
    given_pi = estimate(client, samples, chunks, seed)
    seconds = {"given cluster": perf_counter() - start}
    start = perf_counter()
    with TemporaryDirectory(prefix="local-cluster-") as folder:
        ours = start_cluster(folder, n_workers, threads_per_worker=threads_per_worker, memory_limit=memory_limit)
        with ours, Client(ours, set_as_default=False) as own:
            estimate(own, 1, 1, seed)
            seconds["own cluster: start"] = perf_counter() - start
            start = perf_counter()
            own_pi = estimate(own, samples, chunks, seed)
            seconds["own cluster: compute"] = perf_counter() - start
            workers = list(own.scheduler_info(n_workers=-1)["workers"].values())
            processes = list(own.run(os.getpid).values())
            address = own.scheduler.address
            start = perf_counter()
        seconds["own cluster: close"] = perf_counter() - start
        left = [str(path) for path in Path(folder).rglob("*") if path.is_dir() and path.name != "dask-scratch-space"]
    return Found(given_pi, own_pi, workers, processes, address, left, seconds)


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        found = main(client)
        print(f"π is about {found.given_pi:.7f} on the given cluster, {found.own_pi:.7f} on our own")
        for step, time in found.seconds.items():
            print(f"{step}: {time:.3f} s")
        print(f"folders left behind: {', '.join(found.left) or 'none'}")
