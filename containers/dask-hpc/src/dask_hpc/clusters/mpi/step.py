"""`--on mpi` inside a step: rank 0 is the scheduler, rank 1 runs the workload, all others are workers."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from time import perf_counter
from typing import TYPE_CHECKING

from dask_hpc.clusters.base import Plan, Session, quieten, tls_row
from dask_hpc.clusters.dashboard import show_dashboard_elsewhere
from dask_hpc.clusters.facts import Job
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import ClusterError
from dask_hpc.mpi import world as mpi_world
from dask_hpc.mpi.hush import speak
from dask_hpc.mpi.rank import NO_DASHBOARD
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.setup import Means, encrypted, means, prepared
from dask_hpc.mpi.traps import refuse_small_world
from dask_hpc.mpi.world import World
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.stop import Stopped, not_interrupted, stopping_cleanly

if TYPE_CHECKING:
    from distributed import Client

    from dask_hpc.screen import Screen

CLIENT = 1
FIRST_WORKER = 2
OPTIONS = frozenset({"dashboard", "local_directory", "interface", "timeout", "tls"})
"""Options that apply when Slurm has already started the ranks."""

_PATIENCE = 20.0  # seconds that the client's rank, as it exits, waits for the other ranks to listen


def plan(options: ClusterOptions) -> StepPlan:
    """Enter the MPI world, and plan from its resources; all ranks do this together."""
    speak()
    world = mpi_world.enter()
    quieten()
    speaker = min(CLIENT, world.size - 1)
    with stopping_cleanly():
        world.together(lambda: _check(options, world.size), speaker)
        own = means(world, speaker=speaker, interface=options.interface)
        tls = encrypted(world, tls=options.tls)
    departure = _Departure(world)
    if world.rank == CLIENT:
        atexit.register(departure.leave)
    return _describe(world, own, options, tls=tls, departure=departure)


def _check(options: ClusterOptions, size: int) -> None:
    options.refuse_others(
        OPTIONS,
        where="inside a job step",
        seen="The ranks are already running, with the options of srun or mpirun.",
        todo="leave it out, or pass it to srun; or leave srun out, and a job is submitted for the run.",
    )
    refuse_small_world(size, ["the scheduler", "the workload", "a worker"])


def _describe(world: World, own: Means, options: ClusterOptions, *, tls: bool, departure: _Departure) -> StepPlan:
    share = own.share
    workers = world.size - FIRST_WORKER
    nodes = sorted(set(world.nodes))
    job = Allocation.from_environment().job
    return StepPlan(
        kind="mpi",
        rows=[
            ("ranks", str(world.size), f"on {len(nodes)} nodes: {' '.join(nodes)}"),
            ("workers", str(workers), "rank 0 is the scheduler, rank 1 this program"),
            ("threads", f"{share.threads} per worker", share.why),
            ("memory", f"{share.memory >> 20} MiB per worker", "see threads"),
            ("interface", *own.interface),
            tls_row(tls=tls),
            ("MPI", world.library, f"Slurm job {job}" if job else "without Slurm"),
        ],
        settings={
            "world": world.size,
            "threads": share.threads,
            "memory": f"{share.memory >> 20}MiB",
            "mpi": world.library,
            "interface": own.interface[0],
            "launched": "inside",
        },
        workers=workers,
        worker_memory=share.memory,
        threads=share.threads,
        tls=tls,
        world=world,
        own=own,
        options=options,
        jobs=(Job(job, " ".join(nodes)),) if job else (),
        departure=departure,
    )


@dataclass(frozen=True, kw_only=True)
class StepPlan(Plan):
    """The ranks of this step, as seen by one of them; `own` is its share of the resources."""

    world: World
    own: Means
    options: ClusterOptions
    jobs: tuple[Job, ...]
    departure: _Departure

    @property
    def serves(self) -> bool:
        """True if this rank is the scheduler or a worker."""
        return self.world.rank != CLIENT

    def serve(self) -> None:
        """Run the scheduler or a worker until the client's rank closes the cluster, or exits without one."""
        with stopping_cleanly():
            if self.departure.await_start():
                self._enter_dask()
            else:
                self.departure.end_with_the_others()

    def _enter_dask(self) -> None:
        """Start Dask in this rank; return at once in the client's rank, in any other when the cluster has closed."""
        import dask_mpi

        settings = MpiSettings(client_rank=CLIENT, wait_for_client=self.options.timeout)
        with prepared(self.world, speaker=CLIENT, tls=self.tls, settings=settings) as ready:
            if self.world.rank:
                mpi_world.wait(self.world.comm.Ibarrier())  # the scheduler enters it once it listens: preload.py
            dask_mpi.initialize(
                interface=self.own.interface[0],
                nthreads=self.own.share.threads,
                memory_limit=self.own.share.memory,
                local_directory=self.options.local_directory or "/tmp",  # noqa: S108 (the node's own)
                protocol="tls" if ready.tls else "tcp",
                dashboard_address=self.options.dashboard,
                worker_options=NO_DASHBOARD,
                exit=False,
            )

    @contextmanager
    def start(self, screen: Screen) -> Iterator[Session]:
        """Tell the other ranks to serve, and connect; after the context, all of them have ended, or are ending."""
        from distributed import Client

        clock = perf_counter()
        with self.departure.watched():
            self.departure.announce_start()
            self._enter_dask()
            self.departure.others_serve()
            try:
                client = Client(timeout=self.options.timeout)
            except (OSError, TimeoutError) as error:
                raise ClusterError("Cannot reach the scheduler, rank 0.", str(error)) from error
            with screen.stage(f"waiting for {self.workers} workers"):
                self._await_workers(client)
            timings = {"cluster": perf_counter() - clock}
            show_dashboard_elsewhere(client, screen)
            with self.departure.closing(client):
                yield Session(client=client, facts=lambda: self.facts(client, self.jobs), timings=timings)

    def _await_workers(self, client: Client) -> None:
        timeout = self.options.timeout
        try:
            client.wait_for_workers(self.workers, timeout=timeout)
        except TimeoutError as error:
            raise ClusterError(
                f"Only {len(client.nthreads())} of {self.workers} workers connected within {timeout} s.",
                str(error),
                "see the output of the other ranks above.",
            ) from error


class _Others(Enum):
    """State of the other ranks, as far as the client's rank knows."""

    LISTEN = auto()
    START = auto()
    SERVE = auto()
    END = auto()


class _Departure:
    """Coordinate how the client's rank leaves the world, so that no other rank waits for it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._others = _Others.LISTEN
        self._status: int | None = None  # after a signal, which all ranks get, so that none waits for another

    def announce_start(self) -> None:
        """Tell the other ranks to serve."""
        self._announce(start=True)
        self._others = _Others.START

    def await_start(self) -> bool:
        """Wait, on any other rank, for the client's rank; return whether the cluster starts."""
        mpi_world.wait(self._world.comm.Ibarrier())
        start: bool = self._world.comm.bcast(None, root=CLIENT)
        return start

    def _announce(self, *, start: bool, patience: float | None = None) -> bool:
        """Tell the other ranks; return whether they listened."""
        listening = mpi_world.wait(self._world.comm.Ibarrier(), patience)
        if listening:
            self._world.comm.bcast(start, root=CLIENT)
        return listening

    def others_serve(self) -> None:
        """Note that Dask runs in all ranks."""
        self._others = _Others.SERVE

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember a signal that ends the block."""
        try:
            yield
        except Stopped as stopped:
            self._status = int(stopped.code or 1)
            raise

    @contextmanager
    def closing(self, client: Client) -> Iterator[None]:
        """Close the cluster after the block, unless a signal ends all ranks."""
        try:
            with self.watched():
                yield
        finally:
            if self._status is None:
                with not_interrupted():
                    client.shutdown()
                self._others = _Others.END

    def leave(self) -> None:
        """Release the other ranks, and leave the world together with them, as MPI requires."""
        if self._status is not None:
            os._exit(self._status)
        if self._others is _Others.START:  # each reports its own error
            return
        if self._others is _Others.LISTEN:
            if not self._announce(start=False, patience=_PATIENCE):
                os._exit(1)
        elif self._others is _Others.SERVE:
            from dask_mpi import send_close_signal

            send_close_signal()
        self.end_with_the_others()

    def end_with_the_others(self) -> None:
        """Finalize MPI once all ranks do."""
        from mpi4py import MPI

        mpi_world.wait(self._world.comm.Ibarrier())
        MPI.Finalize()
