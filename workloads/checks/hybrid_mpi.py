"""Check hybrid-mpi: MPI in Dask, Dask alone and NumPy find the same; and time a step of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from time import perf_counter
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, wait

from dask_hpc.collective import Ranks
from dask_hpc.tutorial import Bars, Check, Count, Lines, Need, Outcome, Picture, checks
from workloads.hybrid_mpi import BLOCK, Blocks, Chunks, Steps, power_iteration

IN_DASK = 10  # iterations in Dask alone: enough to time them
DIGITS = 1e-10  # relative: sums in another order differ in the last digits


def memory(n: int, workers: int, **_: object) -> Need:
    """Estimate bytes: the client compares with the whole matrix; Dask makes it on the workers, and may move a block."""
    whole = 8 * n * n
    return Need(client=2 * whole + (64 << 20), worker=whole // max(workers, 1) + 8 * 8 * BLOCK**2 + (64 << 20))


@checks(
    types={"n": Count(64, 50_000), "iterations": Count(20, 10**6), "seed": Count(minimum=0)},
    sizes={"tutorial": {"n": 5000}},
    memory=memory,
    backends=frozenset({"mpi"}),
    least_workers=2,
)
def outcome(client: Client, n: int, iterations: int, seed: int) -> Outcome:
    """Run the script's steps, with a collective that is safe against lost ranks; compare with Dask alone and NumPy."""
    timings: dict[str, float] = {}
    matrix = client.persist(da.random.default_rng(seed).random((n, n), chunks=BLOCK))
    wait(matrix)
    ranks = Ranks(client)
    before = client.who_has(matrix)
    start = perf_counter()
    results = ranks.run(shared_iteration, matrix.chunks, iterations, array=matrix)
    timings["mpi_call"] = perf_counter() - start
    moved = sum(set(before[key]) != set(holders) for key, holders in client.who_has(matrix).items())
    norms = client.gather([client.submit(itemgetter(0), result) for result in results])
    timings["mpi"] = max(client.gather([client.submit(itemgetter(1), result) for result in results]))
    vector = client.persist(as_array(client, results, n))
    residual = da.linalg.norm(matrix @ vector - norms[0][-1] * vector) / norms[0][-1]
    found = {"residual": float(client.compute(residual).result()), "moved": moved, "vector": vector.compute()}
    start = perf_counter()
    in_dask = power_iteration_in_dask(matrix, IN_DASK)
    timings["dask"] = perf_counter() - start
    whole = matrix.compute()
    start = perf_counter()
    expected = power_iteration_in_numpy(whole, iterations)
    timings["numpy"] = perf_counter() - start
    return report(norms, in_dask, expected, found=found, timings=timings, graph=residual)


def share_of(rank: int, ranks: int, n: int) -> slice:
    """Return a rank's share of n entries; the shares of all ranks cover every entry once."""
    return slice(n * rank // ranks, n * (rank + 1) // ranks)


def shared_iteration(comm: Any, blocks: Blocks, chunks: Chunks, iterations: int) -> Steps:
    """Run the script's power iteration; of v, which all ranks have, return this rank's share."""
    norms, seconds, vector = power_iteration(comm, blocks, chunks, iterations)
    return norms, seconds, vector[share_of(comm.rank, comm.size, len(vector))]


def as_array(client: Client, results: Sequence[Any], n: int) -> da.Array:
    """Make one Dask array from the ranks' shares, which stay on the workers."""
    shares = [client.submit(itemgetter(2), result) for result in results]
    places = [share_of(rank, len(shares), n) for rank in range(len(shares))]
    pieces = [
        da.from_delayed(share, (place.stop - place.start,), dtype=float)
        for share, place in zip(shares, places, strict=True)
    ]
    return da.concatenate(pieces).rechunk(BLOCK)


def power_iteration_in_dask(matrix: da.Array, iterations: int) -> list[float]:
    """Do the same with one Dask graph per step; return |A·v| after each step."""
    n = matrix.shape[0]
    vector = np.full(n, 1 / math.sqrt(n))
    norms = []
    for _ in range(iterations):
        product = (matrix @ da.from_array(vector, chunks=(matrix.chunks[1],))).compute()
        norms.append(float(np.linalg.norm(product)))
        vector = product / norms[-1]
    return norms


def power_iteration_in_numpy(matrix: np.ndarray, iterations: int) -> tuple[list[float], np.ndarray]:
    """Do the same on one core; return |A·v| after each step, and the last v."""
    n = len(matrix)
    vector = np.full(n, 1 / math.sqrt(n))
    norms = []
    for _ in range(iterations):
        product = matrix @ vector
        norms.append(float(np.linalg.norm(product)))
        vector = product / norms[-1]
    return norms, vector


def held(
    norms: Sequence[Sequence[float]], in_dask: Sequence[float], expected: tuple[list[float], np.ndarray], found: Any
) -> list[Check]:
    """Compare MPI in Dask with NumPy on one core, with Dask alone, and with an eigenvector's definition."""
    steps, vector = expected
    eigenvalue = norms[0][-1]
    least = float(found["vector"].min())
    error = abs(eigenvalue / steps[-1] - 1)
    distance = float(np.abs(found["vector"] - vector).max() / np.abs(vector).max())
    dask_error = max(abs(one / other - 1) for one, other in zip(in_dask, steps, strict=False))
    same = all(one == norms[0] for one in norms)
    return [
        Check("MPI in Dask finds NumPy's eigenvalue", error < DIGITS, f"{eigenvalue:.12g}, off by {error:.1e}"),
        Check("MPI in Dask finds NumPy's eigenvector", distance < DIGITS, f"off by {distance:.1e}"),
        Check("Dask alone takes the same steps", dask_error < DIGITS, f"off by {dask_error:.1e}"),
        Check("A·v = λ·v, computed by Dask", found["residual"] < DIGITS, f"residual {found['residual']:.1e}"),
        Check("λ is the largest: v has one sign", least > 0, f"least entry {least:.3g}"),
        Check("all ranks have the same numbers", same, f"{len(norms)} ranks"),
        Check("no block has moved", found["moved"] == 0, f"{found['moved']} moved"),
    ]


def report(
    norms: Sequence[Sequence[float]],
    in_dask: Sequence[float],
    expected: tuple[list[float], np.ndarray],
    *,
    found: dict[str, Any],
    timings: dict[str, float],
    graph: Any,
) -> Outcome:
    """Report an iteration by MPI in Dask, by Dask alone and by NumPy side by side."""
    steps = {"MPI in Dask": len(norms[0]), "Dask alone": len(in_dask), "NumPy, one core": len(expected[0])}
    totals = dict(zip(steps, (timings["mpi"], timings["dask"], timings["numpy"]), strict=True))
    each = {name: totals[name] / steps[name] for name in steps}
    values = {
        "eigenvalue": norms[0][-1],
        "residual": found["residual"],
        "ranks": len(norms),
        "mpi_step": each["MPI in Dask"],
        "dask_step": each["Dask alone"],
        "numpy_step": each["NumPy, one core"],
        "entry": timings["mpi_call"] - timings["mpi"],
    }
    distances = [abs(norm / expected[0][-1] - 1) or np.finfo(float).eps for norm in norms[0]]
    pictures: list[Picture] = [
        Bars("Time per step", "milliseconds", {name: 1e3 * time for name, time in each.items()}),
        Lines(
            "Convergence, MPI in Dask",
            "step",
            "distance from the eigenvalue, relative",
            {"|A·v|": (list(range(1, len(distances) + 1)), distances)},
            log_y=True,
        ),
    ]
    rows = [[name, str(steps[name]), f"{totals[name]:.3f} s", f"{1e3 * each[name]:.2f} ms"] for name in steps]
    notes = [
        f"Entering and leaving the collective took {1e3 * values['entry']:.0f} ms, once: MPI in Dask pays off after "
        "a few steps.",
    ]
    columns = ("", "steps", "time", "time per step")
    return Outcome(
        values,
        timings,
        held(norms, in_dask, expected, found),
        columns=columns,
        rows=rows,
        pictures=pictures,
        graph=graph,
        notes=notes,
    )
