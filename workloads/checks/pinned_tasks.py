"""Check pinned-tasks: every worker holds and computes what it should, and the results are NumPy's."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from distributed import Client

from dask_hpc.tutorial import Check, Count, Grid, Need, Outcome, checks
from workloads.pinned_tasks import Held, Run, main, random_matrix

NOTES = (
    "workers= pins a task to a worker. A key that exists is not computed again: the second np.min is the first one, "
    "and its workers= has no effect.",
    "The active memory manager runs every 2 s and drops all copies but one of data that no waiting task needs. So "
    "scatter(broadcast=True) keeps its copies only while the manager is stopped (dask/distributed issue 8657).",
    "Results do not depend on the copies: a task whose worker has lost its copy fetches the data again.",
)


def memory(n: int, **_: object) -> Need:
    """Estimate bytes: the client has both matrices, and what it sends; a worker has a copy of both."""
    return Need(client=4 * 8 * n * n, worker=3 * 8 * n * n)


@checks(
    types={"n": Count(maximum=30_000), "seed": Count(minimum=0)},
    sizes={"tutorial": {"n": 2048}},
    memory=memory,
    least_workers=2,
)
def outcome(client: Client, n: int, seed: int) -> Outcome:
    """Run the script, and compare the holders of each key with the expected ones."""
    hosts = client.run(socket.gethostname)
    with manager_restored(client):
        run = main(client, n, seed)
    names = {address: f"{number} ({hosts[address]})" for number, address in enumerate(run.addresses)}
    return Outcome(
        values(run, hosts),
        {"copies dropped": run.took},
        held(run, random_matrix(n, seed)),
        columns=("what", "key", "copies", "on worker"),
        rows=[[one.what, short(one.key), str(len(one.workers)), where(one, names)] for one in run.seen],
        pictures=(picture(run, names),),
        notes=NOTES,
    )


@contextmanager
def manager_restored(client: Client) -> Iterator[None]:
    """Restore the active memory manager's state, running or stopped."""
    was_running = client.amm.running()
    try:
        yield
    finally:
        if was_running:
            client.amm.start()
        else:
            client.amm.stop()


def values(run: Run, hosts: Mapping[str, str]) -> dict[str, float]:
    """Return the numbers by name."""
    return {
        "workers": len(hosts),
        "nodes": len(set(hosts.values())),
        "trace": float(run.results[0]),
        "copies_while_stopped": len(run.seen[-2].workers),
        "copies_with_manager": len(run.seen[-1].workers),
    }


def held(run: Run, matrix: np.ndarray) -> list[Check]:
    """Compare the holders of each key with the expected ones, and the results with NumPy's."""
    everywhere, alone, trace, largest, least, again, anew, kept, reduced_to = run.seen
    first = frozenset(run.addresses[:1])
    second = frozenset(run.addresses[1:2])
    expected = [np.trace(matrix), matrix.max(), matrix.min(), matrix.min(), matrix.min(), np.trace(matrix)]
    once = again.key == least.key and least.workers == again.workers == first
    return [
        Check("the memory manager is stopped", run.stopped, "client.amm.stop()"),
        Check("results are NumPy's", np.allclose(run.results, expected, rtol=1e-12), f"trace {run.results[0]:.6f}"),
        copies("broadcast=True: every worker has it", everywhere, len(run.addresses)),
        copies("without broadcast: one worker has it", alone, 1),
        Check(
            "a pinned task's result is on its worker", trace.workers == first and largest.workers == second, "0 and 1"
        ),
        Check("same call, same key: computed once, where it was first pinned", once, short(least.key)),
        Check("pure=False: another key, on its own worker", anew.key != least.key and anew.workers == second, ""),
        copies("while the manager is stopped, the copies stay", kept, len(run.addresses)),
        copies(f"while the manager runs, one stays ({run.took:.1f} s)", reduced_to, 1),
    ]


def copies(name: str, one: Held, expected: int) -> Check:
    """Check how many workers hold a key."""
    return Check(name, len(one.workers) == expected, f"{len(one.workers)} of {expected}")


def short(key: str) -> str:
    """Return a key with the first digits of its hash."""
    name, _, token = key.partition("-")
    return f"{name}-{token[:8]}"


def where(one: Held, names: Mapping[str, str]) -> str:
    """Return the workers that hold a key, by number and host."""
    return "all" if len(one.workers) == len(names) > 4 else ", ".join(sorted(names[address] for address in one.workers))


def picture(run: Run, names: Mapping[str, str]) -> Grid:
    """Draw which worker holds which key: a row per key, a column per worker."""
    cells = [[float(address in one.workers) for address in names] for one in run.seen]
    labels = [[name if address in one.workers else "" for address, name in names.items()] for one in run.seen]
    return Grid("Workers that hold each key", cells, x="workers", y="rows of the table", labels=labels)
