"""Measure Dask's time per task, with many tasks that do nothing."""

from __future__ import annotations

from time import perf_counter

from distributed import Client, LocalCluster, wait


def nothing(number: int) -> int:
    """Return the number."""
    return number


def seconds(client: Client, tasks: int) -> float:
    """Return the time for all tasks, with new keys, so that no result is cached."""
    start = perf_counter()
    wait(client.map(nothing, range(tasks), pure=False))
    return perf_counter() - start


def main(client: Client, tasks: int = 500, repeats: int = 5) -> dict[str, float]:
    """Time tasks that do nothing, and return the best of several repeats.

    Args:
        client: Client of a Dask cluster.
        tasks: Number of tasks per repeat.
        repeats: Number of repeats.
    """
    seconds(client, tasks)  # not timed: the first tasks open connections
    best = min(seconds(client, tasks) for _ in range(repeats))
    answers = client.gather(client.map(nothing, range(tasks), pure=False))
    assert answers == list(range(tasks))
    return {"per_task": best / tasks, "workers": len(client.nthreads())}


if __name__ == "__main__":
    # threads of this process, so that other users of this machine cannot submit tasks
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        print(f"a task: {main(client)['per_task'] * 1e3:.3f} ms")
