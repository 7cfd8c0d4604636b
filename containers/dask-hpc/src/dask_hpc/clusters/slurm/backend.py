"""A Dask cluster of Slurm jobs: plan and show the settings of `dask_jobqueue.SLURMCluster`, and clean up after it."""

from __future__ import annotations

import logging
import os
import signal
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import structs

from dask_hpc import network, sif
from dask_hpc.clusters.asked import asked
from dask_hpc.clusters.base import Plan, Session, home, level_kept, new_name, quieten, tls_row
from dask_hpc.clusters.dashboard import close_dashboard, show_dashboard
from dask_hpc.clusters.jobs import cancelled_first, gone_at_end
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.silence import LOST_RESULTS, silent
from dask_hpc.clusters.slurm.request import WorkerJobs, make_request
from dask_hpc.clusters.slurm.script import CONFIG_NAME, cluster_settings, in_sif
from dask_hpc.credentials import credentials
from dask_hpc.dask_settings import OF_A_RUN, refuse_unencrypted
from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs as slurm_jobs
from dask_hpc.slurm.commands import require
from dask_hpc.slurm.nodes import nodes
from dask_hpc.stop import handling, not_interrupted

if TYPE_CHECKING:
    from distributed import Security
    from distributed.diagnostics.plugin import SchedulerPlugin

    from dask_hpc.clusters.facts import Job
    from dask_hpc.clusters.slurm.kept.cluster import KeptCluster
    from dask_hpc.clusters.slurm.kept.keeper import Keeper
    from dask_hpc.clusters.slurm.watch import Watch

_LONGEST = timedelta(days=3660)  # validity of a run's credentials: it may last longer than its jobs, which are replaced


class SlurmBackend:
    """`--on slurm`."""

    name = kind = "slurm"
    options = frozenset(
        {"memory", "local_directory", "dashboard", "jobs", "cores", "processes", "walltime", "partition", "account"}
        | {"sbatch_option", "interface", "log_directory", "timeout", "max_failures", "verbose", "tls"}
    )

    def plan(self, options: ClusterOptions) -> SlurmPlan:
        """Plan the jobs from Slurm's nodes."""
        require()
        refuse_unencrypted(tls=options.tls)
        wanted = asked(options, os.environ, {"cpus-per-task": "cores"})
        there = nodes(wanted.options.partition, wanted.way("partition"))
        if wanted.options.interface:
            network.address(wanted.options.interface)
        name = new_name()
        request = make_request(wanted, there, interface=network.choose(), logs=home() / name)
        request.sbatch(name)  # raises before anything is started
        rows = [*request.rows(), tls_row(tls=options.tls)]
        if image := sif.current():
            rows.append(("SIF", image.path, "workers run in the same SIF as this program"))
        return SlurmPlan(
            kind=self.name,
            rows=rows,
            settings=request.settings(),
            workers=request.jobs * request.processes,
            worker_memory=(request.memory << 20) // request.processes,
            threads=request.cores // request.processes,
            tls=options.tls,
            request=request,
            name=name,
            options=wanted.options,
        )


@dataclass(frozen=True, kw_only=True)
class SlurmPlan(Plan):
    """Workers in Slurm jobs; `name` is the jobs' name, unique to the run."""

    request: WorkerJobs
    name: str
    options: ClusterOptions

    @property
    def credentials(self) -> Path | None:
        """Folder of the credentials, on the shared home."""
        return home() / f"{self.name}.tls" if self.tls else None

    def keeper(self, *, fail: Callable[[Exception], None], say: Callable[[str], None]) -> Keeper:
        """Return what will keep the jobs; it calls `fail` with an error that ends the cluster, and `say` with lines."""
        from dask_hpc.clusters.slurm.kept.keeper import Keeper

        return Keeper(
            name=self.name,
            processes=self.request.processes,
            cores=self.request.cores,
            walltime=self.request.walltime,
            patience=self.options.timeout,
            failures=self.options.max_failures,
            logs=self.request.log_directory,
            fail=fail,
            say=say,
            verbose=self.options.verbose,
        )

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Submit the jobs and wait for their workers; at the end, leave no job, credential or process."""
        from distributed import Client

        from dask_hpc.clusters.slurm.watch import Watch

        clock = perf_counter()
        watch = Watch()
        watch.keeper = keeper = self.keeper(fail=watch.fail, say=screen.say)
        with ExitStack() as stack:
            stack.enter_context(level_kept())
            stack.enter_context(silent(LOST_RESULTS, "distributed.scheduler", "distributed.client"))
            stack.enter_context(_giving_up(watch))
            stack.enter_context(gone_at_end(self.name, screen))
            security = stack.enter_context(_security(self))  # removed before the wait for the jobs
            cluster = stack.enter_context(kept_cluster(self, keeper, watch, security))
            screen.text("Job script", cluster.job_script())
            timings = {"cluster": perf_counter() - clock}
            clock = perf_counter()
            cluster.scale(jobs=self.request.jobs)
            with screen.stage(f"waiting for {self.workers} workers in {self.request.jobs} Slurm jobs"):
                watch.wait_for_workers(self.workers, timeout=self.options.timeout, logs=self.request.log_directory)
            timings["workers"] = perf_counter() - clock
            if self.request.most_jobs > self.request.jobs:
                cluster.adapt(minimum_jobs=self.request.jobs, maximum_jobs=self.request.most_jobs)
            client = stack.enter_context(Client(cluster))
            screen.text("squeue", slurm_jobs.queue(self.name))
            show_dashboard(cluster, screen)
            with cancelled_first(self.name), _interrupted_by(watch):
                yield Session(
                    client=client,
                    facts=lambda: self.facts(client, _with_nodes(keeper.facts(), self.name)),
                    failure=lambda: watch.failure,
                    cluster=cluster,
                    timings=timings,
                    logs=None if self.options.log_directory else self.request.log_directory,
                )


@contextmanager
def _interrupted_by(watch: Watch) -> Iterator[None]:
    """Let the watch interrupt the block, and tell it that workers leave from now on."""
    watch.running()
    try:
        yield
    finally:
        watch.closing()
        quieten(logging.CRITICAL)


def _with_nodes(found: list[Job], name: str) -> list[Job]:
    """Return jobs with their nodes; a short run ends before the keeper has asked for them."""
    if all(job.node for job in found if job.came is not None):
        return found
    with suppress(ClusterError):
        nodes = {job.id: job.node for job in slurm_jobs.jobs(name)}
        return [structs.replace(job, node=job.node or nodes.get(job.id, "")) for job in found]
    return found


@contextmanager
def _security(plan: SlurmPlan) -> Iterator[Security | None]:
    if not plan.credentials:
        yield None
        return
    folder = home()
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        try:
            security = stack.enter_context(credentials(plan.credentials, _LONGEST))
        except OSError as error:
            raise ClusterError(
                f"Cannot write TLS credentials to {folder}.", str(error), "free some space, or use --no-tls."
            ) from error
        yield security


@contextmanager
def kept_cluster(
    plan: SlurmPlan, keeper: Keeper, watch: SchedulerPlugin, security: Security | None, **of_scheduler: Any
) -> Iterator[KeptCluster]:
    """Start a scheduler in this process, whose jobs the keeper keeps; at the end, close it and cancel the jobs.

    Args:
        plan: the jobs.
        keeper: from the plan.
        watch: a plugin for the scheduler.
        security: the credentials in the plan's folder.
        of_scheduler: further arguments of the scheduler; `scheduler_cls` is its class.
    """
    from dask import config

    from dask_hpc.clusters.slurm.kept.cluster import KeptCluster

    settings = cluster_settings(plan.request, plan.options, plan.name)
    if image := sif.current():
        settings |= in_sif(image, plan.request, settings=settings, tls=plan.credentials)
    close_dashboard()
    if kind := of_scheduler.pop("scheduler_cls", None):
        settings["scheduler_cls"] = kind
    settings["scheduler_options"] = settings["scheduler_options"] | of_scheduler
    with config.set(OF_A_RUN), config.set({f"jobqueue.{CONFIG_NAME}": _defaults()}):
        cluster = KeptCluster(keeper=keeper, security=security, **settings)
        try:
            scheduler: Any = cluster.scheduler  # it runs in this process
            scheduler.add_plugin(watch)
            cluster.loop.add_callback(keeper.start, cluster, scheduler)
            yield cluster
        finally:
            keeper.closing()
            cluster.loop.add_callback(keeper.stop)
            with not_interrupted():
                cluster.close(timeout=60)


def _defaults() -> Any:
    """Return dask-jobqueue's own defaults: a user's settings would change what was planned."""
    from dask import config

    [packaged] = config.collect_yaml([str(files("dask_jobqueue") / "jobqueue.yaml")])
    return packaged["jobqueue"]["slurm"]


@contextmanager
def _giving_up(watch: Watch) -> Iterator[None]:
    """Raise the error with which the keeper ends the run, in place of what it causes in the client."""
    from dask_hpc.clusters.slurm.watch import GaveUp

    def interrupt(_signum: int, _frame: object) -> None:
        if watch.interrupts:  # else it arrives while the cluster is closed, which must go on
            raise GaveUp

    try:
        with handling(interrupt, signal.SIGUSR1):
            yield
    except (Exception, CancelledError) as error:
        if watch.failure is None or error is watch.failure:
            raise
        raise watch.failure from error
