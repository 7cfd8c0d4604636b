"""One run of a workload: the results folder first, then the Dask cluster, the computation, and what it left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import msgspec

from dask_hpc.clusters import Backend, Session
from dask_hpc.errors import ResultsError
from dask_hpc.fit import refuse_backend, refuse_what_does_not_fit
from dask_hpc.identity import environment, versions
from dask_hpc.results import ClusterFacts, Result, Store
from dask_hpc.show import Screen
from dask_hpc.stop import stopping_cleanly
from dask_hpc.workload import Outcome, Workload

__all__ = ["run"]


def run(
    workload: Workload,
    parameters: dict[str, Any],
    backend: Backend,
    options: Mapping[str, Any],
    *,
    root: Path,
    json: bool,
) -> int:
    """Run a workload and return the exit status: 0 if all checks hold and all is written, else 1.

    Args:
        workload: what to run.
        parameters: its options' values.
        backend: where.
        options: the backend's options' values.
        root: the results folder.
        json: print the result as JSON on standard output, and tables on standard error.
    """
    screen = Screen(quiet_stdout=json)
    refuse_backend(workload, backend.name)
    if workload.validate:
        workload.validate(**parameters)
    plan = backend.plan(options, screen)
    refuse_what_does_not_fit(workload, parameters, plan, one_machine=backend.name == "local")
    store = Store(root, workload.name)
    try:
        screen.table(f"Dask cluster ({backend.name})", ("setting", "value", "why"), plan.rows)
        with stopping_cleanly():
            start = perf_counter()
            with backend.start(plan, screen) as session:
                outcome = _compute(workload, parameters, session, store, screen)
                facts, ended = session.facts(), perf_counter()
            timings = {"total": perf_counter() - start, "close": perf_counter() - ended}
            store.take_logs(session.logs)
    except BaseException:
        store.discard()
        raise
    timings = session.timings | outcome.timings | timings
    return _finish(_result(workload, parameters, outcome, facts, timings, store), outcome, store, screen, json=json)


def _compute(workload: Workload, parameters: dict[str, Any], session: Session, store: Store, screen: Screen) -> Outcome:
    from distributed import performance_report

    outcome = None
    try:
        # inline: the page carries its scripts, and opens on a machine without a network
        with screen.stage(f"computing {workload.name}"), performance_report(str(store.report), mode="inline"):
            outcome = workload.run(session.client, **parameters)
    except OSError as error:
        if outcome is None:
            raise
        store.problem = error  # the report could not be written: that must not cost the result
    return outcome


def _result(
    workload: Workload,
    parameters: dict[str, Any],
    outcome: Outcome,
    facts: ClusterFacts,
    timings: dict[str, float],
    store: Store,
) -> Result:
    return Result(
        workload=workload.name,
        started=store.started.isoformat(),
        ok=all(check.ok for check in outcome.checks),
        parameters=parameters,
        values=dict(outcome.values),
        timings=timings,
        checks=outcome.checks,
        cluster=facts,
        environment=environment(),
        versions=versions(),
        folder=str(store.folder),
    )


def _finish(result: Result, outcome: Outcome, store: Store, screen: Screen, *, json: bool) -> int:
    failure = None
    try:
        store.keep(result)
    except ResultsError as error:
        failure = error
    screen.result(result, outcome.columns, outcome.rows)
    if json:
        click.echo(msgspec.json.encode(result))
    if failure:
        failure.show()
        return failure.exit_code
    screen.note(f"results: {result.folder}")
    return 0 if result.ok else 1
