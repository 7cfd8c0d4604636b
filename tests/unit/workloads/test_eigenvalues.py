"""The workload eigenvalues."""

from __future__ import annotations

import warnings
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.tutorial import Bars, Lines, Points, Workload
from dask_hpc.tutorial.cores import blas_threads
from dask_hpc.tutorial.discovery import load
from workloads import eigenvalues
from workloads.checks.eigenvalues import CLOSE, Variant, distance, memory, run_checks, spectra_checks
from workloads.eigenvalues import lazily, main, random_matrix, serially, worker_counts

SEEDS = np.random.SeedSequence(1).spawn(3)


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(eigenvalues.__file__))


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (9, [1, 2, 4, 8, 9])]
)
def test_worker_counts_double_up_to_all(most: int, counts: list[int]) -> None:
    """The counts are 1, 2, 4, … and all workers."""
    assert worker_counts(most) == counts


def test_finds_known_spectrum() -> None:
    """For every eigenvalue from the serial loop, the matrix minus that multiple of the identity is singular."""
    for seed, spectrum in zip(SEEDS, serially(30, SEEDS), strict=True):
        matrix = np.random.default_rng(seed).random((30, 30))
        smallest = [np.linalg.svd(matrix - value * np.eye(30), compute_uv=False)[-1] for value in spectrum]
        assert max(smallest) < 1e-12
        assert np.linalg.svd(matrix - 0.1234 * np.eye(30), compute_uv=False)[-1] > 1e-6


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_distance_ignores_order(n: int, seed: int) -> None:
    """The order of eigenvalues does not matter; a changed eigenvalue does."""
    spectrum = np.linalg.eigvals(random_matrix(n, np.random.SeedSequence(n)))
    order = np.random.default_rng(seed).permutation(n)
    assert distance(spectrum[order], spectrum) == 0
    changed = spectrum.astype(complex)
    changed[0] += 1e-3 * np.abs(spectrum).max()
    assert distance(changed, spectrum) > CLOSE


def test_checks_detect_wrong_spectrum() -> None:
    """Both checks detect an eigenvalue that is wrong in the eighth digit."""
    good = serially(20, SEEDS)
    traces = [float(np.trace(random_matrix(20, seed))) for seed in SEEDS]
    bad = [spectrum * (1 + 1e-8) for spectrum in good]
    right = Variant("a", spectra=[good])
    wrong = Variant("b", spectra=[bad])
    assert [check.ok for check in spectra_checks([right, right], traces)] == [True, True]
    assert [check.ok for check in spectra_checks([right, wrong], traces)] == [False, True]
    assert [check.ok for check in spectra_checks([wrong, right], traces)] == [False, False]


def test_compares_times_within_turn() -> None:
    """A turn in which the machine was ten times slower changes nothing; efficiency is per available core."""
    one = Variant("1 worker", cores=1, seconds=[4.0, 40.0, 4.0])
    four = Variant("4 workers", cores=2, seconds=[2.0, 20.0, 2.5])
    assert four.against(one) == 2
    assert four.efficiency(one) == 1
    assert one.efficiency(one) == 1


def test_sets_and_reads_blas_threads() -> None:
    """The number of BLAS threads can be set, read and restored."""
    before = blas_threads()
    try:
        assert blas_threads(2) == 2
        assert blas_threads() == 2
        assert blas_threads(1) == 1
    finally:
        assert blas_threads(before) == before > 0


def test_graph_size_check_detects_embedded_matrix() -> None:
    """Eight matrices are nine tasks of a few KB; a graph that contains a matrix fails the check."""
    total = lazily(1500, np.random.SeedSequence(1).spawn(8))
    assert all(check.ok for check in run_checks([], total))
    assert len(dict(total.dask)) == 9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        big = dask.delayed([dask.delayed(np.linalg.eigvals)(np.ones((1500, 1500)))])
        assert [check.ok for check in run_checks([], big)] == [True, True, False]


def test_memory_grows_with_threads_only() -> None:
    """A worker holds one matrix per thread at a time, regardless of their total number."""
    few = memory(n=5000, matrices=8, repeats=1, threads=1)
    many = memory(n=5000, matrices=64, repeats=1, threads=1)
    assert few.worker == many.worker == 3 * 8 * 5000**2
    assert memory(n=5000, matrices=8, repeats=1, threads=18).worker == 18 * few.worker


def test_runs_on_two_workers(two_workers: Client, workload: Workload) -> None:
    """Every way gives the same spectra, the intended workers are used, and BLAS is restored."""
    before = two_workers.run(blas_threads)
    outcome = workload.checks.run(two_workers, n=60, matrices=5, seed=2, repeats=2, serial=True)
    assert [check for check in outcome.checks if not check.ok] == []
    assert len(outcome.checks) == 5
    names = [str(row[0]) for row in outcome.rows]
    assert names[0] == "NumPy, 1 BLAS thread"
    assert {"1 worker", "2 workers"} < set(names)
    assert {"speedup", "efficiency", "against_naive", "against_fair"} <= set(outcome.values)
    assert {type(picture) for picture in outcome.pictures} == {Bars, Lines, Points}
    assert two_workers.run(blas_threads) == before
    assert any("5 matrices on 2 cores take 3 rounds" in note for note in outcome.notes)


def test_runs_without_serial_loop(two_workers: Client, workload: Workload) -> None:
    """Without the serial loop, ways are compared with one worker, and the traces still check the mathematics."""
    outcome = workload.checks.run(two_workers, n=2, matrices=1, seed=2, repeats=1, serial=False)
    assert all(check.ok for check in outcome.checks)
    assert outcome.values["workers"] == 1
    assert "against_fair" not in outcome.values


def test_script_compares_serial_loop_with_workers(two_workers: Client) -> None:
    """The script alone measures NumPy, one worker and two, each in every turn, with the same spectra."""
    ways = main(two_workers, n=20, matrices=3, seed=2, repeats=2)
    assert [way.name for way in ways] == ["NumPy", "1 worker", "2 workers"]
    assert [len(way.workers) for way in ways] == [0, 1, 2]
    assert [len(way.seconds) for way in ways] == [2, 2, 2]
    first = ways[0].spectra[0]
    pairs = [pair for way in ways for spectra in way.spectra for pair in zip(spectra, first, strict=True)]
    assert max(distance(*pair) for pair in pairs) < CLOSE
    assert [way.name for way in main(two_workers, n=2, matrices=1, serial=False)] == ["1 worker"]


def test_measures_one_thread_of_worker_with_threads(workload: Workload) -> None:
    """If workers have several threads, speed-ups are relative to the serial loop on one of them."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        outcome = workload.checks.run(client, n=10, matrices=4, seed=2, repeats=1, serial=False)
    assert [check for check in outcome.checks if not check.ok] == []
    assert [str(row[0]) for row in outcome.rows[:2]] == ["1 thread of a worker", "1 worker"]
    assert outcome.rows[0][4:] == ["1.00", "1.00"]
