"""`--on NAME`: run on a cluster that stays, and leave it running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from dask_hpc.clusters.base import Plan, Session, tls_row
from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.staying import manage
from dask_hpc.clusters.staying.folder import ClusterFolder, find
from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen

_OPTIONS = frozenset({"timeout"})


class StayingBackend:
    """`--on NAME`."""

    kind = "slurm"
    options = _OPTIONS

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(self, options: ClusterOptions) -> StayingSession:
        """Plan from what the cluster says about itself; raises `ClusterError` if it does not run."""
        from dask_hpc.clusters.staying.attach import ask

        options.refuse_others(_OPTIONS, where=f"with --on {self.name}", seen="The cluster is already running.")
        folder = find(self.name)
        found = ask(folder, "dask_hpc_status")
        address = folder.address()
        where = f"job {address.job} on {address.node}" if address and address.job else "on the login node"
        bounds = found["target"]
        jobs = f"{bounds[0]}" if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"
        return StayingSession(
            kind=self.name,
            rows=[
                ("scheduler", address.scheduler if address else "", where),
                ("jobs", jobs, "as it was started or scaled"),
                ("workers", str(found["workers"]), "connected now"),
                tls_row(tls=True, why="credentials of the cluster, in your home"),
            ],
            settings={"cluster": self.name, "jobs": jobs, "launched": "before"},
            workers=found["workers"],
            worker_memory=found["worker_memory"],
            threads=found["worker_threads"],
            folder=folder,
            timeout=options.timeout,
        )


@dataclass(frozen=True, kw_only=True)
class StayingSession(Plan):
    """A running cluster that stays, and the seconds to wait for a worker."""

    folder: ClusterFolder
    timeout: int

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Connect; afterwards the cluster keeps running."""
        from dask_hpc.clusters.staying.attach import attach

        clock = perf_counter()
        with attach(self.folder.name) as client:
            try:
                with screen.stage("waiting for a worker"):
                    client.wait_for_workers(1, timeout=self.timeout)
            except TimeoutError as error:
                raise ClusterError(
                    f"The Dask cluster {self.folder.name!r} has no worker, after {self.timeout} s.",
                    str(error),
                    f"see its jobs: dask-hpc cluster status {self.folder.name}",
                ) from error
            yield Session(
                client=client,
                facts=lambda: self._facts(client),
                cluster=StayingCluster(self.folder),
                timings={"cluster": perf_counter() - clock},
            )

    def _facts(self, client: Any) -> ClusterFacts:
        from dask_hpc.clusters.staying.attach import ask

        jobs = [Job(**{key: job[key] for key in ("id", "node")}) for job in ask(self.folder, "dask_hpc_status")["jobs"]]
        return self.facts(client, jobs)


class StayingCluster:
    """The handle that scales a cluster that stays, like Dask's own cluster objects."""

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder

    def scale(self, *, jobs: int) -> None:
        """Keep this number of jobs from now on."""
        manage.scale(self._folder, jobs, jobs)

    def adapt(self, *, minimum_jobs: int = 0, maximum_jobs: int) -> None:
        """Keep as many jobs as the work can use, within these bounds, from now on."""
        manage.scale(self._folder, minimum_jobs, maximum_jobs)
