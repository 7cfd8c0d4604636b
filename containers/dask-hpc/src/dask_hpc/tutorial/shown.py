"""Show the result of a run to a person."""

from __future__ import annotations

from dask_hpc.screen import Screen
from dask_hpc.tutorial.results import Result

__all__ = ["show"]


def show(result: Result, screen: Screen) -> None:
    """Print a run: its parameters and cluster in the title, its table, its notes, its checks."""
    parameters = ", ".join(f"{name} {value}" for name, value in result.parameters.items())
    screen.table(f"{result.workload}: {parameters}", result.table.columns, result.table.rows, align="right")
    for note in result.notes:
        screen.note(note)
    cluster = result.cluster
    screen.note(
        f"on {cluster.kind}: {cluster.workers} workers, {cluster.threads} threads, nodes {' '.join(cluster.nodes)}"
        + (f", jobs {' '.join(job.id for job in cluster.jobs)}" if cluster.jobs else "")
        + (", TLS" if cluster.tls else "")
    )
    for check in result.checks:
        detail = f": {check.detail}" if check.detail else ""
        screen.verdict("ok" if check.ok else "failed", check.name + detail)
