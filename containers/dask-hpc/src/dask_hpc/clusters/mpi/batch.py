"""`--on mpi` inside of a step: rank 0 is the scheduler, rank 1 runs the workload, all others are workers."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

from dask_hpc.clusters.base import Plan, Session, quieten, worker_nodes
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import ClusterFacts, Job, Value
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import world as mpi_world
from dask_hpc.mpi.hush import speak
from dask_hpc.mpi.rank import NO_DASHBOARD
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.setup import Ready, prepared
from dask_hpc.mpi.traps import refuse_small_world
from dask_hpc.mpi.world import World
from dask_hpc.screen import Screen
from dask_hpc.stop import Stopped, not_interrupted, stopping_cleanly

__all__ = ["OPTIONS", "plan", "start"]

CLIENT, FIRST_WORKER = 1, 2
OPTIONS = frozenset({"dashboard", "local_directory", "interface", "timeout", "tls"})
"""What makes sense where Slurm has started the ranks already."""


def plan(options: Mapping[str, Any], screen: Screen) -> Plan:
    """Enter the world. On rank 1, return what there is; any other rank serves until the end, and never returns."""
    speak()
    world = mpi_world.enter()
    quieten()
    speaker = min(CLIENT, world.size - 1)
    stack = ExitStack()  # left open on rank 1: the other ranks serve already, whatever it does next
    with stopping_cleanly():
        world.together(lambda: _check(options, world.size), speaker)
        ready = stack.enter_context(
            prepared(world, speaker, None, options["interface"], tls=options["tls"], settings=_settings(options))
        )
        if world.rank:
            mpi_world.wait(world.comm.Ibarrier())  # which the scheduler enters once it is there: preload.py
        _serve_unless_client(options, ready, stack)
    if not ready.tls:
        screen.warn("no TLS: whoever reaches the scheduler's port can run anything in your name.")
    _Closing.register()
    return _describe(world, ready, options)


def _check(options: Mapping[str, Any], size: int) -> None:
    if foreign := sorted(name for name, value in options.items() if name not in OPTIONS and value not in (None, ())):
        raise RequestError(
            f"--{foreign[0].replace('_', '-')} has no meaning inside of a job step.",
            "The ranks are there already, with what srun or mpirun was told.",
            "leave it out, or tell srun; or leave srun out, and a job is submitted for the run.",
        )
    refuse_small_world(size, ["the scheduler", "the workload", "a worker"])


def _settings(options: Mapping[str, Any]) -> MpiSettings:
    return MpiSettings(client_rank=CLIENT, wait_for_client=options["timeout"])


def _serve_unless_client(options: Mapping[str, Any], ready: Ready, stack: ExitStack) -> None:
    import dask_mpi

    with stack:
        client = dask_mpi.initialize(
            interface=ready.interface[0],
            nthreads=ready.share.threads,
            memory_limit=ready.share.memory,
            local_directory=options["local_directory"] or "/tmp",  # noqa: S108 (the node's own)
            protocol="tls" if ready.tls else "tcp",
            dashboard_address=options["dashboard"],
            worker_options=NO_DASHBOARD,
            exit=False,
        )
    if not client:
        raise SystemExit(0)


def _describe(world: World, ready: Ready, options: Mapping[str, Any]) -> Plan:
    share, workers = ready.share, world.size - FIRST_WORKER
    nodes = sorted(set(world.nodes))
    job = os.environ.get("SLURM_JOB_ID", "")
    rows = [
        ("ranks", str(world.size), f"on {len(nodes)} nodes: {' '.join(nodes)}"),
        ("workers", str(workers), "rank 0 is the scheduler, rank 1 this program"),
        ("threads", f"{share.threads} a worker", share.why),
        ("memory", f"{share.memory >> 20} MiB a worker", "likewise"),
        ("interface", *ready.interface),
        ("TLS", "on" if ready.tls else "off", "credentials for this run alone"),
        ("MPI", world.library, f"Slurm job {job}" if job else "without Slurm"),
    ]
    settings: dict[str, Value] = {
        "world": world.size, "threads": share.threads, "memory": f"{share.memory >> 20}MiB", "mpi": world.library,
        "interface": ready.interface[0], "launched": "inside",
    }  # fmt: skip
    spec = {"start": start, "tls": ready.tls, "job": job, "nodes": nodes, "timeout": options["timeout"]}
    return Plan(rows, settings, spec, workers, share.memory, share.threads)


@contextmanager
def start(plan: Plan, screen: Screen) -> Iterator[Session]:
    """Connect to the scheduler, which is there already; after it, all other ranks have ended, or will at once."""
    from distributed import Client

    clock = perf_counter()
    try:
        client = Client(timeout=plan.spec["timeout"])
    except (OSError, TimeoutError) as error:
        raise ClusterError("The scheduler, rank 0, cannot be reached.", str(error)) from error
    with screen.stage(f"waiting for {plan.workers} workers"):
        _await_workers(client, plan)
    timings = {"cluster": perf_counter() - clock}
    show_dashboard_elsewhere(client, screen)
    try:
        yield Session(client, lambda: _facts(client, plan), timings)
    except Stopped as stopped:
        _Closing.status = int(stopped.code or 1)
        raise
    finally:
        if _Closing.status is None:
            with not_interrupted():
                client.shutdown()
            _Closing.done = True


def _await_workers(client: Any, plan: Plan) -> None:
    timeout = plan.spec["timeout"]
    try:
        client.wait_for_workers(plan.workers, timeout=timeout)
    except TimeoutError as error:
        raise ClusterError(
            f"Of {plan.workers} workers {len(client.nthreads())} have come in {timeout} s.", str(error),
            "see what the other ranks have written above.",
        ) from error  # fmt: skip


def _facts(client: Any, plan: Plan) -> ClusterFacts:
    threads = client.nthreads()
    jobs = [Job(plan.spec["job"], " ".join(plan.spec["nodes"]))] if plan.spec["job"] else []
    return ClusterFacts(
        "mpi", len(threads), sum(threads.values()), worker_nodes(client), plan.spec["tls"], jobs, plan.settings
    )


class _Closing:
    """How rank 1 leaves the world."""

    done = False
    status: int | None = None  # of a signal: the other ranks got it, too, and nobody waits for anybody

    @classmethod
    def register(cls) -> None:
        atexit.register(cls.leave)

    @classmethod
    def leave(cls) -> None:
        """Release the other ranks, which serve; then wait for them, as MPI wants it."""
        from dask_mpi import send_close_signal
        from mpi4py import MPI

        if cls.status is not None:
            os._exit(cls.status)
        if not cls.done:
            send_close_signal()
        mpi_world.wait(MPI.COMM_WORLD.Ibarrier())
        MPI.Finalize()
