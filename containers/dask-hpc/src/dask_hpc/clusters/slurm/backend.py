"""A Dask cluster of Slurm jobs: `dask_jobqueue.SLURMCluster`, its settings worked out, shown, and cleaned up after."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dask_hpc import network, sif
from dask_hpc.clusters.asked import asked
from dask_hpc.clusters.base import Plan, Session, level_kept, new_name, quieten, worker_nodes
from dask_hpc.clusters.dashboard import close_dashboard, show_dashboard
from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.clusters.slurm.plan import Request, make_request
from dask_hpc.credentials import credentials
from dask_hpc.dask_settings import OF_A_RUN, refuse_unencrypted
from dask_hpc.errors import ClusterError
from dask_hpc.paths import in_bash
from dask_hpc.screen import Screen
from dask_hpc.slurm import commands as slurm_commands
from dask_hpc.slurm import jobs as slurm_jobs
from dask_hpc.slurm import nodes as slurm_nodes
from dask_hpc.stop import handling, not_interrupted

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster
    from distributed import Security

    from dask_hpc.clusters.slurm.watch import Watch

__all__ = ["CONFIG_NAME", "SlurmBackend", "cluster_settings", "in_sif"]

CONFIG_NAME = "dask-hpc-run"
"""The section of Dask's configuration, beside `slurm`, that a run's jobs take their settings from."""

_RESTARTABLE = "dask_hpc.clusters.slurm.worker.RestartableWorker"


@dataclass(frozen=True)
class _Spec:
    """A request, and what goes with it: `name` is the jobs' name, new for every run."""

    request: Request
    name: str
    options: Mapping[str, Any]
    home: Path

    @property
    def workers(self) -> int:
        return self.request.jobs * self.request.processes

    @property
    def tls(self) -> Path | None:
        """The folder of the credentials, on the shared home."""
        return self.home / f"{self.name}.tls" if self.options["tls"] else None


class SlurmBackend:
    """`--on slurm`."""

    name = "slurm"
    options = frozenset(
        {"memory", "local_directory", "dashboard", "jobs", "cores", "processes", "walltime", "partition", "account"}
        | {"sbatch_option", "interface", "log_directory", "timeout", "tls"}
    )

    def plan(self, options: Mapping[str, Any], screen: Screen) -> Plan:
        """Ask Slurm what there is, and choose; raises `RequestError`, or `ClusterError` where there is no Slurm."""
        slurm_commands.require()
        refuse_unencrypted(tls=options["tls"])
        wanted = asked(options, os.environ, {"cpus-per-task": "cores"})
        options = wanted.options
        nodes = slurm_nodes.nodes(options["partition"], wanted.way("partition"))
        if options["interface"]:
            network.address(options["interface"])
        if not options["tls"]:
            screen.warn("no TLS: whoever reaches the scheduler's port can run anything in your name.")
        name = new_name()
        home = Path.home() / ".dask-hpc"
        request = make_request(wanted, nodes, network.choose(), home / name)
        request.sbatch(name)  # raises before anything is started
        rows = [*request.rows(), ("TLS", "on" if options["tls"] else "off", "credentials for this run alone")]
        if image := sif.current():
            rows.append(("SIF", image.path, "workers run in the same one as this program"))
        spec = _Spec(request, name, options, home)
        memory, threads = (request.memory << 20) // request.processes, request.cores // request.processes
        return Plan(rows, request.settings(), spec, spec.workers, memory, threads)

    @contextmanager
    def start(self, plan: Plan, screen: Screen) -> Iterator[Session]:
        """Submit the jobs and wait for their workers; at the end no job, credential or process is left."""
        from distributed import Client

        from dask_hpc.clusters.slurm.watch import Watch, wait_for_workers

        spec, clock = plan.spec, perf_counter()
        watch = Watch(lambda: _jobs_alive(spec.name))
        with ExitStack() as stack:
            stack.enter_context(level_kept())
            stack.enter_context(_giving_up(spec, watch))
            stack.enter_context(_jobs_end(spec.name, screen))
            security = stack.enter_context(_security(spec))  # gone before the jobs are waited for, which may take long
            cluster = stack.enter_context(_cluster(spec, security, watch))
            screen.text("Job script", cluster.job_script())
            timings = {"cluster": perf_counter() - clock}
            clock = perf_counter()
            cluster.scale(jobs=spec.request.jobs)
            with screen.stage(f"waiting for {spec.workers} workers in {spec.request.jobs} Slurm jobs"):
                wait_for_workers(watch, spec.workers, spec.name, spec.options["timeout"], spec.request.log_directory)
            timings["workers"] = perf_counter() - clock
            client = stack.enter_context(Client(cluster))
            screen.text("squeue", slurm_jobs.queue(spec.name))
            show_dashboard(cluster, screen)
            with _cancelled_first(spec.name, watch):
                yield Session(client, lambda: _facts(client, plan), timings, _own_logs(spec))


@contextmanager
def _cancelled_first(name: str, watch: Watch) -> Iterator[None]:
    """If the run is broken off, cancel the jobs before all else: who asks it to stop may kill it some seconds later."""
    try:
        yield
    except BaseException as error:
        watch.judge(error)
        watch.closing()
        quieten(logging.CRITICAL)  # workers are about to disconnect, as intended
        with not_interrupted():
            slurm_jobs.cancel(name)
        raise
    watch.closing()
    quieten(logging.CRITICAL)


def _own_logs(spec: _Spec) -> Path | None:
    return None if spec.options["log_directory"] else spec.request.log_directory


@contextmanager
def _security(spec: _Spec) -> Iterator[Security | None]:
    if not spec.tls:
        yield None
        return
    spec.home.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        try:
            security = stack.enter_context(credentials(spec.tls, timedelta(seconds=spec.request.walltime)))
        except OSError as error:
            raise ClusterError(
                f"No credentials can be kept in {spec.home}.", str(error), "make room, or use --no-tls."
            ) from error
        yield security


@contextmanager
def _cluster(spec: _Spec, security: Security | None, watch: Watch) -> Iterator[SLURMCluster]:
    from dask import config
    from dask_jobqueue import SLURMCluster

    from dask_hpc.clusters.slurm.watch import WatchedScheduler, recording_job

    settings = cluster_settings(spec.request, spec.options, spec.name)
    if image := sif.current():
        settings |= in_sif(image, spec.request, settings, spec.tls)
    close_dashboard()
    kinds = {"job_cls": recording_job(watch), "scheduler_cls": WatchedScheduler}
    with config.set(OF_A_RUN), config.set({f"jobqueue.{CONFIG_NAME}": _defaults()}):
        cluster = SLURMCluster(**settings | kinds, security=security)
        watch.cluster = cluster
        try:
            scheduler: Any = cluster.scheduler  # it runs in this process
            scheduler.add_plugin(watch)
            yield cluster
        finally:
            watch.closing()
            with not_interrupted():
                cluster.close(timeout=60)


def _defaults() -> Any:
    """Return dask-jobqueue's own settings, for a section that no user has: a run is as it was planned."""
    from dask import config

    [packaged] = config.collect_yaml([str(files("dask_jobqueue") / "jobqueue.yaml")])
    return packaged["jobqueue"]["slurm"]


def cluster_settings(request: Request, options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the arguments for `SLURMCluster`.

    Workers without a nanny and without a dashboard import Dask once rather than twice, and never import Bokeh:
    two of them connect in a fifth of the time. What the nanny did, Slurm does (memory), the prologue (threads), or the
    worker itself (restarts). It comes back with several processes a job, since dask-worker cannot start those without.

    The worker replaces its job's script (`exec`): Slurm's signals then reach the worker, the job lasts until it has
    ended, and it ends with the job. A child of the script outlives it where Slurm follows processes by their parents
    alone (without cgroups): a worker that computes ends only when its task does.
    """
    interface = {"interface": options["interface"]} if options["interface"] else {}
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    extra = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    nanny = request.processes > 1
    return {
        "config_name": CONFIG_NAME,
        "python": f"exec {shlex.quote(sys.executable)}",
        "cores": request.cores,
        "processes": request.processes,
        "memory": f"{request.memory}MiB",
        "job_name": name,
        "job_directives_skip": [""],  # all: ours are quoted, and the user's replace them
        "job_extra_directives": [option.argument for option in request.sbatch(name)],
        "job_script_prologue": [f"export {key}={value}" for key, value in environment.items()],
        "local_directory": in_bash(request.local_directory),
        "log_directory": str(request.log_directory),
        "nanny": nanny,
        "worker_extra_args": extra if nanny else [*extra, "--worker-class", _RESTARTABLE],
        "scheduler_options": {"interface": request.interface, "dashboard_address": options["dashboard"]},
        **interface,
    }


def in_sif(image: sif.Sif, request: Request, settings: Mapping[str, Any], tls: Path | None) -> dict[str, Any]:
    """Return the arguments for `SLURMCluster` that differ where its workers run in a SIF."""
    folders = [request.local_directory, *([str(tls)] if tls else [])]
    needed = [tls / "cert.pem"] if tls else []
    python = image.python(folders, map(str, request.asked.sbatch))
    return {
        "python": f"exec {python}",
        "job_script_prologue": [*settings["job_script_prologue"], *image.prologue(needed, request.local_directory)],
    }


@contextmanager
def _jobs_end(name: str, screen: Screen) -> Iterator[None]:
    """Leave no job: by name, so that one whose number is not known yet is found as well."""
    try:
        yield
    finally:
        with not_interrupted(), screen.stage("waiting for the Slurm jobs to end"):
            slurm_jobs.cancel(name)
            slurm_jobs.wait_until_gone(name)


def _jobs_alive(name: str) -> bool:
    """Return whether workers may still come from jobs of that name; if Slurm cannot be asked, they may."""
    try:
        return any(job.alive for job in slurm_jobs.jobs(name))
    except ClusterError:
        return True


@contextmanager
def _giving_up(spec: _Spec, watch: Watch) -> Iterator[None]:
    """Turn the loss of all workers into an error that says what became of the jobs."""
    from dask_hpc.clusters.slurm.watch import AllWorkersLost

    def lost(_signum: int, _frame: object) -> None:
        raise AllWorkersLost

    try:
        with handling(lost, signal.SIGUSR1):
            yield
    except (Exception, CancelledError) as error:
        if not watch.gave_up:
            raise
        states = [f"  job {job.id} on {job.node}: {job.state} ({job.reason})" for job in slurm_jobs.jobs(spec.name)]
        seen = "\n".join([*states, slurm_jobs.log_tails(spec.request.log_directory)])
        raise ClusterError("All workers have gone while the workload was running.", seen) from error


def _facts(client: Any, plan: Plan) -> ClusterFacts:
    spec = plan.spec
    threads = client.nthreads()
    jobs = [Job(job.id, job.node) for job in slurm_jobs.jobs(spec.name)]
    return ClusterFacts(
        "slurm", len(threads), sum(threads.values()), worker_nodes(client), spec.options["tls"], jobs, plan.settings
    )
