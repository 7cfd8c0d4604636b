"""What a mini-cluster is to be is checked before anything starts; what Slurm says of a job is read right."""

from __future__ import annotations

import re

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from slurm_sim import SpecError
from slurm_sim.spec import MAX_NODES, check_count, check_name, parse_memory


@pytest.mark.parametrize("name", ["a", "0", "slurm-sim", "my_sim-2", "a" * 41])
def test_a_name_that_compose_takes_is_kept(name: str) -> None:
    """Small letters, digits, dashes and underscores make a name."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a/b", "ä", "a\n", "../a", "a" * 42, "$(id)"])
def test_a_name_that_compose_does_not_take_is_refused(name: str) -> None:
    """Any other name is refused, and the message says what a name is made of."""
    with pytest.raises(SpecError, match="small letters") as refused:
        check_name(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("count", [0, -3, 10000])
def test_a_count_that_cannot_be_had_is_refused(count: int) -> None:
    """None, fewer than none and more than fit are refused, and the message says what can be had."""
    with pytest.raises(SpecError, match=f"{count} nodes cannot be had") as refused:
        check_count("nodes", count, MAX_NODES)
    assert f"from 1 to {MAX_NODES}" in refused.value.hint


@given(st.integers(1, MAX_NODES))
def test_a_count_that_can_be_had_is_kept(count: int) -> None:
    """Every count up to the most is taken as it is."""
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
def test_memory_is_said_as_slurm_says_it(text: str | int, mebibytes: int) -> None:
    """A number with a unit, or of MiB without one."""
    assert parse_memory(text) == mebibytes


@pytest.mark.parametrize("text", ["banana", "", "G", "-4G", "4X", "63M", "0", "1e3", "nan", "inf", "4G4G", "9" * 400])
def test_memory_that_is_none_is_refused(text: str) -> None:
    """What is no memory, too little or more than a machine has is refused; the message says it and how to say it."""
    with pytest.raises(SpecError, match="as Slurm does") as refused:
        parse_memory(text)
    assert repr(text) in str(refused.value)


@given(st.integers(64, 2**20))
def test_memory_in_any_unit_is_the_same(mebibytes: int) -> None:
    """KiB, MiB and GiB that are equal are read as equal."""
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
    """Any text is a number of MiB within Slurm's limits, or a SpecError."""
    try:
        mebibytes = parse_memory(text)
    except SpecError as error:
        assert repr(text) in str(error)  # noqa: PT017
    else:
        assert re.match(r"\s*[0-9.]", text)
        assert mebibytes >= 64
        event("parsed")
