"""Start a Dask cluster on this machine, run the same code on it, and close it so that nothing is left.

The tutorial's "A local client": `LocalCluster(n_workers=…, threads_per_worker=…, memory_limit=…, local_directory=…)`.
Its last cell shuts the client down and then deletes `cluster`, a name of another section (`cluster_local` is meant).
That closes the scheduler, but by hand and only if the cell is run; `with` closes it in any case. A `memory_limit` is no
memory that Dask takes: near it a worker spills and pauses, and above it is ended and started again.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import dask.array as da
from dask.utils import format_bytes
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT

from dask_hpc.tutorial import Bars, Check, Count, Memory, Need, Outcome, workload

PROCESS = 100 << 20  # bytes that a worker takes before it does anything
FLOATS = 4  # arrays as long as a chunk that a task has at once: x and y, their squares; what follows is smaller
NOTES = (
    "On this machine and on the Dask cluster that the run was given, the code is the same: only the client differs.",
    "Dask leaves one folder in local_directory: dask-scratch-space, with two empty lock files. The folders of workers "
    "in it go with the workers; here local_directory is a temporary one, which goes as well.",
    "Without security=True, every user of this machine can run anything in your name through LocalCluster's ports, "
    "even on 127.0.0.1. Its dashboard listens on every interface, port 8787, unless dashboard_address says otherwise; "
    "in this environment it is a socket that only you can open.",
)


@dataclass(frozen=True)
class Own:
    """What a cluster of our own was, and what is left of it; times in seconds."""

    pi: float
    workers: list[dict[str, Any]]
    alive: list[int]
    folders: list[str]
    listening: bool
    timings: dict[str, float]


def estimate(client: Client, samples: int, chunks: int, seed: int) -> float:
    """Return the tutorial's π: the share of points in the unit square that are in the circle, times 4."""
    xy = da.random.default_rng(seed).uniform(size=(2, samples), chunks=(2, -(-samples // chunks)))
    in_circle = (xy**2).sum(axis=0) < 1
    return float(client.compute(4 * in_circle.mean()).result())


@contextmanager
def own_cluster(n_workers: int, threads_per_worker: int, memory_limit: int, folder: str) -> Iterator[Client]:
    """Start the tutorial's LocalCluster on the loopback interface; nothing of it runs when the block ends."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            memory_limit=f"{memory_limit}MiB",
            local_directory=folder,
            host="127.0.0.1",
            security=True,  # other users of this machine reach 127.0.0.1 as well
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def run_on_own(settings: dict[str, int], sampling: tuple[int, int, int]) -> Own:
    """Compute on a LocalCluster, close it, and look for what is left."""
    timings, start = {}, perf_counter()
    with tempfile.TemporaryDirectory(prefix="local-cluster-") as folder:
        with own_cluster(**settings, folder=folder) as client:
            estimate(client, 1, 1, 0)
            timings["start"], start = perf_counter() - start, perf_counter()
            pi = estimate(client, *sampling)
            timings["compute"] = perf_counter() - start
            workers = list(client.scheduler_info(n_workers=-1)["workers"].values())
            processes, address = client.run(os.getpid).values(), client.scheduler.address
            start = perf_counter()
        timings["close"] = perf_counter() - start
        alive = [process for process in processes if Path("/proc", str(process)).exists()]
        folders = [str(path) for path in Path(folder).rglob("*") if path.is_dir() and path.name != "dask-scratch-space"]
        return Own(pi, workers, alive, folders, answers(address), timings)


def answers(address: str) -> bool:
    """Return whether anything listens at Dask's address."""
    host, port = address.partition("://")[2].rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def need(n_workers: int, threads_per_worker: int, samples: int, chunks: int, threads: int, **_: object) -> Need:
    """A chunk's arrays for every thread; the workers of our own count where the client is."""
    chunk = FLOATS * 8 * -(-samples // chunks)
    return Need(client=n_workers * (PROCESS + threads_per_worker * chunk), worker=threads * chunk)


def validate(samples: int, chunks: int, **_: object) -> None:
    """Refuse chunks that would be empty."""
    if chunks > samples:
        message = f"{chunks} chunks are more than {samples} samples: give at most as many."
        raise click.BadParameter(message, param_hint="'--chunks'")


@workload(
    click.option("--n-workers", type=Count(maximum=1000), default="2", show_default=True, help="Worker processes."),
    click.option(
        "--threads-per-worker", type=Count(maximum=1000), default="1", show_default=True, help="Threads of each."
    ),
    click.option("--memory-limit", type=Memory(), default="512MiB", show_default=True, help="Memory of each."),
    click.option("--samples", type=Count(maximum=10**12), default="4e6", show_default=True, help="Points to draw."),
    click.option("--chunks", type=Count(maximum=100_000), default="8", show_default=True, help="Tasks for them."),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    validate=validate,
    sizes={"tutorial": {"n_workers": 2, "threads_per_worker": 36, "memory_limit": "64GB", "chunks": 72}},
    memory=need,
    backends=frozenset({"local", "slurm"}),
)
def local_cluster(client: Client, samples: int, chunks: int, seed: int, **settings: int) -> Outcome:
    """Start a Dask cluster on this machine, run the same code on it, and close it so that nothing is left.

    The same samples, chunks and seed give the same π on both, on whatever number of workers.
    """
    estimate(client, 1, 1, seed)  # workers import what they need
    start = perf_counter()
    given = estimate(client, samples, chunks, seed)
    timings = {"given cluster": perf_counter() - start}
    own = run_on_own(settings, (samples, chunks, seed))
    answered = client.submit(abs, -1, pure=False).result() == 1
    timings |= {f"own cluster: {name}": time for name, time in own.timings.items()}
    return Outcome(
        {"pi": own.pi, "left_processes": len(own.alive), "left_folders": len(own.folders)},
        timings,
        [
            Check("the same code gives the same π on both", given == own.pi, f"{given:.7f} and {own.pi:.7f}"),
            Check("the client of the given cluster was not disturbed", answered, "it still computes"),
            *checks(own, settings),
        ],
        columns=("", "given cluster", "own LocalCluster"),
        rows=rows(given, own, timings, len(client.nthreads())),
        pictures=(Bars("Where the time went", "s", timings),),
        notes=NOTES,
    )


def checks(own: Own, settings: dict[str, int]) -> list[Check]:
    """Hold the cluster against what was asked for, and what is left of it against nothing."""
    asked = (settings["threads_per_worker"], min(settings["memory_limit"] << 20, MEMORY_LIMIT))
    got = [(worker["nthreads"], worker["memory_limit"]) for worker in own.workers]
    fits = got == [asked] * settings["n_workers"]
    return [
        Check(
            "workers, threads and memory are as asked for",
            fits,
            f"{len(got)} workers of {asked[0]} threads and {format_bytes(asked[1])}",
        ),
        Check("no process is left", not own.alive, f"{len(own.workers)} workers have ended"),
        Check("no worker's folder is left", not own.folders, ", ".join(own.folders) or "all removed"),
        Check("nothing listens at the scheduler's address", not own.listening, "connection refused"),
    ]


def rows(given: float, own: Own, timings: dict[str, float], workers: int) -> list[list[str]]:
    """Lay the two clusters out side by side."""
    return [
        ["π", f"{given:.7f}", f"{own.pi:.7f}"],
        ["workers", str(workers), str(len(own.workers))],
        ["start, with a first task", "", f"{own.timings['start']:.3f} s"],
        ["compute", f"{timings['given cluster']:.3f} s", f"{own.timings['compute']:.3f} s"],
        ["close", "", f"{own.timings['close']:.3f} s"],
    ]
