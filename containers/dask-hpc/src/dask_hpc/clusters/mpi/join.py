"""`--on mpi --scheduler-file FILE`: connect to a running dask-mpi cluster and leave it running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from dask_hpc.clusters.base import Plan, Session, tls_row
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import ClusterError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import Folder
from dask_hpc.screen import Screen

if TYPE_CHECKING:
    from distributed import Client, Security

OPTIONS = frozenset({"scheduler_file", "timeout", "tls", "dashboard"})
"""Options that apply to a running cluster; its dashboard stays as it was started."""


def plan(options: ClusterOptions, file: Path) -> JoinPlan:
    """Plan from the scheduler file; raises `ClusterError` if it is missing, incomplete or stale."""
    options.refuse_others(OPTIONS, where="with --scheduler-file", seen="The cluster is already running.")
    found = mpi_scheduler_file.read(file)
    tls = found.address.startswith("tls://")
    return JoinPlan(
        kind="mpi",
        rows=[
            ("scheduler", found.address, f"{file}" + (f", job {found.job} on {found.node}" if found.job else "")),
            ("ranks", str(found.world or "unknown"), found.mpi or "not in the scheduler file"),
            tls_row(tls=tls, why="as it was started"),
        ],
        settings={
            "world": found.world,
            "mpi": found.mpi,
            "scheduler_node": found.node,
            "launched": "before",
        },
        workers=max(0, found.world - 1),
        tls=tls,
        file=file,
        job=found.job,
        timeout=options.timeout,
    )


@dataclass(frozen=True, kw_only=True)
class JoinPlan(Plan):
    """A running dask-mpi cluster: its scheduler file, its Slurm job, if any, and a timeout in seconds."""

    file: Path
    job: str
    timeout: int

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Connect; afterwards the cluster keeps running."""
        clock = perf_counter()
        with mpi_scheduler_file.connect(self.file, self.security(), self.timeout) as client:
            try:
                with screen.stage("waiting for the workers"):
                    client.wait_for_workers(max(1, self.workers), timeout=self.timeout)
            except TimeoutError as error:
                raise ClusterError(
                    f"Not all workers connected within {self.timeout} s.", str(error), "see the cluster's log."
                ) from error
            timings = {"cluster": perf_counter() - clock}
            show_dashboard_elsewhere(client, screen)
            yield Session(client=client, facts=lambda: self._facts(client), timings=timings)

    def security(self) -> Security | None:
        """Return the credentials beside the file; None if Dask's configuration must provide them."""
        folder = Folder(self.file.parent)
        return folder.security() if self.tls and folder.tls.is_dir() else None

    def _facts(self, client: Client) -> ClusterFacts:
        found = self.facts(client)
        jobs = [Job(self.job, " ".join(found.nodes))] if self.job else []
        return msgspec.structs.replace(found, jobs=jobs)
