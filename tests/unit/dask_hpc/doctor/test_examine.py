"""Running checks side by side, each with a time limit."""

from __future__ import annotations

import sys
import threading

import pytest

from dask_hpc.doctor.checks import CHECKS, Check
from dask_hpc.doctor.examine import examine
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import ok


def test_check_that_raises_is_a_failure() -> None:
    """A bug in one check is reported without a traceback, and the other checks run."""

    def broken(_site: Site) -> None:
        raise ZeroDivisionError("of mine")

    found = examine(Site("login node"), {"broken": Check(broken, 5), "fine": Check(lambda _: ok("well"), 5)})
    assert [(one.check, one.status) for one in found] == [("broken", "failure"), ("fine", "ok")]
    assert "ZeroDivisionError: of mine" in found[0].seen


@pytest.mark.soak
def test_gives_up_hanging_check() -> None:
    """A check that hangs is a failure, and the others are reported; checks without a verdict are left out."""
    released = threading.Event()

    def hangs(_site: Site) -> None:
        released.wait()

    checks = {
        "hangs": Check(hangs, 0.1),
        "silent": Check(lambda _: None, 60),
        "fine": Check(lambda _: ok("well"), 60),
    }
    found = examine(Site("login node"), checks)
    assert not released.is_set()
    released.set()
    assert [(one.check, one.status) for one in found] == [("hangs", "failure"), ("fine", "ok")]
    assert found[0].seen == "timed out"


def test_all_checks_end_within_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """If every check of doctor hangs, doctor gives up on each within 120 s of its clock."""
    module = sys.modules[examine.__module__]
    clock, released = [0.0], threading.Event()

    def join(_run: threading.Thread, timeout: float) -> None:
        clock[0] += timeout

    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module._Run, "join", join)

    def hangs(_site: Site) -> None:
        released.wait()

    found = examine(Site("login node"), {name: Check(hangs, check.seconds) for name, check in CHECKS.items()})
    released.set()
    assert [one.check for one in found] == list(CHECKS)
    assert {one.seen for one in found} == {"timed out"}
    assert 0 < clock[0] <= 120
