"""Let every rank of a Dask cluster that MPI started say who it is, and pass a message round among the workers.

The tutorial's test of an MPI installation, `mpirun -n 5 python -m mpi4py.bench helloworld`, for a cluster that runs:
one rank is Dask's scheduler, one may be the client, all others are workers. A wrong launch gives as many worlds of
size 1 as there are ranks, in silence; here it fails.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from distributed import Client

from dask_hpc.collective import Ranks
from dask_hpc.mpi.launch import launch
from dask_hpc.tutorial import Bars, Check, Outcome, workload


def hello() -> dict[str, Any] | None:
    """Say who this process is in MPI; nothing if MPI has not started it."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized():
        return None
    found = launch()
    return {
        "rank": int(mpi.COMM_WORLD.rank),
        "size": int(mpi.COMM_WORLD.size),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "library": mpi.Get_library_version().split(",")[0].strip("\0 "),
        "launched": found.tasks if found else None,
    }


def ring(comm: Any, blocks: Any) -> list[int]:  # noqa: ARG001 (a collective on no data)
    """Pass a list from rank to rank, to which each adds itself; the last one sends it to all."""
    import numpy as np

    passed = np.full(comm.size, -1)
    if comm.rank > 0:
        comm.Recv(passed, comm.rank - 1)
    passed[comm.rank] = comm.rank
    if comm.rank < comm.size - 1:
        comm.Send(passed, comm.rank + 1)
    comm.Bcast(passed, root=comm.size - 1)
    return [int(number) for number in passed]


def checks(said: Sequence[dict[str, Any]], passed: Sequence[int], workers: int) -> list[Check]:
    """Compare what the ranks said with what was launched, and the ring with the number of workers."""
    size = said[0]["size"]
    ranks = sorted(one["rank"] for one in said)
    missing = sorted(set(range(size)) - set(ranks))
    sizes = sorted({one["size"] for one in said})
    launched = sorted({one["launched"] for one in said if one["launched"] is not None})
    libraries = sorted({one["library"] for one in said})
    return [
        Check("every rank once", ranks == list(range(size)), f"missing: {missing}" if missing else f"0 to {size - 1}"),
        Check("all in one world", len(sizes) == 1, f"of size {', '.join(map(str, sizes))}"),
        Check("the world as launched", launched in ([], [size]), f"launched: {launched or 'by hand'}"),
        Check("one MPI library", len(libraries) == 1, ", ".join(libraries)),
        Check("the ring is closed", list(passed) == list(range(workers)), " → ".join(map(str, passed))),
    ]


@workload(backends=frozenset({"mpi"}))
def mpi_hello(client: Client) -> Outcome:
    """Let every rank of a Dask cluster that MPI started say who it is, and pass a message round among the workers."""
    start = perf_counter()
    roles = {"client": hello(), "scheduler": client.run_on_scheduler(hello)}
    said = [(role, one) for role, one in roles.items() if one] + [
        ("worker", one) for one in client.run(hello).values() if one
    ]
    said.sort(key=lambda pair: int(pair[1]["rank"]))
    between = perf_counter()
    passed = client.gather(Ranks(client).run(ring))[0]
    timings = {"hello": between - start, "ring": perf_counter() - between}
    return report(said, passed, timings)


def report(said: Sequence[tuple[str, dict[str, Any]]], passed: Sequence[int], timings: dict[str, float]) -> Outcome:
    """Lay out who said what; `said` is (role, facts) by rank."""
    facts = [one for _, one in said]
    workers = sum(role == "worker" for role, _ in said)
    nodes = Counter(str(one["host"]) for one in facts)
    values = {"ranks": len(said), "size": facts[0]["size"], "workers": workers, "nodes": len(nodes)}
    rows = [[f"{one['rank']} of {one['size']}", role, one["host"], str(one["process"])] for role, one in said]
    outside = () if any(role == "client" for role, _ in said) else ("The client is no rank: it came by itself.",)
    return Outcome(
        values | {"library": facts[0]["library"]},
        timings,
        checks(facts, passed, workers),
        columns=("rank", "runs Dask's", "on", "process"),
        rows=rows,
        pictures=[Bars("Ranks on each node", "ranks", dict(nodes))],
        notes=[f"{facts[0]['library']}.", *outside],
    )
