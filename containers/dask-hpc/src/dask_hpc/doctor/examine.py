"""Run the checks side by side, each with a time limit; none can block the others or end in a traceback."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from time import monotonic, perf_counter

from dask_hpc.doctor.checks import CHECKS, Check
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Finding, Verdict, failure
from dask_hpc.processes import stop_all

_BUG = "this is a bug in the check: please report it"


class _Run(threading.Thread):
    def __init__(self, name: str, check: Check, site: Site) -> None:
        super().__init__(daemon=True)  # a check that hangs does not block the exit
        self.title = name
        self._check = check
        self._site = site
        self.verdict: Verdict | None = None
        self.seconds = 0.0

    def run(self) -> None:
        start = perf_counter()
        try:
            self.verdict = self._check.look(self._site)
        except Exception as error:  # noqa: BLE001 (the other checks are still useful)
            self.verdict = failure(f"could not be checked: {type(error).__name__}: {error}", _BUG)
        self.seconds = perf_counter() - start


def examine(site: Site, checks: Mapping[str, Check] = CHECKS) -> list[Finding]:
    """Return the findings of the checks, in their order; checks that do not apply here are left out."""
    runs = [_Run(name, check, site) for name, check in checks.items()]
    start = monotonic()
    try:
        for run in runs:
            run.start()
        return _collect(runs, [start + check.seconds for check in checks.values()])
    except BaseException:  # Ctrl-C: end the job on the nodes, and remove its files
        stop_all()
        for run in runs:
            if run.ident:  # it has been started
                run.join(20)
        raise


def _collect(runs: list[_Run], ends: list[float]) -> list[Finding]:
    found = []
    for run, end in zip(runs, ends, strict=True):
        run.join(max(0.0, end - monotonic()))
        verdict = failure("timed out", "check for a file system that hangs") if run.is_alive() else run.verdict
        if verdict:
            found.append(
                Finding(
                    check=run.title,
                    status=verdict.status,
                    seen=verdict.seen,
                    todo=verdict.todo,
                    seconds=round(run.seconds, 3),
                )
            )
    return found
