"""`--on mpi --scheduler-file FILE`: a dask-mpi cluster that somebody has started, and that goes on after the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from dask_hpc.clusters.base import Plan, Session, worker_nodes
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import ClusterFacts, Job, Value
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import Folder
from dask_hpc.screen import Screen

__all__ = ["OPTIONS", "plan", "start"]

OPTIONS = frozenset({"scheduler_file", "timeout", "tls", "dashboard"})
"""What makes sense where the cluster is there already; it has the dashboard that it was started with."""


def plan(options: Mapping[str, Any], screen: Screen) -> Plan:
    """Read the file; raises `ClusterError` if it is stale, not whole, or not there."""
    _refuse_foreign(options)
    file = Path(options["scheduler_file"])
    found = mpi_scheduler_file.read(file)
    tls = found.address.startswith("tls://")
    if not tls:
        screen.warn("no TLS: whoever reaches the scheduler's port can run anything in your name.")
    rows = [
        ("scheduler", found.address, f"{file}" + (f", job {found.job} on {found.node}" if found.job else "")),
        ("ranks", str(found.world or "unknown"), found.mpi or "whoever wrote the file does not say"),
        ("TLS", "on" if tls else "off", "as it was started"),
    ]
    settings: dict[str, Value] = {
        "world": found.world,
        "mpi": found.mpi,
        "scheduler_node": found.node,
        "launched": "before",
    }
    workers = max(0, found.world - 1)
    return Plan(rows, settings, {"start": start, "file": file, "found": found, "options": options, "tls": tls}, workers)


def _refuse_foreign(options: Mapping[str, Any]) -> None:
    if foreign := sorted(name for name, value in options.items() if name not in OPTIONS and value not in (None, ())):
        raise RequestError(
            f"--{foreign[0].replace('_', '-')} has no meaning with --scheduler-file.",
            "The cluster is there already, as it was started.",
            "leave it out.",
        )


@contextmanager
def start(plan: Plan, screen: Screen) -> Iterator[Session]:
    """Connect; the cluster is left as it is."""
    clock, timeout = perf_counter(), plan.spec["options"]["timeout"]
    with mpi_scheduler_file.connect(plan.spec["file"], _security(plan), timeout) as client:
        try:
            with screen.stage("waiting for the workers"):
                client.wait_for_workers(max(1, plan.workers), timeout=timeout)
        except TimeoutError as error:
            raise ClusterError(f"The workers have not come in {timeout} s.", str(error), "see its log.") from error
        timings = {"cluster": perf_counter() - clock}
        show_dashboard_elsewhere(client, screen)
        yield Session(client, lambda: _facts(client, plan), timings)


def _security(plan: Plan) -> Any:
    """Return the credentials beside the file; where there are none, Dask's configuration has to have them."""
    folder = Folder(plan.spec["file"].parent)
    return folder.security() if plan.spec["tls"] and folder.tls.is_dir() else None


def _facts(client: Any, plan: Plan) -> ClusterFacts:
    threads, found = client.nthreads(), plan.spec["found"]
    nodes = worker_nodes(client)
    jobs = [Job(found.job, " ".join(nodes))] if found.job else []
    return ClusterFacts("mpi", len(threads), sum(threads.values()), nodes, plan.spec["tls"], jobs, plan.settings)
