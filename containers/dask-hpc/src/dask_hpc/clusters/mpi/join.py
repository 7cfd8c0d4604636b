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
"""The options that make sense where the cluster runs already; it has the dashboard that it was started with."""


def plan(options: ClusterOptions, file: Path) -> JoinPlan:
    """Read the scheduler file; raises `ClusterError` if it is stale, not whole, or not there."""
    options.refuse_others(
        OPTIONS, where="with --scheduler-file", seen="The cluster is there already, as it was started."
    )
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
    """A running dask-mpi cluster: its scheduler file, its Slurm job, if any, and the seconds to wait for it."""

    file: Path
    job: str
    timeout: int

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Connect; the cluster is left as it is."""
        clock = perf_counter()
        with mpi_scheduler_file.connect(self.file, self.security(), self.timeout) as client:
            try:
                with screen.stage("waiting for the workers"):
                    client.wait_for_workers(max(1, self.workers), timeout=self.timeout)
            except TimeoutError as error:
                raise ClusterError(
                    f"The workers have not come in {self.timeout} s.", str(error), "see its log."
                ) from error
            timings = {"cluster": perf_counter() - clock}
            show_dashboard_elsewhere(client, screen)
            yield Session(client=client, facts=lambda: self._facts(client), timings=timings)

    def security(self) -> Security | None:
        """Return the credentials beside the file; where there are none, Dask's configuration has to have them."""
        folder = Folder(self.file.parent)
        return folder.security() if self.tls and folder.tls.is_dir() else None

    def _facts(self, client: Client) -> ClusterFacts:
        found = self.facts(client)
        jobs = [Job(self.job, " ".join(found.nodes))] if self.job else []
        return msgspec.structs.replace(found, jobs=jobs)
