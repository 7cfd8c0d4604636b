"""`--on mpi` from a login node: submit one job of many ranks, connect by its scheduler file, and shut it down."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any

from dask_hpc import sif
from dask_hpc.clusters.asked import asked
from dask_hpc.clusters.base import Plan, Session, home, new_name, tls_row
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.clusters.jobs import cancelled_first, gone_at_end, refused
from dask_hpc.clusters.mpi.request import MpiJob, make_request
from dask_hpc.clusters.mpi.script import job_script
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.dask_settings import OF_A_RUN, refuse_unencrypted, without_theirs
from dask_hpc.errors import ClusterError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs as slurm_jobs
from dask_hpc.slurm.commands import require, submit
from dask_hpc.slurm.jobs import describe, judge
from dask_hpc.slurm.nodes import nodes
from dask_hpc.stop import not_interrupted

if TYPE_CHECKING:
    from distributed import Client

_BY_SBATCH = {"cpus-per-task": "threads", "nodes": "nodes", "ntasks-per-node": "ranks_per_node"}
_ENDING = 40.0  # seconds for a job to end by itself after its cluster was shut down, or with a lost node


def plan(options: ClusterOptions) -> JobPlan:
    """Plan the job from Slurm's nodes; raises `RequestError`, or `ClusterError` without Slurm."""
    require()
    refuse_unencrypted(tls=options.tls)
    wanted = asked(options, os.environ, _BY_SBATCH)
    there = nodes(wanted.options.partition, wanted.way("partition"))
    name = new_name()
    request = make_request(wanted, there, logs=home() / name)
    request.sbatch(name)  # raises before anything is started
    interface = wanted.options.interface
    rows = [
        *request.rows(),
        ("interface", interface or "each node's own", "asked for" if interface else "by which others reach the node"),
        tls_row(tls=options.tls),
    ]
    if image := sif.current():
        rows.append(("SIF", image.path, "ranks run in the same SIF as this program"))
    return JobPlan(
        kind="mpi",
        rows=rows,
        settings=request.settings(),
        workers=request.world - 1,
        worker_memory=request.memory << 20,
        threads=request.threads,
        tls=options.tls,
        request=request,
        name=name,
        options=wanted.options,
        folder=Folder(home() / f"{name}.mpi"),
    )


@dataclass(frozen=True, kw_only=True)
class JobPlan(Plan):
    """A Slurm job of MPI ranks; `name` is the job's name, unique to the run."""

    request: MpiJob
    name: str
    options: ClusterOptions
    folder: Folder

    @property
    def logs(self) -> Path:
        """Folder of the job's log."""
        return self.request.log_directory

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Submit the job and wait for its workers; at the end, leave no job, file or process."""
        clock = perf_counter()
        lifetime = timedelta(seconds=self.request.walltime)
        settings = MpiSettings(wait_for_client=self.options.timeout)
        with (
            self.folder.kept(tls=self.tls, lifetime=lifetime, settings=settings, of_dask=OF_A_RUN),
            gone_at_end(self.name, screen),
            cancelled_first(self.name),
        ):
            script = job_script(self.request, self.options, name=self.name, folder=self.folder, image=sif.current())
            screen.text("Job script", script)
            _submit(script, self.logs)
            timings = {"submit": perf_counter() - clock}
            with screen.stage(f"waiting for {self.workers} workers in one Slurm job"):
                client = _connected(self)
            timings["workers"] = perf_counter() - clock - timings["submit"]
            screen.text("squeue", slurm_jobs.queue(self.name))
            with _closed(client), _explained(self, client):
                show_dashboard_elsewhere(client, screen)
                yield Session(
                    client=client,
                    facts=lambda: self._facts(client),
                    timings=timings,
                    logs=None if self.options.log_directory else self.logs,
                )
                client.shutdown()
            _await_end(self, screen)

    def _facts(self, client: Client) -> ClusterFacts:
        world = mpi_scheduler_file.read(self.folder.scheduler_file)
        jobs = [Job(job.id, job.node) for job in slurm_jobs.jobs(self.name)]
        return self.facts(client, jobs, mpi=world.mpi, scheduler_node=world.node, launched="by a job")


def _submit(script: str, logs: Path) -> None:
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError("Could not submit the job.", str(error), "run 'scontrol ping'.") from error
    answer = submit(script, without_theirs(os.environ))
    if answer.status is None:
        raise ClusterError("Could not submit the job.", answer.said, "run 'scontrol ping'.")
    if answer.status:
        raise refused(answer.err or answer.out)


def _connected(plan: JobPlan) -> Client:
    """Wait for the job's scheduler file, connect, and wait for all workers; raise if the job cannot start them."""
    deadline = monotonic() + plan.options.timeout
    security = plan.folder.security() if plan.tls else None
    client = None
    while client is None:
        _judge(plan, deadline, "its scheduler has not started")
        if plan.folder.scheduler_file.exists():
            client = _client(plan, security, deadline)
        else:
            sleep(0.2)  # a shared file system sends no notice of a new file
    try:
        while True:
            try:
                client.wait_for_workers(plan.workers, timeout=1)
            except TimeoutError:
                _judge(plan, deadline, f"only {len(client.nthreads())} of {plan.workers} workers connected")
            else:
                return client
    except BaseException:
        client.close()
        raise


def _client(plan: JobPlan, security: Any, deadline: float) -> Client:
    try:
        return mpi_scheduler_file.connect(plan.folder.scheduler_file, security)
    except ClusterError:
        _judge(plan, deadline, "its scheduler does not answer")  # it may have ended after writing the file
        raise


def _judge(plan: JobPlan, deadline: float, seen: str) -> None:
    found = slurm_jobs.jobs(plan.name)
    judge(found, plan.logs)
    if monotonic() > deadline:
        raise ClusterError(
            f"The Dask cluster did not start within {plan.options.timeout} s: {seen}.",
            describe(found, plan.logs),
            "on a busy cluster, request less or increase --timeout; otherwise see the log.",
        )


@contextmanager
def _closed(client: Client) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(TimeoutError, OSError), not_interrupted():
            client.close(timeout=2)  # without a timeout it would wait for a lost scheduler


@contextmanager
def _explained(plan: JobPlan, client: Client) -> Iterator[None]:
    """If the job has ended, report its state and log instead of the error that followed from that."""
    try:
        yield
    except Exception as error:
        if client.status == "running" and _alive(plan):
            raise
        for name in ("distributed", "distributed.client"):  # their tracebacks repeat what is reported below
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _await_gone(plan)
        seen = describe(slurm_jobs.jobs(plan.name), plan.logs)
        raise ClusterError("The MPI job ended while the workload was running.", seen) from error


def _alive(plan: JobPlan) -> bool:
    return any(job.alive for job in slurm_jobs.jobs(plan.name))


def _await_gone(plan: JobPlan) -> bool:
    """Return whether the job ends by itself within 40 s."""
    deadline = monotonic() + _ENDING
    while not all(job.finished for job in slurm_jobs.jobs(plan.name)):
        if monotonic() > deadline:
            return False
        sleep(0.2)  # Slurm sends no notice when a job ends
    return True


def _await_end(plan: JobPlan, screen: Screen) -> None:
    with screen.stage("waiting for the Slurm job to end"):
        ended = _await_gone(plan)
    found = slurm_jobs.jobs(plan.name)
    if not ended or any(job.state != "COMPLETED" for job in found):
        screen.warn(f"the job did not complete normally:\n{describe(found, plan.logs)}")
