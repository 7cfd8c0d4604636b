"""Time that Dask takes for a task that does nothing, with many of them on all workers."""

from __future__ import annotations

from time import perf_counter

from distributed import Client, LocalCluster, wait


def nothing(number: int) -> int:
    """Return the number."""
    return number


def seconds(client: Client, tasks: int) -> float:
    """Return how long all tasks take; new keys each time, so that no result is there already."""
    start = perf_counter()
    wait(client.map(nothing, range(tasks), pure=False))
    return perf_counter() - start


def main(client: Client, tasks: int = 500, repeats: int = 5) -> dict[str, float]:
    """Time tasks that do nothing; the best of some repeats counts.

    Args:
        client: of a Dask cluster.
        tasks: Tasks at once.
        repeats: How often.
    """
    seconds(client, tasks)  # the first ones open connections: that is not timed
    best = min(seconds(client, tasks) for _ in range(repeats))
    answers = client.gather(client.map(nothing, range(tasks), pure=False))
    assert answers == list(range(tasks))
    return {"per_task": best / tasks, "workers": len(client.nthreads())}


if __name__ == "__main__":
    # threads of this process: no port takes work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        print(f"a task: {main(client)['per_task'] * 1e3:.3f} ms")
