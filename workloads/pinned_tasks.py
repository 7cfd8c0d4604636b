"""Say which worker does what, and see who has what: scatter to all, pinned tasks, purity, and Dask's memory manager.

The tutorial's "Manually operating with workers": addresses, `client.amm.stop()`, `client.scatter(…, broadcast=True)`,
`client.who_has`, `client.submit(…, workers=…)`. Its workers were two processes of one machine; here they may be on two
nodes. `client.scheduler_info()["workers"]` lists five workers at most in some versions of Dask, `n_workers=-1` lists
all. What the tutorial says of the active memory manager is shown: with it, all copies but one go within seconds.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import click
import numpy as np
from distributed import Client, Future, wait

from dask_hpc.tutorial import Check, Count, Grid, Need, Outcome, workload

PATIENCE = 60  # seconds for the memory manager, which looks every two
SCATTERED, ALONE = "scatter(M, broadcast=True)", "scatter(N)"
NOTES = (
    "workers= binds a task to a worker. A key that exists is not computed again: the second np.min is the first one, "
    "and its workers= says nothing.",
    "The active memory manager looks every 2 s and drops all copies but one of what no waiting task needs. So "
    "scatter(broadcast=True) keeps its copies only while the manager is stopped (dask/distributed issue 8657).",
    "Results do not need the copies: a task whose worker has lost its copy fetches the data again.",
)


@dataclass(frozen=True)
class Held:
    """A key, what it is, and the addresses of the workers that had it when they were asked."""

    what: str
    key: str
    workers: frozenset[str]


@dataclass(frozen=True)
class Run:
    """Who had what, in the order in which it was asked; results; seconds until the copies were dropped."""

    seen: list[Held]
    results: list[Any]
    took: float


def random_matrix(n: int, seed: int) -> np.ndarray:
    """Return n × n numbers in [0, 1), the same for the same seed."""
    return np.random.default_rng(seed).random((n, n))


def holders(client: Client, future: Future) -> frozenset[str]:
    """Return the addresses of the workers that have a result."""
    return frozenset(client.who_has(future)[future.key])


def held(client: Client, what: str, future: Future) -> Held:
    """Wait for a future, and note who has it."""
    wait(future)
    return Held(what, future.key, holders(client, future))


def pinned(client: Client, addresses: Sequence[str], matrix: np.ndarray, other: np.ndarray) -> Run:
    """Scatter, pin tasks to the first two workers, ask twice for the same; then let the memory manager look."""
    future = client.scatter(matrix, broadcast=True)
    alone = client.scatter(other)
    trace = client.submit(np.trace, future, workers=addresses[0])
    largest = client.submit(np.max, future, workers=addresses[1])
    least = client.submit(np.min, future, workers=addresses[0])
    wait(least)
    again = client.submit(np.min, future, workers=addresses[1])
    anew = client.submit(np.min, future, workers=addresses[1], pure=False)
    seen = [
        held(client, SCATTERED, future),
        held(client, ALONE, alone),
        held(client, "submit(np.trace, M, workers=0)", trace),
        held(client, "submit(np.max, M, workers=1)", largest),
        held(client, "submit(np.min, M, workers=0)", least),
        held(client, "submit(np.min, M, workers=1)", again),
        held(client, "the same with pure=False", anew),
        held(client, "M, after all these tasks", future),
    ]
    took = reduced(client, future)
    seen.append(held(client, "M, with the memory manager on", future))
    late = client.submit(np.trace, future, workers=sorted(set(addresses) - seen[-1].workers)[:1], pure=False)
    return Run(seen, client.gather([trace, largest, least, again, anew, late]), took)


def reduced(client: Client, future: Future) -> float:
    """Start the active memory manager; return how many seconds it took until there was one copy, or PATIENCE."""
    client.amm.start()
    start = monotonic()
    while len(holders(client, future)) > 1 and monotonic() - start < PATIENCE:
        sleep(0.02)  # Dask tells nobody when a copy goes
    return monotonic() - start


@contextmanager
def manager_stopped(client: Client) -> Iterator[None]:
    """Stop the active memory manager, and leave it afterwards as it was."""
    was_running = client.amm.running()
    client.amm.stop()
    try:
        yield
    finally:
        if was_running:
            client.amm.start()
        else:
            client.amm.stop()


def need(n: int, **_: object) -> Need:
    """The client has both matrices, and what it sends; a worker has a copy of both."""
    return Need(client=4 * 8 * n * n, worker=3 * 8 * n * n)


@workload(
    click.option("--n", type=Count(maximum=30_000), default="500", show_default=True, help="Rows of the matrices."),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    sizes={"tutorial": {"n": 2048}},
    memory=need,
    least_workers=2,
)
def pinned_tasks(client: Client, n: int, seed: int) -> Outcome:
    """Say which worker does what, and see who has what; then watch Dask's memory manager drop the copies.

    The numbers do not depend on the workers. Copies do: scatter makes one for each.
    """
    addresses = list(client.scheduler_info(n_workers=-1)["workers"])
    hosts = client.run(socket.gethostname)
    matrix, other = random_matrix(n, seed), random_matrix(n, seed + 1)
    with client.as_current(), manager_stopped(client):
        stopped = not client.amm.running()
        run = pinned(client, addresses, matrix, other)
    names = {address: f"{number} ({hosts[address]})" for number, address in enumerate(addresses)}
    return Outcome(
        values(run, hosts),
        {"copies dropped": run.took},
        [Check("the memory manager is stopped", stopped, "client.amm.stop()"), *checks(run, addresses, matrix)],
        columns=("what", "key", "copies", "on worker"),
        rows=[[one.what, short(one.key), str(len(one.workers)), where(one, names)] for one in run.seen],
        pictures=(picture(run, names),),
        notes=NOTES,
    )


def values(run: Run, hosts: Mapping[str, str]) -> dict[str, float]:
    """Return the numbers by name."""
    return {
        "workers": len(hosts),
        "nodes": len(set(hosts.values())),
        "trace": float(run.results[0]),
        "copies_while_stopped": len(run.seen[-2].workers),
        "copies_with_manager": len(run.seen[-1].workers),
    }


def checks(run: Run, addresses: Sequence[str], matrix: np.ndarray) -> list[Check]:
    """Hold who had what against what was asked for, and the results against NumPy's."""
    everywhere, alone, trace, largest, least, again, anew, kept, reduced_to = run.seen
    first, second = frozenset(addresses[:1]), frozenset(addresses[1:2])
    expected = [np.trace(matrix), matrix.max(), matrix.min(), matrix.min(), matrix.min(), np.trace(matrix)]
    once = again.key == least.key and least.workers == again.workers == first
    return [
        Check("results are NumPy's", np.allclose(run.results, expected, rtol=1e-12), f"trace {run.results[0]:.6f}"),
        copies("broadcast=True: every worker has it", everywhere, len(addresses)),
        copies("without broadcast: one worker has it", alone, 1),
        Check(
            "a pinned task's result is on its worker", trace.workers == first and largest.workers == second, "0 and 1"
        ),
        Check("same call, same key: computed once, where it was first pinned", once, short(least.key)),
        Check("pure=False: another key, on its own worker", anew.key != least.key and anew.workers == second, ""),
        copies("while the manager is stopped, the copies stay", kept, len(addresses)),
        copies(f"with the manager on, one stays ({run.took:.1f} s)", reduced_to, 1),
    ]


def copies(name: str, one: Held, expected: int) -> Check:
    """Check how many workers have something."""
    return Check(name, len(one.workers) == expected, f"{len(one.workers)} of {expected}")


def short(key: str) -> str:
    """Return a key with the first digits of its hash."""
    name, _, token = key.partition("-")
    return f"{name}-{token[:8]}"


def where(one: Held, names: Mapping[str, str]) -> str:
    """Return which workers, by number and host."""
    return "all" if len(one.workers) == len(names) > 4 else ", ".join(sorted(names[address] for address in one.workers))


def picture(run: Run, names: Mapping[str, str]) -> Grid:
    """Draw who has what: a row for a key, a column for a worker."""
    cells = [[float(address in one.workers) for address in names] for one in run.seen]
    labels = [[name if address in one.workers else "" for address, name in names.items()] for one in run.seen]
    return Grid("Who has what", cells, x="workers", y="rows of the table", labels=labels)
