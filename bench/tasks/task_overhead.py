"""What Dask takes for a task that does nothing: how many seconds for many of them, on all workers."""

from __future__ import annotations

from time import perf_counter

import click
from distributed import Client, wait

from dask_hpc.tutorial import Check, Count, Outcome, workload


def nothing(number: int) -> int:
    """Return what it is given."""
    return number


def seconds(client: Client, tasks: int) -> float:
    """Return how long it takes until all have been done; new keys each time, so that none is there already."""
    start = perf_counter()
    wait(client.map(nothing, range(tasks), pure=False))
    return perf_counter() - start


@workload(
    click.option("--tasks", type=Count(maximum=10**6), default="500", show_default=True, help="Tasks at once."),
    click.option("--repeats", type=Count(maximum=1000), default="5", show_default=True, help="How often."),
)
def task_overhead(client: Client, tasks: int, repeats: int) -> Outcome:
    """Time tasks that do nothing; the best of some repeats counts."""
    seconds(client, tasks)
    found = [seconds(client, tasks) for _ in range(repeats)]
    per_task = min(found) / tasks
    answers = client.gather(client.map(nothing, range(tasks), pure=False))
    return Outcome(
        {"per_task": per_task, "workers": len(client.nthreads())},
        {f"repeat {number}": time for number, time in enumerate(found)},
        [Check("tasks give what they should", answers == list(range(tasks)), f"{tasks} tasks")],
        columns=("", ""),
        rows=[["a task", f"{per_task * 1e3:.3f} ms"]],
    )
