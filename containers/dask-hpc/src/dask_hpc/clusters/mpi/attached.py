"""`--on mpi` from a login node: one job of many ranks, found by its own scheduler file, and shut down at the end."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any

from dask_hpc import sif
from dask_hpc.clusters.asked import asked
from dask_hpc.clusters.base import Plan, Session, new_name, worker_nodes
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import ClusterFacts, Job
from dask_hpc.clusters.mpi.plan import Request, make_request
from dask_hpc.clusters.mpi.script import job_script
from dask_hpc.dask_settings import OF_A_RUN, refuse_unencrypted, without_theirs
from dask_hpc.errors import ClusterError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.screen import Screen
from dask_hpc.slurm import ask
from dask_hpc.slurm.environment import plain
from dask_hpc.slurm.judge import ALIVE, judge, log_tails, queue_lines
from dask_hpc.stop import not_interrupted

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["plan", "start"]

_BY_SBATCH = {"cpus-per-task": "threads", "nodes": "nodes", "ntasks-per-node": "ranks_per_node"}
_ENDING = 40.0  # seconds for a job to end by itself after its cluster was shut down, or with a node that is lost


@dataclass(frozen=True)
class _Spec:
    """A request, and what goes with it: `name` is the job's name, new for every run."""

    request: Request
    name: str
    options: Mapping[str, Any]
    folder: Folder

    @property
    def logs(self) -> Path:
        return self.request.log_directory


def plan(options: Mapping[str, Any], screen: Screen) -> Plan:
    """Ask Slurm what there is, and choose; raises `RequestError`, or `ClusterError` where there is no Slurm."""
    ask.require()
    refuse_unencrypted(tls=options["tls"])
    wanted = asked(options, os.environ, _BY_SBATCH)
    options = wanted.options
    nodes = ask.nodes(options["partition"], wanted.way("partition"))
    if not options["tls"]:
        screen.warn("no TLS: whoever reaches the scheduler's port can run anything in your name.")
    name = new_name()
    home = Path.home() / ".dask-hpc"
    request = make_request(wanted, nodes, home / name)
    request.sbatch(name)  # raises before anything is started
    interface = options["interface"] or "each node's own"
    rows = [
        *request.rows(),
        ("interface", interface, "asked for" if options["interface"] else "the one that others reach it by"),
        ("TLS", "on" if options["tls"] else "off", "credentials for this run alone"),
    ]
    if image := sif.current():
        rows.append(("SIF", image.path, "ranks run in the same one as this program"))
    spec = {"start": start, "attached": _Spec(request, name, options, Folder(home / f"{name}.mpi"))}
    return Plan(rows, request.settings(), spec, request.world - 1, request.memory << 20, request.threads)


@contextmanager
def start(plan: Plan, screen: Screen) -> Iterator[Session]:
    """Submit the job and wait for its workers; at the end no job, file or process is left."""
    spec: _Spec = plan.spec["attached"]
    clock = perf_counter()
    lifetime = timedelta(seconds=spec.request.walltime)
    settings = MpiSettings(wait_for_client=spec.options["timeout"])
    folder = spec.folder.kept(tls=spec.options["tls"], lifetime=lifetime, settings=settings, of_dask=OF_A_RUN)
    with folder, _job_ends(spec, screen):
        script = job_script(spec.request, spec.options, spec.name, spec.folder, sif.current())
        screen.text("Job script", script)
        _submit(script, spec.logs)
        timings = {"submit": perf_counter() - clock}
        with screen.stage(f"waiting for {plan.workers} workers in one Slurm job"):
            client = _connected(spec, plan.workers)
        timings["workers"] = perf_counter() - clock - timings["submit"]
        screen.text("squeue", ask.queue(spec.name))
        with _closed(client), _explained(spec, client):
            show_dashboard_elsewhere(client, screen)
            yield Session(client, lambda: _facts(client, plan), timings, _own_logs(spec))
            client.shutdown()
        _await_end(spec, screen)


def _own_logs(spec: _Spec) -> Path | None:
    return None if spec.options["log_directory"] else spec.logs


def _submit(script: str, logs: Path) -> None:
    try:
        logs.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["sbatch", "--parsable"],
            input=script,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
            env=without_theirs(plain()),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError("The job could not be submitted.", str(error), "see 'scontrol ping'.") from error
    if done.returncode:
        said = done.stderr or done.stdout
        raise ClusterError("sbatch did not take the job.", said, "compare what was asked for (above) with 'sinfo'.")


def _connected(spec: _Spec, workers: int) -> Client:
    """Wait for the scheduler file of this job, connect, and wait for all workers; raise if that makes no sense."""
    deadline = monotonic() + spec.options["timeout"]
    security = spec.folder.security() if spec.options["tls"] else None
    client = None
    while client is None:
        _judge(spec, deadline, "the scheduler has not come")
        if spec.folder.scheduler_file.exists():
            client = _client(spec, security, deadline)
        else:
            sleep(0.2)  # a shared file system tells nobody of a new file
    try:
        while True:
            try:
                client.wait_for_workers(workers, timeout=1)
            except TimeoutError:
                _judge(spec, deadline, f"{len(client.nthreads())} of {workers} workers have come")
            else:
                return client
    except BaseException:
        client.close()
        raise


def _client(spec: _Spec, security: Any, deadline: float) -> Client:
    try:
        return mpi_scheduler_file.connect(spec.folder.scheduler_file, security)
    except ClusterError:
        _judge(spec, deadline, "its scheduler does not answer")  # it may have died since it wrote the file
        raise


def _judge(spec: _Spec, deadline: float, seen: str) -> None:
    found = ask.jobs(spec.name)
    judge(found, spec.logs)
    if monotonic() > deadline:
        raise ClusterError(
            f"The Dask cluster is not there after {spec.options['timeout']} s: {seen}.",
            f"{queue_lines(found)}\n{log_tails(spec.logs)}",
            "on a busy cluster ask for less or wait longer (--timeout); else see the log.",
        )


@contextmanager
def _closed(client: Client) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(TimeoutError, OSError), not_interrupted():
            client.close(timeout=2)  # where the scheduler has gone, it would wait for that


@contextmanager
def _explained(spec: _Spec, client: Client) -> Iterator[None]:
    """If the job is gone, say so, with its state and its log: an error of the workload is only what follows of that."""
    try:
        yield
    except Exception as error:
        if client.status == "running" and _alive(spec):
            raise
        for name in ("distributed", "distributed.client"):  # they have tracebacks for what is told below
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _await_gone(spec)
        seen = f"{queue_lines(ask.jobs(spec.name))}\n{log_tails(spec.logs)}"
        raise ClusterError("The MPI job has gone while the workload was running.", seen) from error


def _alive(spec: _Spec) -> bool:
    return any(job.state in ALIVE - {"COMPLETING"} for job in ask.jobs(spec.name))


def _await_gone(spec: _Spec) -> bool:
    """Return whether the job ends by itself; nobody tells when it does."""
    deadline = monotonic() + _ENDING
    while any(job.state in ALIVE for job in ask.jobs(spec.name)):
        if monotonic() > deadline:
            return False
        sleep(0.2)
    return True


def _await_end(spec: _Spec, screen: Screen) -> None:
    with screen.stage("waiting for the Slurm job to end"):
        ended = _await_gone(spec)
    found = ask.jobs(spec.name)
    if not ended or any(job.state != "COMPLETED" for job in found):
        screen.warn(f"the job has not ended well:\n{queue_lines(found)}\n{log_tails(spec.logs)}")


@contextmanager
def _job_ends(spec: _Spec, screen: Screen) -> Iterator[None]:
    """Leave no job: by name, so that one whose number is not known yet is found as well."""
    try:
        yield
    except BaseException:  # first of all: whoever asks this program to stop may kill it some seconds later
        with not_interrupted():
            ask.cancel(spec.name)
        raise
    finally:
        with not_interrupted(), screen.stage("waiting for the Slurm job to end"):
            ask.cancel(spec.name)
            ask.wait_until_gone(spec.name)


def _facts(client: Any, plan: Plan) -> ClusterFacts:
    spec: _Spec = plan.spec["attached"]
    world = mpi_scheduler_file.read(spec.folder.scheduler_file)
    threads = client.nthreads()
    jobs = [Job(job.id, job.node) for job in ask.jobs(spec.name)]
    settings = {**plan.settings, "mpi": world.mpi, "scheduler_node": world.node, "launched": "by a job"}
    return ClusterFacts(
        "mpi", len(threads), sum(threads.values()), worker_nodes(client), spec.options["tls"], jobs, settings
    )
