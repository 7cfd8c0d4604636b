"""The workload monte-carlo-pi."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, get_task_stream
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.tutorial import Bars, Lines, Outcome
from dask_hpc.tutorial.discovery import load
from workloads import monte_carlo_pi as pi
from workloads.checks import monte_carlo_pi as checks


@given(samples=st.integers(1, 10**15), chunks=st.integers(1, 1000))
def test_chunk_sizes_add_up_and_differ_by_at_most_one(samples: int, chunks: int) -> None:
    """Every sample is in a chunk, whether or not the number is divisible."""
    sizes = [size for size, _ in pi.cut(samples, chunks, 0)]
    assert len(sizes) == chunks
    assert sum(sizes) == samples
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=30)
@given(samples=st.integers(1, 200_000), chunks=st.integers(1, 20), seed=st.integers(0, 2**64))
def test_same_chunks_and_seed_give_same_count(samples: int, chunks: int, seed: int) -> None:
    """Two runs with the same samples, chunks and seed agree, regardless of the order of the chunks."""
    first = pi.count_serial(pi.cut(samples, chunks, seed))
    again = pi.count_serial(pi.cut(samples, chunks, seed)[::-1])
    assert first == again
    assert 0 <= first <= samples


@pytest.mark.parametrize("size", [1, pi.BLOCK - 1, pi.BLOCK, pi.BLOCK + 1, 3 * pi.BLOCK + 7])
def test_blocks_draw_same_darts(size: int) -> None:
    """Counting in blocks draws the same darts as fresh arrays."""
    random = np.random.default_rng(np.random.SeedSequence(7))
    expected = 0
    for start in range(0, size, pi.BLOCK):
        x, y = random.random((2, min(pi.BLOCK, size - start)))
        expected += int((x**2 + y**2 < 1).sum())
    assert pi.count_inside(size, np.random.SeedSequence(7)) == expected


def test_memory_does_not_grow_with_chunk() -> None:
    """A chunk of five million darts, 80 MB of coordinates, is counted in less than 4 MB."""
    tracemalloc.start()
    try:
        pi.count_inside(5_000_000, np.random.SeedSequence(1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_chunks_draw_different_darts() -> None:
    """No two chunks draw the same darts."""
    counts = [pi.count_inside(100_000, seed) for _, seed in pi.cut(20, 20, 42)]
    assert len(set(counts)) > 15


def test_error_is_binomial() -> None:
    """For many darts, the standard error is the binomial distribution's; sigmas are the distance divided by it."""
    inside = 785_000
    samples = 1_000_000
    found = checks.Estimate.of(inside, samples)
    share = inside / samples
    assert found.pi == 4 * share
    assert found.error == pytest.approx(4 * math.sqrt(share * (1 - share) / samples), rel=1e-5)
    assert found.sigmas == pytest.approx((found.pi - math.pi) / found.error)


@pytest.mark.parametrize("inside", [0, 1])
def test_single_dart_has_finite_error(inside: int) -> None:
    """A single dart, inside or not, gives a finite distance in sigmas."""
    found = checks.Estimate.of(inside, 1)
    assert found.error > 0
    assert abs(found.sigmas) < 3


def test_sigmas_are_normally_distributed() -> None:
    """Over 200 seeds the distances from π spread by about one standard error."""
    counts = [pi.count_inside(20_000, seed) for _, seed in pi.cut(200, 200, 1)]
    sigmas = [checks.Estimate.of(inside, 20_000).sigmas for inside in counts]
    assert 0.85 < np.std(sigmas) < 1.15
    assert abs(np.mean(sigmas)) < 0.25


@pytest.fixture(scope="module")
def run() -> Callable[..., Outcome]:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(pi.__file__ or "")).checks.run


def test_serial_and_parallel_agree(two_workers: Client, run: Callable[..., Outcome]) -> None:
    """An indivisible number of samples gives the same π on one core and on workers."""
    outcome = run(two_workers, samples=1_000_003, chunks=7, seed=3, serial=True, sweep=False)
    assert all(check.ok for check in outcome.checks)
    assert {"pi", "standard_error", "sigmas", "speedup", "efficiency", "cores"} <= set(outcome.values)
    assert set(outcome.timings) == {"serial", "parallel"}
    again = run(two_workers, samples=1_000_003, chunks=7, seed=3, serial=False, sweep=False)
    assert again.values["inside"] == outcome.values["inside"]
    assert set(again.timings) == {"parallel"}


def test_each_chunk_is_a_task(two_workers: Client, run: Callable[..., Outcome]) -> None:
    """The scheduler sees as many tasks as chunks; in the tutorial it is always one."""
    counted = []
    for chunks in (3, 11):
        with get_task_stream(two_workers) as stream:
            run(two_workers, samples=10_000, chunks=chunks, seed=0, serial=False, sweep=False)
        counted.append(sum("count_inside" in str(task["key"]) for task in stream.data))
    assert counted == [3, 11]


@given(dart=st.floats(1e-9, 1e-7), task=st.floats(1e-4, 1e-2), cores=st.integers(1, 64))
def test_fit_recovers_costs(dart: float, task: float, cores: int) -> None:
    """From times that follow the model, the fit recovers its costs."""
    seconds = {chunks: math.ceil(chunks / cores) * 10**7 / chunks * dart + chunks * task for chunks in pi.SWEEP}
    steps = {chunks: pi.Counted(10**7, 7_850_000, time) for chunks, time in seconds.items()}
    assert checks.fit(steps, 10**7, cores) == pytest.approx((dart, task), rel=1e-6)


def test_sweep_varies_chunks(two_workers: Client, run: Callable[..., Outcome]) -> None:
    """From 1 to 128, each number of chunks gives as many tasks, and time and error are drawn against it."""
    outcome = run(two_workers, samples=100_000, chunks=4, seed=9, serial=False, sweep=True)
    assert [check.name for check in outcome.checks if not check.ok] == []
    assert any("1, 2, 4, 8, 16, 32, 64, 128" in check.detail for check in outcome.checks)
    assert {"1 chunk", *(f"{chunks} chunks" for chunks in pi.SWEEP[1:])} < set(outcome.timings)
    bars, time, error = outcome.pictures
    assert isinstance(bars, Bars)
    assert isinstance(time, Lines)
    assert isinstance(error, Lines)
    assert list(time.series["measured"][0]) == list(pi.SWEEP)
    assert len({round(value or 0, 9) for value in error.series["distance from π"][1]}) > 4
    assert [note.split(":")[0] for note in outcome.notes] == ["Time", "Error"]


def test_detects_sweep_that_did_not_vary() -> None:
    """A sweep with one chunk each time, as in the tutorial, fails its check."""
    one: list[dict[str, Any]] = [{"key": ("count_inside", 0)}, {"key": "sum-0"}]
    tasks = checks.tasks_counted(one * (1 + len(pi.SWEEP) * pi.TURNS))
    steps = {chunks: pi.Counted(1000, 785, 1.0) for chunks in pi.SWEEP}
    assert tasks == {chunks: [1] * pi.TURNS for chunks in pi.SWEEP}
    failed = [check.name for check in checks.sweep_checks(steps, tasks) if not check.ok]
    assert failed == ["each number of chunks gives as many tasks"]


def test_memory_estimate_is_one_block_per_thread() -> None:
    """A worker's memory grows with its threads, not with the darts."""
    assert checks.memory(chunks=16, threads=4).worker == 4 * checks.memory(chunks=16).worker < 8 << 20
