"""Validating the name, counts and memory of a mini-cluster."""

from __future__ import annotations

import re

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from slurm_sim import SpecError
from slurm_sim.config import MAX_NODES, parse_memory
from slurm_sim.spec import check_count, check_name, check_slurm_conf


@pytest.mark.parametrize("name", ["a", "0", "slurm-sim", "my_sim-2", "a" * 41])
def test_accepts_valid_name(name: str) -> None:
    """A name has lowercase letters, digits, dashes and underscores."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a/b", "ä", "a\n", "../a", "a" * 42, "$(id)"])
def test_rejects_invalid_name(name: str) -> None:
    """Any other name is rejected, and the error says what is allowed."""
    with pytest.raises(SpecError, match="lowercase letters") as refused:
        check_name(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("count", [0, -3, 10000])
def test_rejects_count_out_of_range(count: int) -> None:
    """A count below one or above the limit is rejected, and the error has the range."""
    with pytest.raises(SpecError, match=f"nodes must be between 1 and {MAX_NODES}, not {count}"):
        check_count("nodes", count, MAX_NODES)


@given(st.integers(1, MAX_NODES))
def test_accepts_every_count_in_range(count: int) -> None:
    """Every count up to the limit is accepted."""
    assert check_count("nodes", count, MAX_NODES) == count


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("4G", 4096),
        ("512M", 512),
        ("1.5G", 1536),
        ("4g", 4096),
        ("4GiB", 4096),
        (" 4 GB ", 4096),
        (64, 64),
        ("1T", 2**20),
    ],
)
def test_parses_memory(text: str | int, mebibytes: int) -> None:
    """A number has a unit, or is in MiB without one."""
    assert parse_memory(text) == mebibytes


@pytest.mark.parametrize("text", ["banana", "", "G", "-4G", "4X", "63M", "0", "1e3", "nan", "inf", "4G4G", "9" * 400])
def test_rejects_invalid_memory(text: str) -> None:
    """Invalid, too small and impossible amounts are rejected, and the error shows the valid form."""
    with pytest.raises(SpecError, match="Slurm's notation") as refused:
        parse_memory(text)
    assert repr(text) in str(refused.value)


@given(st.integers(64, 2**20))
def test_units_of_memory_are_equivalent(mebibytes: int) -> None:
    """Equal amounts in KiB, MiB and GiB are read as equal."""
    texts: list[str | int] = [
        mebibytes,
        f"{mebibytes}",
        f"{mebibytes}M",
        f"{mebibytes * 1024}K",
        f"{mebibytes / 1024:.20f}G",
    ]
    assert {parse_memory(text) for text in texts} == {mebibytes}


@given(st.text(alphabet="0123456789.eE+-_ \nKMGTPiBbx٣", max_size=12))
@example("4G")
def test_parses_or_rejects_any_memory_text(text: str) -> None:
    """Any text is parsed as a number of MiB within Slurm's limits, or rejected with a SpecError."""
    try:
        mebibytes = parse_memory(text)
    except SpecError as error:
        assert repr(text) in str(error)  # noqa: PT017
    else:
        assert re.match(r"\s*[\d.]", text)
        assert 64 <= mebibytes <= 1024 << 20
        event("parsed")


@pytest.mark.parametrize(("count", "most"), [(1, 1), (1, 5), (5, 5)])
def test_accepts_bounds_of_count(count: int, most: int) -> None:
    """One and the maximum are accepted."""
    assert check_count("nodes", count, most) == count


@pytest.mark.parametrize(("count", "most"), [(0, 5), (6, 5), (-1, 5)])
def test_rejects_count_just_outside_bounds(count: int, most: int) -> None:
    """Zero, a negative number and one more than the maximum are rejected."""
    with pytest.raises(SpecError):
        check_count("nodes", count, most)


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("64M", 64), ("65536K", 64), ("1024T", 1024**3), ("2t", 2 * 1024**2), ("100mb", 100), ("0.5G", 512)],
)
def test_accepts_bounds_of_memory(text: str, mebibytes: int) -> None:
    """Sizes from 64 MiB to 1024 TiB are accepted in any unit."""
    assert parse_memory(text) == mebibytes


@pytest.mark.parametrize("text", ["63M", "65535K", "1025T", "1024.1T", "1.G", "1 000", "4Gi B", "4BG", "1.5.5G"])
def test_rejects_memory_just_outside_bounds(text: str) -> None:
    """Sizes just outside the bounds, and malformed numbers, are rejected."""
    with pytest.raises(SpecError):
        parse_memory(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [("Kill Wait", "2"), ("", "2"), ("KillWait", ""), ("KillWait", " "), ("KillWait", "2\nInclude x"), ("2Kill", "1")],
)
def test_rejects_invalid_line_of_slurm_conf(key: str, value: str) -> None:
    """An invalid key, an empty value or a second line in a value is rejected, with an example of a valid line."""
    with pytest.raises(SpecError, match="is not a valid line of") as refused:
        check_slurm_conf({key: value})
    assert "KillWait=2" in refused.value.todo


def test_values_of_slurm_conf_become_text() -> None:
    """Numbers are converted to text, and truth values to Slurm's words; a list is several lines."""
    sets = ["a Feature=x", "b Feature=y"]
    given = {
        "SlurmdTimeout": 10,
        "MpiDefault": "none",
        "DisableRootJobs": True,
        "NodeSet": sets,
    }
    assert check_slurm_conf(given) == {
        "SlurmdTimeout": "10",
        "MpiDefault": "none",
        "DisableRootJobs": "YES",
        "NodeSet": sets,
    }
