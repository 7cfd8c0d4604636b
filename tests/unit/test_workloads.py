"""Bad numbers for the workloads on arrays and `delayed`: each ends as a usage error that names the option."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from dask_hpc.cli import main


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
def test_bad_numbers_are_usage_errors(command: str, words: list[str]) -> None:
    """Nothing starts, the status is 2, and the message has the option or the figure."""
    done = CliRunner().invoke(main, ["run", *command.split()], env={"COLUMNS": "200"})
    assert done.exit_code == 2, done.output
    assert all(word in done.output for word in words), done.output
    assert "Traceback" not in done.output


def test_the_tutorials_sizes_are_offered() -> None:
    """`--help` says what --size tutorial means."""
    for name, words in [("eigenvalues", "n 5000"), ("delayed-sum", "n 5000"), ("monte-carlo-pi", "sweep True")]:
        text = CliRunner().invoke(main, ["run", name, "--help"], env={"COLUMNS": "200"}).output
        assert words in " ".join(text.split())
