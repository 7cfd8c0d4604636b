"""Counts, memory and wall times on the command line."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.units import UNLIMITED, Count, Memory, Walltime, format_walltime


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("2e8", 200_000_000), ("1_000", 1000), ("1.5e1", 15), (" 7 ", 7), ("1e15", 10**15)]
)
def test_parses_count(text: str, number: int) -> None:
    """Plain, grouped and exponential forms are accepted."""
    assert Count().convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "banana", "-1", "0", "1.5", "1e-3", "1e16", "nan", "inf", "1e999999999", "0x10"])
def test_rejects_invalid_count(text: str) -> None:
    """Anything but a whole number in range is a usage error that quotes it."""
    with pytest.raises(click.BadParameter) as caught:
        Count().convert(text, None, None)
    assert caught.value.message.startswith((f"{text} is ", f"{text!r} is "))


@given(st.integers(1, 10**15))
def test_parses_every_count_in_range(number: int) -> None:
    """Any number in range is read back as itself."""
    assert Count().convert(str(number), None, None) == number


@pytest.mark.parametrize(("text", "mib"), [("4GiB", 4096), ("64MiB", 64), ("500MB", 476)])
def test_parses_memory_as_mib(text: str, mib: int) -> None:
    """Dask's notation becomes MiB, rounded down."""
    assert Memory().convert(text, None, None) == mib


@pytest.mark.parametrize("text", ["banana", "0", "-1GiB", "4", "1KiB", "100"])
def test_rejects_invalid_memory(text: str) -> None:
    """An invalid amount, or one too small for a worker, is a usage error."""
    with pytest.raises(click.BadParameter):
        Memory().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("5:30", 360),
        ("0:01", 60),
        ("UNLIMITED", UNLIMITED),
        ("-1", UNLIMITED),
        ("1:30:00", 5400),
        ("1-0", 86400),
        ("1-12:30", 131400),
        ("2-00:00:01", 172860),
    ],
)
def test_parses_wall_time(text: str, seconds: int) -> None:
    """All of sbatch's forms are accepted, with sbatch's meaning: Slurm rounds up to whole minutes."""
    assert Walltime().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "banana", "-5", "1:2:3:4", "0:00", "1-"])
def test_rejects_invalid_wall_time(text: str) -> None:
    """An invalid form, or a time of zero, is a usage error."""
    with pytest.raises(click.BadParameter):
        Walltime().convert(text, None, None)


@given(st.integers(60, 30 * 86400))
def test_formats_and_parses_wall_time(seconds: int) -> None:
    """A formatted wall time is read back as the same number of minutes, rounded up."""
    assert Walltime().convert(format_walltime(seconds), None, None) == -(-seconds // 60) * 60
