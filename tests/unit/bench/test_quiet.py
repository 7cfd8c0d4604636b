"""Detect other work on the machine."""

from __future__ import annotations

import pytest

from bench import quiet


@pytest.mark.parametrize(
    ("after", "part"),
    [
        ("cpu 0 0 0 200 0 0 0 0 0 0", 0.0),
        ("cpu 100 0 0 100 0 0 0 0 0 0", 0.5),
        ("cpu 50 0 50 0 100 0 0 0 0 0", 0.5),
        ("cpu 0 0 0 100 0 0 0 100 0 0", 0.5),
        ("cpu 0 0 0 0 0 0 0 0 0 0", 0.0),
    ],
    ids=["idle", "programs", "waits for a disk", "the host takes it", "no tick"],
)
def test_reads_load_of_cores(after: str, part: float) -> None:
    """Waiting for a disk counts as idle; time that the host takes away does not."""
    said = iter(["cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 1", f"{after}\ncpu0 1"])
    assert quiet.busy(0, lambda: next(said)) == part


def test_reads_this_machine() -> None:
    """The kernel's figures of this machine give a fraction."""
    assert 0 <= quiet.busy(0.1) <= 1


def test_waits_until_it_is_quiet() -> None:
    """Waiting ends when the machine is quiet, or after the given time."""
    seen = iter([0.9, 0.5, 0.02, 0.9])
    assert quiet.wait(60, lambda: next(seen)) == 0.02
    assert quiet.wait(0, lambda: 0.7) == 0.7
