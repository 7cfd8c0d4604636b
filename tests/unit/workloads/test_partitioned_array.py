"""The workload partitioned-array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.tutorial import Grid, Workload
from dask_hpc.tutorial.discovery import load
from workloads import partitioned_array
from workloads.checks.partitioned_array import TUTORIAL, drawn_check, memory, size_checks, sums_check, validate
from workloads.partitioned_array import Sums, draw, main, partitioned, sources

SMALL: dict[str, Any] = {"rows": (70, 30), "columns": (60, 20, 20), "block": (0, 1)}
CHUNKS = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(partitioned_array.__file__))


def test_tutorial_array_has_expected_sizes() -> None:
    """The array is 10000 × 10000 in six chunks and one layer, its block is one chunk in two; nothing is computed."""
    array = partitioned(TUTORIAL["rows"], TUTORIAL["columns"], 42)
    assert (array.shape, array.npartitions, len(array.dask.layers)) == ((10000, 10000), 6, 1)
    block = array.blocks[0, 1]
    assert (block.shape, block.npartitions, len(block.dask.layers)) == ((7000, 2000), 1, 2)
    checks = size_checks(array, (0, 1), tutorial=True)
    assert [check.ok for check in checks] == [True, True]
    assert checks[1].detail == "762.94 MiB, 320.43 MiB, 106.81 MiB"


def test_tutorial_array_is_default(workload: Workload) -> None:
    """Without options the array is the tutorial's."""
    defaults = {str(option.name): option.default for option in workload.options}
    assert {name: workload.checks.types[name].convert(defaults[name], None, None) for name in TUTORIAL} == TUTORIAL


def test_size_check_rejects_other_array() -> None:
    """An array with other sizes than the tutorial's fails the check."""
    array = partitioned((7000, 3001), (6000, 2000, 2000), 42)
    assert [check.ok for check in size_checks(array, (0, 1), tutorial=True)] == [True, False]


@settings(max_examples=20)
@given(rows=CHUNKS, columns=CHUNKS, seed=st.integers(0, 2**40))
def test_numpy_draws_same_blocks_as_dask(rows: tuple[int, ...], columns: tuple[int, ...], seed: int) -> None:
    """For any chunks, each block equals the one that NumPy draws from its stream."""
    array = partitioned(rows, columns, seed)
    whole = array.compute(scheduler="sync")
    blocks = {index: draw(*source) for index, source in sources(array, seed).items()}
    heights, widths = array.numblocks
    assert np.array_equal(whole, np.block([[blocks[i, j] for j in range(widths)] for i in range(heights)]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,5", "not between 1 and"),
        ("-3", "not between 1 and"),
        ("2.5,1", "not a whole number"),
        ("7000;3000", "not a number"),
        ("", "not a number"),
        ("1e9", "not between 1 and 10000000"),
    ],
)
@pytest.mark.parametrize("name", ["rows", "columns"])
def test_rejects_bad_chunks(workload: Workload, name: str, text: str, words: str) -> None:
    """Invalid chunk sizes are a usage error that gives the reason."""
    with pytest.raises(click.BadParameter, match=words):
        workload.checks.types[name].convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "0,1,2"])
def test_rejects_block_without_two_numbers(workload: Workload, text: str) -> None:
    """One or three numbers are rejected."""
    with pytest.raises(click.BadParameter, match="write 2"):
        workload.checks.types["block"].convert(text, None, None)


@pytest.mark.parametrize("block", [(2, 0), (0, 3)])
def test_rejects_block_out_of_range(block: tuple[int, int]) -> None:
    """The error gives the number of blocks."""
    with pytest.raises(click.BadParameter, match="2 × 3"):
        validate(**SMALL | {"block": block})


def test_normalises_numbers(workload: Workload) -> None:
    """1e3 and 1_000 mean 1000."""
    assert workload.checks.types["rows"].convert("1e3, 1_000", None, None) == (1000, 1000)


def test_memory_is_largest_block_per_thread() -> None:
    """One thread needs room for the largest block, three for the three largest."""
    one = memory(**TUTORIAL, threads=1)
    three = memory(**TUTORIAL, threads=3)
    assert one.worker == 8 * 7000 * 6000
    assert three.worker == 8 * (7000 * 6000 + 3000 * 6000 + 7000 * 2000)
    assert one.client == 8 * 7000 * 6000


def test_runs_on_two_workers(two_workers: Client, workload: Workload) -> None:
    """All checks pass, the table has a row per block, and the picture has their sizes."""
    outcome = workload.checks.run(two_workers, **SMALL, seed=3)
    assert [check.name for check in outcome.checks if not check.ok] == []
    assert len(outcome.checks) == 5
    assert [row[0] for row in outcome.rows][:6] == [f"blocks[{i}, {j}]" for i in range(2) for j in range(3)]
    assert outcome.values["block"] == 8 * 70 * 20
    (grid,) = outcome.pictures
    assert isinstance(grid, Grid)
    assert grid.labels is not None
    assert grid.labels[0][0] == "32.81 kiB"
    assert len(outcome.graph) == 6


def test_script_finds_same_numbers_as_numpy() -> None:
    """On threads of a single process, `main` finds NumPy's sums and NumPy's block."""
    with (
        LocalCluster(processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        found = main(client, **SMALL, seed=3)
    assert found.array.shape == (100, 100)
    assert sums_check(found.sums).ok
    assert found.same_block


def test_checks_detect_faults() -> None:
    """A sum that is off by more than rounding fails, and so does drawing two blocks."""
    expected = {(0, 0): 100.0}
    assert sums_check(Sums(expected, {(0, 0): 100.0 * (1 + 1e-13)}, 1.0, 1.0)).ok
    assert not sums_check(Sums(expected, {(0, 0): 100.0 * (1 + 1e-11)}, 1.0, 1.0)).ok
    assert not drawn_check([{"key": ("random-1", 0, 0)}, {"key": ("random-1", 0, 1)}], (0, 1)).ok
