"""Run Dask clusters of kept jobs on a mini-cluster; print the measurement that the first argument names, as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client, as_completed

from dask_hpc import cluster

_POLL = 0.01  # seconds between looks at the workers: in the client's process, Dask announces no change of them


def waited(number: int, seconds: float) -> tuple[int, str, float]:
    """Wait; return the number, and the job and the time at which this is done."""
    time.sleep(seconds)  # the work: tasks that wait leave the cores to imports
    return number, os.environ["SLURM_JOB_ID"], time.time()


def replaced() -> dict[str, float]:
    """Cancel one of two jobs; return the seconds until a task is done in its replacement."""
    with cluster(on="slurm", jobs=2, cores=1, memory="400MiB", walltime="00:10:00") as dask_cluster:
        client = dask_cluster.client
        tasks = client.map(waited, range(2000), seconds=0.05, pure=False)
        first = jobs(client)
        cancelled = time.time()
        subprocess.run(["scancel", first[0]], check=True)
        for _, (_, job, done) in as_completed(tasks, with_results=True):
            if job not in first:
                return {"seconds": done - cancelled}
    raise TimeoutError("No other job has taken the place of the cancelled one.")


def worked(walltime: str, tasks: str) -> dict[str, float]:
    """Wait for a second in each task; return the total time, the replaced jobs and the longest lack of workers."""
    places = 2
    numbers = range(int(tasks))
    with cluster(on="slurm", jobs=places, cores=1, memory="400MiB", walltime=walltime) as dask_cluster:
        client = dask_cluster.client
        with _lacks(client, places) as lacks:
            start = time.monotonic()
            found = client.gather(client.map(waited, numbers, seconds=1, pure=False))
            seconds = time.monotonic() - start
    assert [number for number, *_ in found] == list(numbers)
    done_by = {job for _, job, _ in found}
    return {"seconds": seconds, "replaced": len(done_by) - places, "longest_lack": max(lacks, default=0.0)}


def many(count: str, cancelled: str) -> dict[str, float]:
    """Start many jobs of one worker each, cancel some, and end; return how long each of these takes."""
    clock = time.monotonic()
    with cluster(on="slurm", jobs=int(count), cores=1, memory="256MiB", walltime="00:10:00") as dask_cluster:
        started = time.monotonic() - clock
        client = dask_cluster.client
        gone = set(jobs(client)[: int(cancelled)])
        clock = time.monotonic()
        subprocess.run(["scancel", *gone], check=True)
        while len(here := jobs(client)) < int(count) or gone & set(here):
            time.sleep(_POLL)
        back = time.monotonic() - clock
        numbers = client.gather(client.map(waited, range(4 * int(count)), seconds=0.1, pure=False))
        assert [number for number, *_ in numbers] == list(range(4 * int(count)))
        clock = time.monotonic()
    while subprocess.run(["squeue", "--noheader"], check=True, capture_output=True, text=True).stdout:
        time.sleep(_POLL)
    return {"started": started, "replaced": back, "ended": time.monotonic() - clock}


def jobs(client: Client) -> list[str]:
    """Return the numbers of the jobs that have a worker."""

    def number() -> str:
        return os.environ["SLURM_JOB_ID"]

    return list(client.run(number, on_error="ignore").values())


@contextmanager
def _lacks(client: Client, places: int) -> Iterator[list[float]]:
    """Collect how long there were fewer running workers than places, each time."""
    found: list[float] = []
    scheduler: Any = client.cluster.scheduler  # it runs in this process
    end = threading.Event()

    def watch() -> None:
        since = None
        while not end.wait(_POLL):
            if len(scheduler.running) >= places:
                since = None
            elif since is None:
                since = time.monotonic()
                found.append(0.0)
            else:
                found[-1] = time.monotonic() - since

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        end.set()
        watching.join()


_MEASURES: dict[str, Callable[..., dict[str, float]]] = {"replaced": replaced, "worked": worked, "many": many}

if __name__ == "__main__":
    measured = _MEASURES[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(measured))
