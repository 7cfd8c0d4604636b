"""Check dask-mpi: the squares, and that the workers together do not exceed Slurm's allocation."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dask.utils import format_bytes
from distributed import Client

from dask_hpc.slurm.allocation import Allocation
from dask_hpc.tutorial import Bars, Check, Count, Outcome, checks
from workloads.dask_mpi import main

Given = dict[str, int | None]


@checks(types={"n": Count(maximum=10**6)}, backends=frozenset({"mpi"}), sizes={"tutorial": {"n": 1000}})
def outcome(client: Client, n: int) -> Outcome:
    """Compute the squares, and compare the workers with the MPI world, and with Slurm's allocation on each node."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    said = client.run(given)
    squares = main(client, n)
    expected = sum_of_squares(n)
    busy = len(squares.computed)
    world = max(one["world"] for one in said.values())
    nodes = by_node(workers, said)
    held = [
        Check("the sum of squares is correct", squares.total == expected, f"{squares.total} and {expected}"),
        Check("every worker computed squares", busy == min(n, len(workers)), f"{busy} of {len(workers)}"),
        _all_ranks(len(workers), world, outside="mpi4py.MPI" not in sys.modules),
        *_shares(nodes),
    ]
    file = getattr(client, "scheduler_file", None)
    if address := scheduler_of(file):
        same = address == client.scheduler.address
        held.append(Check("the scheduler file has this scheduler's address", same, f"{address} in {file}"))
    hosts = {address: one["host"] for address, one in said.items()}
    timings = {"squares": squares.seconds}
    return report(nodes, squares.computed, workers, hosts=hosts, world=world, timings=timings, held=held)


def sum_of_squares(n: int) -> int:
    """Return 0² + 1² + … + (n-1)²."""
    return (n - 1) * n * (2 * n - 1) // 6


def given() -> dict[str, Any]:
    """Return, on a worker, its host, the size of its MPI world, and Slurm's variables."""
    mpi = sys.modules.get("mpi4py.MPI")
    return {
        "host": socket.gethostname(),
        "world": int(mpi.COMM_WORLD.size) if mpi and mpi.Is_initialized() else 0,
        "slurm": {name: os.environ[name] for name in os.environ if name.startswith("SLURM_")},
    }


def slurm_gave(slurm: Mapping[str, str]) -> Given:
    """Return a job's CPUs and bytes of memory on a node from Slurm's variables, or None where they are unset."""
    allocation = Allocation.from_environment(slurm)
    return {"cpus": allocation.cpus, "memory": allocation.memory << 20 if allocation.memory else None}


def by_node(workers: Mapping[str, Mapping[str, Any]], said: Mapping[str, Mapping[str, Any]]) -> dict[str, Given]:
    """Add up the workers' threads and memory on each node, next to the job's allocation there."""
    nodes: dict[str, Given] = {}
    for address, worker in workers.items():
        one = said[address]
        start: Given = {"workers": 0, "threads": 0, "limit": 0}
        node = nodes.setdefault(one["host"], start | slurm_gave(one["slurm"]))
        node["workers"] = (node["workers"] or 0) + 1
        node["threads"] = (node["threads"] or 0) + int(worker["nthreads"])
        node["limit"] = (node["limit"] or 0) + int(worker["memory_limit"])
    return nodes


def within(nodes: Mapping[str, Given], what: str, bound: str) -> bool:
    """Return whether `what` is at most `bound` on every node where Slurm set one."""
    return all((node[what] or 0) <= (most := node[bound] or 0) or not most for node in nodes.values())


def scheduler_of(file: str | None) -> str | None:
    """Return the scheduler's address from a scheduler file, or None without a file."""
    return str(json.loads(Path(file).read_text(encoding="utf-8"))["address"]) if file else None


def _all_ranks(workers: int, world: int, *, outside: bool) -> Check:
    """Compare the workers with the world: the scheduler is a rank, and so is a client that is not outside MPI."""
    others = 1 if outside else 2
    detail = f"{workers} of {world} ranks, {others} for the scheduler{'' if outside else ' and the client'}"
    return Check("every other rank is a worker", workers == world - others, detail)


def _shares(nodes: Mapping[str, Given]) -> list[Check]:
    threads = ", ".join(f"{name}: {node['threads']} of {node['cpus'] or '?'}" for name, node in sorted(nodes.items()))
    memory = ", ".join(
        f"{name}: {format_bytes(node['limit'])} of {format_bytes(node['memory']) if node['memory'] else '?'}"
        for name, node in sorted(nodes.items())
    )
    return [
        Check("threads do not exceed Slurm's allocation", within(nodes, "threads", "cpus"), threads),
        Check("memory does not exceed Slurm's allocation", within(nodes, "limit", "memory"), memory),
    ]


def report(
    nodes: Mapping[str, Given],
    squares: Mapping[str, int],
    workers: Mapping[str, Mapping[str, Any]],
    *,
    hosts: Mapping[str, str],
    world: int,
    timings: dict[str, float],
    held: list[Check],
) -> Outcome:
    """Report each worker's resources and squares."""
    rows = [
        [
            str(worker["name"]),
            hosts[address],
            str(worker["nthreads"]),
            format_bytes(worker["memory_limit"]),
            str(squares.get(address, 0)),
        ]
        for address, worker in sorted(workers.items(), key=lambda pair: str(pair[1]["name"]))
    ]
    values = {
        "workers": len(workers),
        "world": world,
        "nodes": len(nodes),
        "threads": sum(node["threads"] or 0 for node in nodes.values()),
        "memory": sum(node["limit"] or 0 for node in nodes.values()),
        "tasks_per_second": sum(squares.values()) / timings["squares"],
    }
    done = {str(worker["name"]): squares.get(address, 0) for address, worker in workers.items()}
    return Outcome(
        values,
        timings,
        held,
        columns=("worker", "host", "threads", "memory", "squares"),
        rows=rows,
        pictures=[Bars("Squares computed by each worker", "tasks", done)],
    )
