"""Running checks side by side, each with a time limit."""

from __future__ import annotations

import time

from dask_hpc.doctor import examine, ok
from dask_hpc.doctor.site import Site


def test_a_check_that_raises_is_a_failure() -> None:
    """A defect in one check is told, without a traceback, and the others are there."""

    def broken(_site: Site) -> None:
        raise ZeroDivisionError("of mine")

    found = examine(Site("login node"), {"broken": (broken, 5), "fine": (lambda _: ok("well"), 5)})
    assert [(one.check, one.status) for one in found] == [("broken", "failure"), ("fine", "ok")]
    assert "ZeroDivisionError: of mine" in found[0].seen


def test_a_check_that_hangs_is_given_up() -> None:
    """A check's time is limited, and those that have nothing to say are left out."""
    start = time.monotonic()
    found = examine(
        Site("login node"), {"hangs": (lambda _: time.sleep(5), 0.2), "silent": (lambda _: None, 5)}
    )  # fmt: skip
    assert time.monotonic() - start < 3
    assert [(one.check, one.status) for one in found] == [("hangs", "failure")]
