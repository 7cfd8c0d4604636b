"""A Dask cluster on this machine: `distributed.LocalCluster`, on the loopback interface."""

from __future__ import annotations

import multiprocessing.spawn
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from dask_hpc.clusters.base import Plan, Session, level_kept
from dask_hpc.clusters.dashboard import close_dashboard, show_dashboard
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.credentials import credentials
from dask_hpc.dask_settings import OF_A_RUN
from dask_hpc.errors import RequestError
from dask_hpc.paths import LocalPath
from dask_hpc.screen import Screen
from dask_hpc.units import NO_MEMORY

_MOST_WORKERS = 8
_LIFETIME = timedelta(days=365)  # of the credentials; a notebook may stay open for long
_NANNY_S_PROCESS = "Dask Worker process (from Nanny)"  # named by distributed


class LocalBackend:
    """`--on local`."""

    name = kind = "local"
    options = frozenset({"memory", "local_directory", "dashboard", "workers", "threads"})

    def plan(self, options: ClusterOptions) -> LocalPlan:
        """Plan one worker per core, each with its share of the memory."""
        cores = len(os.sched_getaffinity(0))
        workers = options.workers or min(cores, _MOST_WORKERS)
        threads = options.threads or 1
        if workers > 64 * cores:
            raise RequestError(f"{workers} workers are too many for the {cores} cores of this machine.")
        folder = options.local_directory
        memory = "auto" if options.memory is None else f"{options.memory}MiB"
        return LocalPlan(
            kind=self.name,
            rows=[
                ("workers", str(workers), f"of {cores} cores here"),
                ("threads", f"{threads} per worker", ""),
                ("memory", *_memory_row(options.memory)),
            ],
            settings={"workers": workers, "threads": threads, "memory": memory},
            workers=workers,
            worker_memory=_worker_memory(options.memory, threads),
            threads=threads,
            memory_limit=memory,
            local_directory=LocalPath().convert(folder, None, None) if folder else None,
            dashboard=options.dashboard,
        )


@dataclass(frozen=True, kw_only=True)
class LocalPlan(Plan):
    """Worker processes on this machine.

    Attributes:
        memory_limit: memory limit of a worker, in Dask's form.
        local_directory: folder that workers spill to.
        dashboard: address of the dashboard.
    """

    memory_limit: str
    local_directory: Path | None
    dashboard: str

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Start `LocalCluster`; nothing listens beyond 127.0.0.1 unless the dashboard was asked to.

        It uses TLS: every user of this machine can reach 127.0.0.1, and an open scheduler would run code for them.
        """
        from dask import config
        from distributed import Client, LocalCluster

        from dask_hpc.clusters.quiet_end import ends_quietly

        start = perf_counter()
        _keep_main_out_of_workers()
        close_dashboard()
        with (
            level_kept(),
            config.set(OF_A_RUN),
            tempfile.TemporaryDirectory(prefix="dask-hpc-", dir=self.local_directory) as scratch,
            credentials(Path(scratch, "tls"), _LIFETIME) as security,
            LocalCluster(
                host="127.0.0.1",
                security=security,
                n_workers=self.workers,
                threads_per_worker=self.threads,
                memory_limit=self.memory_limit,
                local_directory=scratch,
                dashboard_address=self.dashboard,
            ) as cluster,
            Client(cluster) as client,
            ends_quietly(client),
        ):
            with screen.stage("waiting for the workers"):
                client.wait_for_workers(self.workers, timeout=60)
            timings = {"cluster": perf_counter() - start}
            show_dashboard(cluster, screen)
            yield Session(client=client, facts=lambda: self.facts(client), cluster=cluster, timings=timings)


def _keep_main_out_of_workers() -> None:
    """Make Dask's worker processes start without the program's main module, as in Slurm jobs.

    `multiprocessing` would import it in each worker, so a script without `if __name__ == "__main__":` would start
    another Dask cluster in every worker. Dask sends workers what they need of it.
    """
    prepare = multiprocessing.spawn.get_preparation_data
    if getattr(prepare, "keeps_main_out", False):
        return

    def prepared(name: str) -> dict[str, Any]:
        data = prepare(name)
        if name == _NANNY_S_PROCESS:
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    prepared.keeps_main_out = True  # type: ignore[attr-defined]
    multiprocessing.spawn.get_preparation_data = prepared


def _memory_row(mib: int | None) -> tuple[str, str]:
    if mib is None:
        return "auto per worker", "the machine's memory, divided by cores"
    return ("no limit", "asked for") if mib == NO_MEMORY else (f"{mib}MiB per worker", "asked for")


def _worker_memory(mib: int | None, threads: int) -> int:
    """Return the bytes that Dask allows a worker: the given amount, or its share of the machine's memory by cores."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return mib << 20 if mib else int(MEMORY_LIMIT * min(1, threads / CPU_COUNT))
