"""Check futures-pipeline: the eigenvalues are NumPy's, and no matrix reached the client.

Bytes, the workers' transfer logs and the task streams are recorded around the script's single steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from dask.utils import format_bytes
from distributed import Client, Future, get_task_stream

from dask_hpc.tutorial import (
    Bars,
    Check,
    Count,
    Need,
    Outcome,
    Points,
    Traffic,
    blas_threads,
    checks,
    cores_at_work,
    traffic,
)
from workloads.futures_pipeline import Seeds, distance, draw_twice, pipeline, plain, square_again

TALK = 16 << 10  # bytes per task allowed for Dask's own messages
MOST_POINTS = 4000  # in the picture
NOTES = (
    "A future refers to a result that stays on a worker. client.map over futures passes on references; only "
    "client.gather and .result() move data to the client.",
    "Bytes are the kernel's count for the client's connections, and include Dask's own messages. The workers' transfer "
    "logs show which matrix went where.",
    "The numbers lie in [0, 1) with mean 1/2: one eigenvalue of a square is near (n/2)², the others fill a disc of "
    "radius n/12.",
    "NumPy alone squares and diagonalises one matrix after the other in the client, with one BLAS thread.",
)


@dataclass(frozen=True)
class Found:
    """Eigenvalues and traffic: `to_workers` and `to_client` count matrices and squares that left a worker."""

    eigenvalues: list[np.ndarray]
    expected: list[np.ndarray]
    moved: Traffic
    to_workers: int
    to_client: int
    timings: dict[str, float]

    @property
    def distance(self) -> float:
        """Distance of the eigenvalues from NumPy's, in units of the largest."""
        pairs = zip(self.eigenvalues, self.expected, strict=False)
        return max((distance(ours, theirs) for ours, theirs in pairs), default=0.0)

    @property
    def result_bytes(self) -> int:
        """Bytes of the eigenvalues, which the client asked for."""
        return sum(one.nbytes for one in self.eigenvalues)


def memory(n: int, matrices: int, compare: int, workers: int, threads: int, **_: object) -> Need:
    """Estimate bytes: workers keep matrices, squares, one more square and eigvals' copies; NumPy has one at a time."""
    one = 8 * n * n
    share = -(-matrices // max(workers, 1))
    client = 16 * n * (matrices + compare) + (3 * one if compare else 0)
    return Need(client=client, worker=(2 * share + 1 + min(threads, share)) * one)


@checks(
    types={
        "n": Count(maximum=100_000),
        "matrices": Count(maximum=10_000),
        "seed": Count(minimum=0),
        "compare": Count(minimum=0, maximum=10_000),
    },
    sizes={"tutorial": {"n": 5000, "matrices": 8, "compare": 1}},
    memory=memory,
)
def outcome(client: Client, n: int, matrices: int, seed: int, compare: int) -> Outcome:
    """Run the pipeline, and compare the result with NumPy's, and the bytes with those of the eigenvalues."""
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    found, pure = compute(client, n, seeds, min(compare, matrices))
    values = measured(found, 8 * n * n * matrices * 2, cores_at_work(client))
    return Outcome(
        values,
        found.timings,
        [*held(found, values), *pure],
        columns=("", ""),
        rows=rows(found, values),
        pictures=pictures(found, values),
        notes=NOTES,
    )


def compute(client: Client, n: int, seeds: Seeds, compare: int) -> tuple[Found, list[Check]]:
    """Run the pipeline, then NumPy, then the calls that show purity."""
    client.run(plain, 2, seeds[:1])  # a worker's first call imports NumPy and starts BLAS: that is not timed
    plain(2, seeds[:1])
    with traffic(client) as moved:
        start = perf_counter()
        matrices, squares, eigenvalues = pipeline(client, n, seeds)
        timings = {"dask": perf_counter() - start}
    left = left_the_workers(client, [*matrices, *squares])
    before = blas_threads()
    blas_threads(1)  # as workers have
    start = perf_counter()
    expected = plain(n, seeds[:compare])
    timings |= {"numpy": perf_counter() - start} if compare >= len(seeds) else {}
    blas_threads(before)
    pure = [*computed_again(client, matrices, squares), drawn_again(client)]
    return Found(eigenvalues, expected, moved, *left, timings), pure


def handed_out(dask_worker: Any) -> list[tuple[str | None, str]]:
    """Return receiver and key of each transfer in a worker's log; a receiver is a worker, or None for the scheduler."""
    return [(transfer["who"], str(key)) for transfer in dask_worker.transfer_outgoing_log for key in transfer["keys"]]


def left_the_workers(client: Client, futures: Sequence[Future]) -> tuple[int, int]:
    """Count the transfers of these results to other workers, and to the scheduler and thus to a client."""
    keys = {future.key for future in futures}
    gone = [who for log in client.run(handed_out).values() for who, key in log if key in keys]
    return sum(who is not None for who in gone), sum(who is None for who in gone)


def computed_again(client: Client, matrices: list[Future], squares: list[Future]) -> list[Check]:
    """Check that squares submitted again have the same keys and do not run again, except with pure=False."""
    with get_task_stream(client) as stream:
        again, impure = square_again(client, matrices)
    ran = [str(task["key"]) for task in stream.data]
    repeated = [key for key in ran if key != impure.key]
    anew = len(ran) - len(repeated)
    same = [future.key for future in again] == [future.key for future in squares]
    new = impure.key not in {future.key for future in squares}
    return [
        Check("same call, same key, no computation", same and not repeated, f"{len(repeated)} tasks ran again"),
        Check("pure=False: new key, computed again", new and anew == 1, f"{anew} task ran"),
    ]


def drawn_again(client: Client) -> Check:
    """Check that two draws without a seed are equal unless pure=False."""
    first, second = draw_twice(client, pure=True)
    third, fourth = draw_twice(client, pure=False)
    ok = first == second and third != fourth
    return Check("two draws without a seed differ only with pure=False", ok, f"{first[0]:.4f} and {second[0]:.4f}")


def measured(found: Found, inside: int, cores: int) -> dict[str, Any]:
    """Return the numbers by name; `inside` is the size of matrices and squares in bytes."""
    values = {
        "cores": cores,
        "bytes_on_workers": inside,
        "bytes_sent_by_client": found.moved.sent,
        "bytes_received_by_client": found.moved.received,
        "moved_between_workers": found.to_workers,
        "largest_eigenvalue": float(np.abs(found.eigenvalues[0]).max()),
    }
    if "numpy" in found.timings:
        values["speedup"] = found.timings["numpy"] / found.timings["dask"]
    return values


def held(found: Found, values: dict[str, Any]) -> list[Check]:
    """Compare the result with NumPy's, and the bytes that the client received with those of the eigenvalues."""
    spoken = 3 * len(found.eigenvalues) * TALK
    received = format_bytes(found.moved.received)
    inside = format_bytes(values["bytes_on_workers"])
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
    """Return the table's rows: the bytes that moved, and the times."""
    table = [
        ["matrices and squares, made on the workers", format_bytes(values["bytes_on_workers"])],
        ["  moved from worker to worker", str(found.to_workers)],
        ["eigenvalues, gathered by the client", format_bytes(found.result_bytes)],
        ["  received by the client, in total", format_bytes(found.moved.received)],
        ["  sent by the client, in total", format_bytes(found.moved.sent)],
        ["time, with Dask", f"{found.timings['dask']:.3f} s"],
    ]
    if "speedup" in values:
        table.append(["time, NumPy alone", f"{found.timings['numpy']:.3f} s"])
        table.append([f"speed-up ({values['cores']} cores)", f"{values['speedup']:.2f}"])
    return table


def pictures(found: Found, values: dict[str, Any]) -> tuple[Points, Bars]:
    """Draw the eigenvalues without the largest of each matrix, and the bytes."""
    bulk = np.concatenate([np.delete(one, np.abs(one).argmax()) for one in found.eigenvalues])[:MOST_POINTS]
    points = {"eigenvalues": (bulk.real.tolist(), bulk.imag.tolist())}
    moved = {"on the workers": values["bytes_on_workers"]}
    moved |= {"sent by the client": found.moved.sent, "received by the client": found.moved.received}
    return (
        Points("Eigenvalues of the squares, without the largest of each", "real part", "imaginary part", points),
        Bars("Data made on the workers, and sent and received by the client", "bytes", moved),
    )
