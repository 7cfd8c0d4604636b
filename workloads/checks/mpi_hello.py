"""Check mpi-hello: every rank answers, in one world of the launched size, and the ring is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from distributed import Client

from dask_hpc.collective import Ranks
from dask_hpc.mpi.launch import launch
from dask_hpc.tutorial import Bars, Check, Outcome, checks
from workloads.mpi_hello import Said, ask, hello, ring


@checks(backends=frozenset({"mpi"}))
def outcome(client: Client) -> Outcome:
    """Ask all ranks, and run the ring as a collective that no lost rank can block."""
    start = perf_counter()
    said = ask(client, launched)
    between = perf_counter()
    passed = client.gather(Ranks(client).run(lambda comm, _: ring(comm)))[0]
    timings = {"hello": between - start, "ring": perf_counter() - between}
    return report(said, passed, timings)


def launched() -> dict[str, Any] | None:
    """Return this process's place in MPI and the number of launched tasks, or None if MPI is not initialized."""
    said = hello()
    if said is None:
        return None
    found = launch()
    return said | {"launched": found.tasks if found else None}


def world_checks(said: Sequence[dict[str, Any]], passed: Sequence[int], workers: int) -> list[Check]:
    """Compare the ranks' answers with the launch, and the ring with the number of workers."""
    size = said[0]["size"]
    ranks = sorted(one["rank"] for one in said)
    missing = sorted(set(range(size)) - set(ranks))
    sizes = sorted({one["size"] for one in said})
    tasks = sorted({one["launched"] for one in said if one["launched"] is not None})
    libraries = sorted({one["library"] for one in said})
    return [
        Check(
            "every rank answers once",
            ranks == list(range(size)),
            f"missing: {missing}" if missing else f"0 to {size - 1}",
        ),
        Check("all ranks are in one world", len(sizes) == 1, f"of size {', '.join(map(str, sizes))}"),
        Check("the world has the launched size", tasks in ([], [size]), f"launched: {tasks or 'without a launcher'}"),
        Check("all ranks use one MPI library", len(libraries) == 1, ", ".join(libraries)),
        Check("the ring is complete", list(passed) == list(range(workers)), " → ".join(map(str, passed))),
    ]


def report(said: Said, passed: Sequence[int], timings: dict[str, float]) -> Outcome:
    """Report each rank's answer; `said` is (role, facts) by rank."""
    facts = [one for _, one in said]
    workers = sum(role == "worker" for role, _ in said)
    nodes = Counter(str(one["host"]) for one in facts)
    values = {"ranks": len(said), "size": facts[0]["size"], "workers": workers, "nodes": len(nodes)}
    rows = [[f"{one['rank']} of {one['size']}", role, one["host"], str(one["process"])] for role, one in said]
    outside = () if any(role == "client" for role, _ in said) else ("The client is not a rank: it is outside MPI.",)
    return Outcome(
        values | {"library": facts[0]["library"]},
        timings,
        world_checks(facts, passed, workers),
        columns=("rank", "role", "host", "process"),
        rows=rows,
        pictures=[Bars("Ranks on each node", "ranks", dict(nodes))],
        notes=[f"{facts[0]['library']}.", *outside],
    )
