"""Check local-cluster: the cluster is as requested, computes the same result, and leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import click
from dask.utils import format_bytes, parse_bytes
from distributed import Client
from distributed.system import MEMORY_LIMIT

from dask_hpc.tutorial import Bars, Check, Count, Memory, Need, Outcome, checks
from workloads.local_cluster import Found, main

PROCESS = 100 << 20  # bytes of an idle worker
FLOATS = 4  # arrays as long as a chunk that a task has at once: x, y and their squares; later ones are smaller
NOTES = (
    "The code is the same on this machine and on the run's Dask cluster: only the client differs.",
    "Dask leaves one folder in local_directory: dask-scratch-space, with two empty lock files. Workers remove their "
    "folders in it when they exit; here local_directory is temporary, and is removed, too.",
    "Without security=True, every user of this machine can run anything in your name through LocalCluster's ports, "
    "even on 127.0.0.1. Its dashboard listens on every interface, port 8787, unless dashboard_address says otherwise; "
    "in this environment it is a socket that only you can open.",
)


class MemoryText(click.ParamType[str]):
    """An amount of memory, in the notation of `Memory`; the value is a text for Dask, such as 512MiB."""

    name = Memory.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the amount in MiB; raise a usage error if `Memory` rejects it."""
        return f"{Memory().convert(value, param, ctx)}MiB"


def memory(n_workers: int, threads_per_worker: int, samples: int, chunks: int, threads: int, **_: object) -> Need:
    """Estimate bytes: a chunk's arrays in every thread; our own workers run on the client's machine."""
    chunk = FLOATS * 8 * -(-samples // chunks)
    return Need(client=n_workers * (PROCESS + threads_per_worker * chunk), worker=threads * chunk)


def validate(samples: int, chunks: int, **_: object) -> None:
    """Refuse chunks that would be empty."""
    if chunks > samples:
        message = f"{chunks} chunks are more than {samples} samples: use at most {samples}."
        raise click.BadParameter(message, param_hint="'--chunks'")


@checks(
    types={
        "n_workers": Count(maximum=1000),
        "threads_per_worker": Count(maximum=1000),
        "memory_limit": MemoryText(),
        "samples": Count(maximum=10**12),
        "chunks": Count(maximum=100_000),
        "seed": Count(minimum=0),
    },
    validate=validate,
    sizes={"tutorial": {"n_workers": 2, "threads_per_worker": 36, "memory_limit": "64GB", "chunks": 72}},
    memory=memory,
    backends=frozenset({"local", "slurm"}),
)
def outcome(
    client: Client, n_workers: int, threads_per_worker: int, memory_limit: str, samples: int, chunks: int, seed: int
) -> Outcome:
    """Run the script, and look for processes, folders and ports that are left."""
    found = main(client, n_workers, threads_per_worker, memory_limit, samples, chunks, seed)
    answered = client.submit(abs, -1, pure=False).result() == 1
    same = found.given_pi == found.own_pi
    return Outcome(
        {"pi": found.own_pi, "left_processes": len(alive(found)), "left_folders": len(found.left)},
        found.seconds,
        [
            Check("both clusters give the same π", same, f"{found.given_pi:.7f} and {found.own_pi:.7f}"),
            Check("the given cluster's client still computes", answered),
            *own_checks(found, n_workers, threads_per_worker=threads_per_worker, memory_limit=memory_limit),
        ],
        columns=("", "given cluster", "own LocalCluster"),
        rows=table(found, len(client.nthreads())),
        pictures=(Bars("Time of each step", "s", found.seconds),),
        notes=NOTES,
    )


def own_checks(found: Found, n_workers: int, *, threads_per_worker: int, memory_limit: str) -> list[Check]:
    """Compare our own cluster with the options, and look for processes, folders and ports that are left."""
    asked = (threads_per_worker, min(parse_bytes(memory_limit), MEMORY_LIMIT))
    got = [(worker["nthreads"], worker["memory_limit"]) for worker in found.workers]
    return [
        Check(
            "workers, threads and memory are as requested",
            got == [asked] * n_workers,
            f"{len(got)} workers of {asked[0]} threads and {format_bytes(asked[1])}",
        ),
        Check("no process is left", not alive(found), f"{len(got)} workers exited"),
        Check("no worker's folder is left", not found.left, ", ".join(found.left) or "all removed"),
        Check("nothing listens at the scheduler's address", not answers(found.address), "connection refused"),
    ]


def alive(found: Found) -> list[int]:
    """Return the workers' processes that still run."""
    return [process for process in found.processes if Path("/proc", str(process)).exists()]


def answers(address: str) -> bool:
    """Return whether anything listens at Dask's address."""
    host, port = address.partition("://")[2].rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def table(found: Found, workers: int) -> list[list[str]]:
    """Return the table's rows, with a column for each cluster; `workers` is the given one's number."""
    given, *own = (f"{seconds:.3f} s" for seconds in found.seconds.values())
    return [
        ["π", f"{found.given_pi:.7f}", f"{found.own_pi:.7f}"],
        ["workers", str(workers), str(len(found.workers))],
        ["start, with a first task", "", own[0]],
        ["compute", given, own[1]],
        ["close", "", own[2]],
    ]
