"""The workload delayed-sum: A² + B² + C²."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.tutorial import Bars, Lines, Workload, blas_threads
from dask_hpc.tutorial.discovery import load
from workloads import delayed_sum
from workloads.checks.delayed_sum import Span, memory, most_at_once, report
from workloads.delayed_sum import NAMES, Sums, lazily, main, relative_difference, with_numpy

SEEDS = np.random.SeedSequence(1).spawn(3)


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(delayed_sum.__file__))


def test_numpy_computes_same_formula() -> None:
    """Dask's sum is compared with `A@A + B@B + C@C`, for reproducible matrices."""
    a, b, c = (np.random.default_rng(seed).random((40, 40)) for seed in SEEDS)
    assert np.array_equal(with_numpy(40, SEEDS), a @ a + b @ b + c @ c)


def test_graph_is_lazy_and_small() -> None:
    """The graph has three matrices, three squares and a sum, regardless of n."""
    squares, total = lazily(10**6, SEEDS)
    assert len(squares) == 3
    names = [str(key).rsplit("-", 5)[0] for key in dict(total.dask)]
    assert {name: names.count(name) for name in names} == {"random_matrix": 3, "squared": 3, "sum": 1}


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.1, 9)), min_size=3, max_size=3))
def test_most_at_once_equals_count_at_every_moment(pairs: list[tuple[float, float]]) -> None:
    """Counting at every start and stop, and between them, gives the same maximum."""
    spans = [Span(start, start + length, f"thread {start}") for start, length in pairs]
    times = dict(zip(NAMES, spans, strict=True))
    edges = sorted({edge for start, stop, _ in spans for edge in (start, stop)})
    middles = [(left + right) / 2 for left, right in pairwise(edges)]
    assert most_at_once(times) == max(len({t for a, b, t in spans if a <= x < b}) for x in edges + middles)


@pytest.mark.parametrize(
    ("spans", "threads", "most"),
    [
        ([(0, 1), (1, 2), (2, 3)], "xyz", 1),
        ([(0, 9), (1, 8), (2, 3)], "xyz", 3),
        ([(0, 9), (1, 8), (2, 3)], "xyx", 2),
        ([(0, 1.1), (1, 2), (2, 3)], "xxx", 1),
    ],
)
def test_most_at_once_counts_distinct_threads(spans: list[tuple[float, float]], threads: str, most: int) -> None:
    """Sequential spans count 1, nested spans 3, and one thread never counts twice."""
    found = [Span(start, stop, thread) for (start, stop), thread in zip(spans, threads, strict=True)]
    assert most_at_once(dict(zip(NAMES, found, strict=True))) == most


def test_memory_estimate_fits_numpy() -> None:
    """The client's estimate is at least what NumPy needs, and less than twice that."""
    n = 400
    tracemalloc.start()
    try:
        expected = with_numpy(n, SEEDS)
        result = expected.copy()
        relative_difference(result, expected)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= memory(n).client < 2 * peak


def test_two_workers_share_squares(two_workers: Client, workload: Workload) -> None:
    """The sum is NumPy's, two threads compute squares, and both are in the report's pictures."""
    outcome = workload.checks.run(two_workers, n=1200, seed=5)
    assert [check.name for check in outcome.checks if not check.ok] == []
    assert [check.name for check in outcome.checks][1:] == ["squares are computed by several threads"]
    assert outcome.values["at_once"] in (1, 2)  # they overlap unless the machine is busy
    lines, bars = outcome.pictures
    assert isinstance(lines, Lines)
    assert set(lines.series) == {"A²", "B²", "C²"}
    assert isinstance(bars, Bars)
    assert {key.split("-")[0] for key in dict(outcome.graph.dask)} == {"random_matrix", "squared", "sum"}


@pytest.mark.parametrize("n", [1, 2, 33])
def test_does_not_judge_overlap_of_small_matrices(two_workers: Client, workload: Workload, n: int) -> None:
    """For small matrices only the sum is checked, and a note says why."""
    outcome = workload.checks.run(two_workers, n=n, seed=5)
    assert [check.ok for check in outcome.checks] == [True]
    assert "is not checked" in outcome.notes[1]


def test_reports_single_thread() -> None:
    """On a single thread nothing overlaps; a note says so, and no check fails."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        outcome = load(Path(delayed_sum.__file__)).checks.run(client, n=300, seed=5)
    assert outcome.values["at_once"] == 1
    assert [check.ok for check in outcome.checks] == [True]
    assert "one after the other" in outcome.notes[1]


def test_wrong_sum_fails_check() -> None:
    """A difference in one element beyond rounding fails the run."""
    expected = with_numpy(50, SEEDS)
    result = expected.copy()
    assert relative_difference(result, expected) == 0
    result[7, 9] *= 1 + 1e-9
    squares, total = lazily(50, SEEDS)
    found = Sums(expected, result, 1, 1, squares, total)
    outcome = report(found, dict.fromkeys(NAMES, Span(0, 1, "x")), {"a": 1})
    assert [check.ok for check in outcome.checks] == [False]


def test_script_gives_both_sums(two_workers: Client) -> None:
    """The script alone gives NumPy's sum and Dask's, both timed, and the same sum for the same seed."""
    found = main(two_workers, n=40, seed=5)
    assert np.array_equal(found.by_numpy, with_numpy(40, np.random.SeedSequence(5).spawn(3)))
    assert relative_difference(found.by_dask, found.by_numpy) < 1e-14
    assert min(found.numpy_seconds, found.dask_seconds) > 0
    assert len(found.squares) == len(NAMES)


def test_numpy_has_one_blas_thread(two_workers: Client, workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """While NumPy computes its sum, this process's BLAS has one thread; afterwards it has as many as before."""
    before = blas_threads()
    seen: list[int] = []
    run = workload.checks.run

    def spied(client: Client, n: int, seed: int) -> Sums:
        seen.append(blas_threads())
        return main(client, n, seed)

    monkeypatch.setitem(run.__globals__, "main", spied)
    try:
        blas_threads(2)
        run(two_workers, n=10, seed=5)
        assert seen == [1]
        assert blas_threads() == 2
    finally:
        blas_threads(before)
