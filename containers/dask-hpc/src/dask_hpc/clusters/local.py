"""A Dask cluster on this machine: `distributed.LocalCluster`, on the loopback interface."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from dask_hpc.clusters.base import Plan, Session, dashboard_link, worker_nodes
from dask_hpc.errors import RequestError
from dask_hpc.results import ClusterFacts, Value
from dask_hpc.show import Screen

__all__ = ["LocalBackend"]

_MOST_WORKERS = 8


class LocalBackend:
    """`--on local`."""

    name = "local"
    options = frozenset({"memory", "local_directory", "dashboard", "workers", "threads"})

    def plan(self, options: Mapping[str, Any], screen: Screen) -> Plan:  # noqa: ARG002 (the same for all backends)
        """Give every core a worker, and every worker its share of the memory."""
        cores = len(os.sched_getaffinity(0))
        workers = options["workers"] or min(cores, _MOST_WORKERS)
        threads = options["threads"] or 1
        if workers > 64 * cores:
            raise RequestError(f"{workers} workers are too many for the {cores} cores of this machine.")
        memory = f"{options['memory']}MiB" if options["memory"] else "auto"
        spec = {"n_workers": workers, "threads_per_worker": threads, "memory_limit": memory}
        rows = [
            ("workers", str(workers), f"of {cores} cores here"),
            ("threads", f"{threads} a worker", ""),
            ("memory", f"{memory} a worker", "" if options["memory"] else "the machine's, shared out by cores"),
        ]
        spec["local_directory"], spec["dashboard_address"] = options["local_directory"], options["dashboard"]
        settings: dict[str, Value] = {"workers": workers, "threads": threads, "memory": memory}
        return Plan(rows, settings, spec, workers, _worker_memory(options["memory"], threads), threads)

    @contextmanager
    def start(self, plan: Plan, screen: Screen) -> Iterator[Session]:
        """Start `LocalCluster`; nothing listens beyond 127.0.0.1, unless the dashboard was asked to."""
        from distributed import Client, LocalCluster

        start = perf_counter()
        with (
            tempfile.TemporaryDirectory(prefix="dask-hpc-", dir=plan.spec["local_directory"]) as scratch,
            LocalCluster(host="127.0.0.1", **{**plan.spec, "local_directory": scratch}) as cluster,
            Client(cluster) as client,
        ):
            with screen.stage("waiting for the workers"):
                client.wait_for_workers(plan.spec["n_workers"], timeout=60)
            timings = {"cluster": perf_counter() - start}
            screen.note(f"dashboard: {dashboard_link(cluster)}")
            yield Session(client, lambda: _facts(client, plan), timings)


def _worker_memory(mib: int | None, threads: int) -> int:
    """Return the bytes that Dask allows a worker: what was given, or its share of the machine's by cores."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return mib << 20 if mib else int(MEMORY_LIMIT * min(1, threads / CPU_COUNT))


def _facts(client: Any, plan: Plan) -> ClusterFacts:
    threads = client.nthreads()
    return ClusterFacts(
        "local", len(threads), sum(threads.values()), worker_nodes(client), tls=False, settings=plan.settings
    )
