"""Whether the machine does something else."""

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
def test_reads_how_busy_cores_are(after: str, part: float) -> None:
    """Waiting for a disk is idle, and time that the host takes away is not."""
    said = iter(["cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 1", f"{after}\ncpu0 1"])
    assert quiet.busy(0, lambda: next(said)) == part


def test_reads_this_machine() -> None:
    """The kernel's own figures are a part."""
    assert 0 <= quiet.busy(0.1) <= 1


def test_waits_until_it_is_quiet() -> None:
    """As long as others are at work, but no longer than patience lasts."""
    seen = iter([0.9, 0.5, 0.02, 0.9])
    assert quiet.wait(60, lambda: next(seen)) == 0.02
    assert quiet.wait(0, lambda: 0.7) == 0.7
