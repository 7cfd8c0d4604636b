"""Run a workload: create the results folder, start the Dask cluster, compute, and store the results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from dask_hpc.clusters import Backend, Plan, Session
from dask_hpc.clusters.base import quieten
from dask_hpc.clusters.facts import ClusterFacts
from dask_hpc.clusters.lost import scheduler_watched
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.dask_settings import blamed
from dask_hpc.errors import ResultsError
from dask_hpc.identity import environment, versions
from dask_hpc.screen import Screen
from dask_hpc.stop import stopping_cleanly
from dask_hpc.tutorial.fit import refuse_backend, refuse_what_does_not_fit
from dask_hpc.tutorial.options import recorded
from dask_hpc.tutorial.results import Result, make, show
from dask_hpc.tutorial.store import Store, shown
from dask_hpc.tutorial.workload import DEFAULT_SIZE, Outcome, Workload

if TYPE_CHECKING:
    from distributed import Client

    from dask_hpc.tutorial.report.page import Seen

_DONE = ("memory", "erred")  # states of tasks
_TO_DO = ("waiting", "queued", "processing", "no-worker")


@dataclass(frozen=True)
class Asked:
    """A request for a run: option values, the size that set their defaults, and extra reports."""

    workload: Workload
    parameters: dict[str, Any]
    size: str = DEFAULT_SIZE
    performance_report: bool = False


def run(asked: Asked, backend: Backend, options: ClusterOptions, *, root: Path, json: bool = False) -> int:
    """Run a workload and return the exit status: 0 if all checks hold and the results are written, else 1.

    Args:
        asked: the workload and its parameters.
        backend: where to run it.
        options: options of the Dask cluster.
        root: the results folder.
        json: print the result as JSON on standard output, and tables on standard error.
    """
    screen = Screen(quiet_stdout=json)
    plan = _plan(asked, backend, options)
    if plan.serves:
        plan.serve()
        return 0
    refuse_what_does_not_fit(asked.workload, asked.parameters, plan, one_machine=backend.name == "local")
    store = Store(root, asked.workload.name)
    try:
        plan.show(screen)
        result, seen = _run(asked, plan, store=store, screen=screen)
        _report(result, seen, store)
    except BaseException:
        store.discard()
        raise
    return _finish(result, store, screen, json=json)


def _plan(asked: Asked, backend: Backend, options: ClusterOptions) -> Plan:
    refuse_backend(asked.workload, backend)
    if asked.workload.checks.validate:
        asked.workload.checks.validate(**asked.parameters)
    with blamed():
        return backend.plan(options)


def _run(asked: Asked, plan: Plan, *, store: Store, screen: Screen) -> tuple[Result, Seen]:
    quieten()
    with stopping_cleanly():
        start = perf_counter()
        with ExitStack() as stack:
            with blamed():
                session = stack.enter_context(plan.start(screen))
            outcome, seen = _compute(asked, session, store=store, screen=screen)
            facts = session.facts()
            ended = perf_counter()
        timings = {"total": perf_counter() - start, "close": perf_counter() - ended}
        store.take_logs(session.logs)
    timings = session.timings | outcome.timings | timings
    return _result(asked, outcome, facts=facts, timings=timings, store=store), seen


def _compute(asked: Asked, session: Session, *, store: Store, screen: Screen) -> tuple[Outcome, Seen]:
    from dask_hpc.tutorial.report.page import Seen
    from dask_hpc.tutorial.report.task_stream import recording

    client = session.client
    with (
        screen.progress(f"computing {asked.workload.name}", lambda: _tasks_done(client)),
        scheduler_watched(client),
        _performance_report(asked, store),
        recording(client) as recorded,
    ):
        outcome = asked.workload.checks.run(client, **asked.parameters)
    return outcome, Seen(recorded.stream, outcome.graph)


@contextmanager
def _performance_report(asked: Asked, store: Store) -> Iterator[None]:
    """Also write Dask's own report; if the workload fails, do not contact the scheduler again."""
    from distributed import performance_report

    if not asked.performance_report:
        yield
        return
    file = store.partial / "performance-report.html"
    # inline: the page contains its scripts, and opens on a machine without a network
    report = performance_report(str(file), mode="inline")
    report.__enter__()
    yield
    store.add(file.name, lambda _: report.__exit__(None, None, None))
    store.add(file.name, _drop_favicon)


def _drop_favicon(file: Path) -> None:
    # Dask's report would fetch this, and nothing else, from the network
    page = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r'<link rel="shortcut icon"[^>]*>', "", page), encoding="utf-8")


def _result(asked: Asked, outcome: Outcome, *, facts: ClusterFacts, timings: dict[str, float], store: Store) -> Result:
    return make(
        workload=asked.workload.name,
        summary=asked.workload.summary,
        started=store.started.isoformat(),
        ok=all(check.ok for check in outcome.checks),
        size=asked.size,
        parameters={name: recorded(value) for name, value in asked.parameters.items()},
        values=dict(outcome.values),
        timings=timings,
        checks=outcome.checks,
        table={"columns": outcome.columns, "rows": outcome.rows},
        notes=outcome.notes,
        pictures=outcome.pictures,
        cluster=facts,
        environment=environment(),
        versions=versions(),
        folder=str(store.folder),
    )


def _report(result: Result, seen: Seen, store: Store) -> None:
    from dask_hpc.tutorial.report.page import write_report

    store.add("report.html", lambda file: write_report(file, result, seen))


def _finish(result: Result, store: Store, screen: Screen, *, json: bool) -> int:
    failure = None
    try:
        store.keep(result)
    except ResultsError as error:
        failure = error
    show(result, screen)
    if json:
        screen.json(msgspec.json.encode(result))
    if failure:
        failure.show()
        return failure.exit_code
    screen.note(f"results: {shown(result.folder)}")
    screen.note(f"report: {shown(store.latest / 'report.html')}")
    return 0 if result.ok else 1


def _tasks_done(client: Client) -> tuple[int, int]:
    """Return how many tasks have finished, and how many the scheduler has seen in total."""
    found: tuple[int, int] = client.run_on_scheduler(_count)
    return found


def _count(dask_scheduler: Any) -> tuple[int, int]:
    prefixes = list(dask_scheduler.task_prefixes.values())
    done = sum(prefix.state_counts[state] for prefix in prefixes for state in _DONE)
    return done, done + sum(prefix.states[state] for prefix in prefixes for state in _TO_DO)
