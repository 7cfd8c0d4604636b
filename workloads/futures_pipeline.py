"""Square random matrices and find their eigenvalues with futures: what is between never visits the client.

The tutorial's "distributed.Future | The map/reduce paradigm": `client.map(squared, …)`, `client.map(np.linalg.eigvals,
…)`, `client.gather`. Its cells show `eig_lst[0]`, a name that was never defined (`squared_mat_lst` is meant). It makes
the matrices in the client and passes them to `client.map`, so that all of them go to the scheduler inside the graph:
that is what its first cell takes 9 s for. Here the workers make them, and what comes back are the eigenvalues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import click
import numpy as np
from dask.utils import format_bytes
from distributed import Client, Future, get_task_stream, wait

from dask_hpc.tutorial import (
    Bars,
    Check,
    Count,
    Need,
    Outcome,
    Points,
    Traffic,
    blas_threads,
    cores_at_work,
    traffic,
    workload,
)

TALK = 16 << 10  # bytes a task that Dask's own messages may take
MOST_POINTS = 4000  # in the picture
NOTES = (
    "A future is a name for a result that stays on a worker. client.map over futures passes names on; only "
    "client.gather and .result() move data to the client.",
    "Bytes are the kernel's count for the client's connections, so Dask's own messages are in them. Which matrix went "
    "where is in the workers' own log of transfers.",
    "The numbers lie in [0, 1) with mean 1/2: one eigenvalue of a square is near (n/2)², the others fill a disc of "
    "radius n/12.",
    "NumPy alone squares and diagonalises one matrix after the other in the client, with one BLAS thread.",
)


@dataclass(frozen=True)
class Found:
    """What came out, and what moved: `to_workers` and `to_client` count matrices and squares that left a worker."""

    eigenvalues: list[np.ndarray]
    expected: list[np.ndarray]
    moved: Traffic
    to_workers: int
    to_client: int
    timings: dict[str, float]

    @property
    def distance(self) -> float:
        """How far the eigenvalues are from NumPy's, in units of the largest."""
        pairs = zip(self.eigenvalues, self.expected, strict=False)
        return max((distance(ours, theirs) for ours, theirs in pairs), default=0.0)

    @property
    def result_bytes(self) -> int:
        """What the client asked for."""
        return sum(one.nbytes for one in self.eigenvalues)


def random_matrix(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Return n × n numbers in [0, 1). The same seed gives the same matrix, on any worker: the function is pure."""
    return np.random.default_rng(seed).random((n, n))


def squared(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix times itself."""
    return np.asarray(matrix @ matrix)


def unseeded(n: int) -> np.ndarray:
    """Return other numbers at every call, as the tutorial's `random_matrix` does: not a pure function."""
    return np.random.default_rng().random(n)


def pipeline(client: Client, n: int, seeds: Sequence[Any]) -> tuple[list[Future], list[Future], list[np.ndarray]]:
    """Return the futures of the matrices and of their squares, and the squares' eigenvalues themselves."""
    matrices = client.map(random_matrix, [n] * len(seeds), seeds)
    squares = client.map(squared, matrices)
    eigenvalues = client.map(np.linalg.eigvals, squares)
    return matrices, squares, client.gather(eigenvalues)


def plain(n: int, seeds: Sequence[Any]) -> list[np.ndarray]:
    """Return what `pipeline` does, by NumPy alone, in this process."""
    return [np.linalg.eigvals(squared(random_matrix(n, seed))) for seed in seeds]


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return how far two spectra are apart, in units of the largest eigenvalue: order and rounding do not matter.

    It is the largest of all distances from an eigenvalue of one to the nearest of the other (Hausdorff's).
    """

    def farthest(some: np.ndarray, others: np.ndarray) -> float:
        return max(float(np.abs(others - one).min()) for one in some)

    return max(farthest(ours, theirs), farthest(theirs, ours)) / float(np.abs(theirs).max())


def handed_out(dask_worker: Any) -> list[tuple[str | None, str]]:
    """Return who got which key from a worker: its own log names the worker, or nobody for the scheduler."""
    return [(transfer["who"], str(key)) for transfer in dask_worker.transfer_outgoing_log for key in transfer["keys"]]


def left_the_workers(client: Client, futures: Sequence[Future]) -> tuple[int, int]:
    """Return how often these results went to other workers, and how often to the scheduler and so to a client."""
    keys = {future.key for future in futures}
    gone = [who for log in client.run(handed_out).values() for who, key in log if key in keys]
    return sum(who is not None for who in gone), sum(who is None for who in gone)


def compute(client: Client, n: int, seeds: Sequence[Any], compare: int) -> tuple[Found, list[Check]]:
    """Run the pipeline, NumPy beside it, and then what shows purity."""
    client.run(plain, 2, seeds[:1])  # a worker's first call imports NumPy and starts BLAS: not what is timed
    plain(2, seeds[:1])
    with traffic(client) as moved:
        start = perf_counter()
        matrices, squares, eigenvalues = pipeline(client, n, seeds)
        timings = {"dask": perf_counter() - start}
    left = left_the_workers(client, [*matrices, *squares])
    before, _ = blas_threads(), blas_threads(1)  # as workers have
    start = perf_counter()
    expected = plain(n, seeds[:compare])
    timings |= {"numpy": perf_counter() - start} if compare >= len(seeds) else {}
    blas_threads(before)
    pure = [*computed_again(client, matrices, squares), drawn_again(client)]
    return Found(eigenvalues, expected, moved, *left, timings), pure


def computed_again(client: Client, matrices: list[Future], squares: list[Future]) -> list[Check]:
    """Ask for the squares again: Dask takes functions for pure, unless it is told otherwise."""
    with get_task_stream(client) as pure:
        again = client.map(squared, matrices)
        wait(again)
    with get_task_stream(client) as impure:
        other = client.submit(squared, matrices[0], pure=False)
        wait(other)
    same = [future.key for future in again] == [future.key for future in squares]
    new = other.key not in {future.key for future in squares}
    return [
        Check("same call, same key, no computation", same and not pure.data, f"{len(pure.data)} tasks ran again"),
        Check("pure=False: new key, computed again", new and len(impure.data) == 1, f"{len(impure.data)} task ran"),
    ]


def drawn_again(client: Client) -> Check:
    """Draw twice without a seed: taken for pure, the second draw is the first."""
    drawn = [client.submit(unseeded, 4, pure=pure) for pure in (True, True, False, False)]
    first, second, third, fourth = (numbers.tolist() for numbers in client.gather(drawn))
    ok = first == second and third != fourth
    return Check("two draws without a seed differ with pure=False alone", ok, f"{first[0]:.4f} and {second[0]:.4f}")


def need(n: int, matrices: int, compare: int, workers: int, threads: int, **_: object) -> Need:
    """Matrices, squares and one more square stay on workers, and eigvals works on a copy; NumPy has one at a time."""
    one, share = 8 * n * n, -(-matrices // max(workers, 1))
    client = 16 * n * (matrices + compare) + (3 * one if compare else 0)
    return Need(client=client, worker=(2 * share + 1 + min(threads, share)) * one)


@workload(
    click.option("--n", type=Count(maximum=100_000), default="300", show_default=True, help="Rows of a matrix."),
    click.option("--matrices", type=Count(maximum=10_000), default="8", show_default=True, help="How many matrices."),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    click.option(
        "--compare",
        type=Count(minimum=0, maximum=10_000),
        default="8",
        show_default=True,
        help="How many of them plain NumPy computes as well, in the client, one after the other.",
    ),
    sizes={"tutorial": {"n": 5000, "matrices": 8, "compare": 1}},
    memory=need,
)
def futures_pipeline(client: Client, n: int, matrices: int, seed: int, compare: int) -> Outcome:
    """Square random matrices and find their eigenvalues with futures: what is between never visits the client.

    The same n, matrices and seed give the same eigenvalues (up to rounding, where workers have other processors), on
    whatever number of workers.
    """
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    with client.as_current():
        found, pure = compute(client, n, seeds, min(compare, matrices))
    values = measured(found, 8 * n * n * matrices * 2, cores_at_work(client))
    held = [*checks(found, values), *pure]
    return Outcome(
        values,
        found.timings,
        held,
        columns=("", ""),
        rows=rows(found, values),
        pictures=pictures(found, values),
        notes=NOTES,
    )


def measured(found: Found, inside: int, cores: int) -> dict[str, Any]:
    """Return the numbers by name; `inside` is how many bytes matrices and squares have."""
    values = {
        "cores": cores,
        "bytes_on_workers": inside,
        "bytes_sent_by_client": found.moved.sent,
        "bytes_received_by_client": found.moved.received,
        "moved_between_workers": found.to_workers,
        "largest_eigenvalue": float(np.abs(found.eigenvalues[0]).max()),
    }
    if "numpy" in found.timings:
        speedup = found.timings["numpy"] / found.timings["dask"]
        values |= {"speedup": speedup}
    return values


def checks(found: Found, values: dict[str, Any]) -> list[Check]:
    """Hold the result against NumPy's, and what the client received against what it asked for."""
    spoken = 3 * len(found.eigenvalues) * TALK
    received, inside = format_bytes(found.moved.received), format_bytes(values["bytes_on_workers"])
    return [
        Check(
            "eigenvalues are NumPy's",
            found.distance < 1e-10,
            f"{len(found.expected)} of {len(found.eigenvalues)} compared, at most {found.distance:.1e} of λ₁ apart",
        ),
        Check("no matrix went to the scheduler or the client", found.to_client == 0, f"{found.to_client} went"),
        Check(
            "the client sent and received no more than eigenvalues and Dask's messages",
            found.moved.received < found.result_bytes + spoken and found.moved.sent < spoken,
            f"received {received}, {format_bytes(found.result_bytes)} of them eigenvalues; the matrices have {inside}",
        ),
    ]


def rows(found: Found, values: dict[str, Any]) -> list[list[str]]:
    """Lay out what moved and how long it took."""
    table = [
        ["matrices and squares, made on the workers", format_bytes(values["bytes_on_workers"])],
        ["  moved from worker to worker", str(found.to_workers)],
        ["eigenvalues, gathered by the client", format_bytes(found.result_bytes)],
        ["  received by the client, all in all", format_bytes(found.moved.received)],
        ["  sent by the client, all in all", format_bytes(found.moved.sent)],
        ["time, with Dask", f"{found.timings['dask']:.3f} s"],
    ]
    if "speedup" in values:
        table.append(["time, NumPy alone", f"{found.timings['numpy']:.3f} s"])
        table.append([f"speed-up ({values['cores']} cores)", f"{values['speedup']:.2f}"])
    return table


def pictures(found: Found, values: dict[str, Any]) -> tuple[Points, Bars]:
    """Draw the eigenvalues, but the largest of each matrix, and the bytes."""
    bulk = np.concatenate([np.delete(one, np.abs(one).argmax()) for one in found.eigenvalues])[:MOST_POINTS]
    points = {"eigenvalues": (bulk.real.tolist(), bulk.imag.tolist())}
    moved = {"on the workers": values["bytes_on_workers"]}
    moved |= {"sent by the client": found.moved.sent, "received by the client": found.moved.received}
    return (
        Points("Eigenvalues of the squares, without the largest of each", "real part", "imaginary part", points),
        Bars("What the workers made, and what the client sent and received", "bytes", moved),
    )
