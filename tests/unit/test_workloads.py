"""Options of all workloads: bad values are usage errors before anything starts."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest
from click.testing import CliRunner

from dask_hpc.cli import main
from dask_hpc.tutorial import Count, discovery
from tests.support.hpc_command import refused


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("eigenvalues --n 0", ["--n", "0 is not between 2"]),
        ("eigenvalues --n 1", ["--n", "1 is not between 2"]),
        ("eigenvalues --n 90000", ["does not fit", "181.05 GiB"]),
        ("eigenvalues --matrices -2", ["--matrices", "-2"]),
        ("eigenvalues --repeats 0", ["--repeats", "0"]),
        ("eigenvalues --size huge", ["--size", "huge", "tutorial"]),
        ("delayed-sum --n 100000", ["does not fit", "GiB"]),
        ("delayed-sum --n 7.5", ["--n", "7.5 is not a whole number"]),
        ("delayed-sum --sneed 3", ["--sneed", "--seed"]),
        ("partitioned-array --rows 0,5", ["--rows", "0 is not between 1"]),
        ("partitioned-array --rows 7000;3000", ["--rows", "not a number"]),
        ("partitioned-array --block 5,0", ["--block", "5,0", "2 × 3"]),
        ("partitioned-array --block 1", ["--block", "write 2"]),
        ("monte-carlo-pi --sweep --samples 100 --chunks 1", ["--sweep", "128", "100 samples"]),
    ],
)
def test_rejects_bad_numbers(command: str, words: list[str]) -> None:
    """Nothing starts, the exit status is 2, and the message has the option or the figure."""
    said = refused("run", *command.split())
    assert all(word in said for word in words), said


def test_help_shows_tutorial_size() -> None:
    """`--help` shows the values of --size tutorial."""
    for name, words in [("eigenvalues", "n 5000"), ("delayed-sum", "n 5000"), ("monte-carlo-pi", "sweep True")]:
        text = CliRunner().invoke(main, ["run", name, "--help"], env={"COLUMNS": "200"}).output
        assert words in " ".join(text.split())


@pytest.mark.parametrize("name", discovery.available())
def test_every_workload_rejects_counts_out_of_range(name: str) -> None:
    """Each integer option of main rejects values below its minimum, above its maximum, and not whole."""
    hints = get_type_hints(import_module(f"workloads.{name.replace('-', '_')}").main)
    counts = [
        option for option in discovery.load(discovery.available()[name]).options if isinstance(option.type, Count)
    ]
    assert {option.name for option in counts} == {
        parameter for parameter, hint in hints.items() if hint is int and parameter != "return"
    }
    for option in counts:
        assert isinstance(option.type, Count)
        for value in (option.type.minimum - 1, option.type.maximum + 1, "banana", "1.5"):
            assert f"'{option.opts[0]}'" in refused("run", name, option.opts[0], str(value))


@pytest.mark.parametrize("name", discovery.available())
def test_every_workload_rejects_unknown_option_and_size(name: str) -> None:
    """An unknown option and an unknown size are usage errors that list what exists."""
    assert "No such option" in refused("run", name, "--no-such-thing")
    sizes = discovery.load(discovery.available()[name]).checks.sizes
    said = refused("run", name, "--size", "gigantic")
    words = ["gigantic", *sizes] if sizes else ["No such option", "--size"]
    assert [word for word in words if word not in said] == [], said


FOUR = ("futures-pipeline", "data-locality", "pinned-tasks", "local-cluster")


SIZE = {"futures-pipeline": "--n", "data-locality": "--n", "pinned-tasks": "--n", "local-cluster": "--samples"}


def starts_nothing(folder: Path, *args: str) -> str:
    """Assert that `dask-hpc run` rejects its options and leaves no results; return its output."""
    said = refused("run", *args, "--results", str(folder / "results"))
    assert not (folder / "results").exists()
    return said


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "banana", "1e15"])
def test_rejects_invalid_size(tmp_path: Path, name: str, value: str) -> None:
    """Zero, negative, fractional, impossible and non-numeric sizes are rejected."""
    said = starts_nothing(tmp_path, name, SIZE[name], value)
    assert SIZE[name] in said
    assert value in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["futures-pipeline", "--n", "30000", "--matrices", "100"], ["futures-pipeline does not fit", "GiB"]),
        (["data-locality", "--n", "30000"], ["data-locality does not fit", "GiB"]),
        (["pinned-tasks", "--n", "30000"], ["pinned-tasks does not fit", "GiB"]),
        (["local-cluster", "--n-workers", "1000"], ["local-cluster does not fit", "GiB"]),
        (["local-cluster", "--samples", "1e11", "--chunks", "1"], ["local-cluster does not fit", "TiB"]),
        (["local-cluster", "--samples", "3", "--chunks", "4"], ["--chunks", "4 chunks are more than 3 samples"]),
        (["local-cluster", "--memory-limit", "1"], ["--memory-limit", "64MiB"]),
        (["pinned-tasks", "--n", "10", "--memory", "12"], ["--memory"]),
        (["futures-pipeline", "--size", "huge"], ["--size", "tutorial"]),
        (["futures-pipeline", "--compare", "-1"], ["--compare"]),
        (["data-locality", "--dim", "3"], ["--dim"]),
    ],
)
def test_rejects_impossible_options(tmp_path: Path, args: list[str], words: list[str]) -> None:
    """Too large, too small, contradictory or unknown values are rejected with the option or both figures."""
    said = starts_nothing(tmp_path, *args)
    for word in words:
        assert word in said
