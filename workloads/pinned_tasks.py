"""Choose which worker computes and holds what: scatter to all, pinned tasks, purity, and Dask's memory manager.

The tutorial's "Manually operating with workers": addresses, `client.amm.stop()`, `client.scatter(…, broadcast=True)`,
`client.who_has`, `client.submit(…, workers=…)`. Its workers were two processes of one machine; here they may be on two
nodes. `client.scheduler_info()["workers"]` lists at most five workers in some versions of Dask, `n_workers=-1` lists
all. The tutorial's remark on the active memory manager is shown: it drops all copies but one within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import numpy as np
from distributed import Client, Future, LocalCluster, wait

PATIENCE = 60  # seconds for the memory manager, which runs every two


@dataclass(frozen=True)
class Held:
    """A key, what it stands for, and the addresses of the workers that held it when asked."""

    what: str
    key: str
    workers: frozenset[str]


@dataclass(frozen=True)
class Run:
    """The workers; the keys and their holders, in order; results; seconds until copies were dropped."""

    addresses: list[str]
    seen: list[Held]
    results: list[Any]
    took: float
    stopped: bool  # the memory manager, while tasks ran


def random_matrix(n: int, seed: int) -> np.ndarray:
    """Return n × n numbers in [0, 1), the same for the same seed."""
    return np.random.default_rng(seed).random((n, n))


def holders(client: Client, future: Future) -> frozenset[str]:
    """Return the addresses of the workers that hold a result."""
    return frozenset(client.who_has(future)[future.key])


def held(client: Client, what: str, future: Future) -> Held:
    """Wait for a future, and record which workers hold it."""
    with client.as_current():
        wait(future)
    return Held(what, future.key, holders(client, future))


def reduced(client: Client, future: Future) -> float:
    """Start the active memory manager; return the seconds until one copy is left, or until PATIENCE is over."""
    client.amm.start()
    start = monotonic()
    while len(holders(client, future)) > 1 and monotonic() - start < PATIENCE:
        sleep(0.02)  # Dask sends no event when a copy is dropped
    return monotonic() - start


def main(client: Client, n: int = 500, seed: int = 42) -> Run:
    """Choose which worker computes and holds what; then watch Dask's memory manager drop the copies.

    The numbers do not depend on the workers. Copies do: scatter makes one per worker.

    Args:
        client: the client of a Dask cluster.
        n: Rows of the matrices.
        seed: Seed of the random numbers.
    """
    client.amm.stop()  # or it drops the copies while tasks run
    stopped = not client.amm.running()
    addresses = list(client.scheduler_info(n_workers=-1)["workers"])
    future = client.scatter(random_matrix(n, seed), broadcast=True)
    alone = client.scatter(random_matrix(n, seed + 1))
    trace = client.submit(np.trace, future, workers=addresses[0])
    largest = client.submit(np.max, future, workers=addresses[1])
    least = client.submit(np.min, future, workers=addresses[0])
    least.result()
    again = client.submit(np.min, future, workers=addresses[1])
    anew = client.submit(np.min, future, workers=addresses[1], pure=False)
    seen = [
        held(client, "scatter(M, broadcast=True)", future),
        held(client, "scatter(N)", alone),
        held(client, "submit(np.trace, M, workers=0)", trace),
        held(client, "submit(np.max, M, workers=1)", largest),
        held(client, "submit(np.min, M, workers=0)", least),
        held(client, "submit(np.min, M, workers=1)", again),
        held(client, "the same with pure=False", anew),
        held(client, "M, after all these tasks", future),
    ]
    took = reduced(client, future)
    seen.append(held(client, "M, with the memory manager on", future))
    without = sorted(set(addresses) - seen[-1].workers)
    late = client.submit(np.trace, future, workers=without[:1], pure=False)
    return Run(addresses, seen, client.gather([trace, largest, least, again, anew, late]), took, stopped)


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, **loopback) as cluster,
        Client(cluster) as client,
    ):
        run = main(client)
    for one in run.seen:
        numbers = sorted(run.addresses.index(address) for address in one.workers)
        print(f"{one.what:<30} {one.key[:16]:<16} on workers {numbers}")
    print(f"The memory manager dropped the copies in {run.took:.1f} s; the trace of M is {run.results[0]:.6f}.")
