"""Losses of workers that count against tasks, in a real scheduler with its worker, both in this process."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from distributed import Client, Future, KilledWorker, Scheduler, Worker

from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.clusters.slurm.kept.losses import Loss, Losses, Memory, TaskCutOffError, TaskDiedError
from dask_hpc.errors import ClusterError

FAILED = Fate(Cause.FAILED, "ended as FAILED (NonZeroExitCode)")
NO_MEMORY = Fate(Cause.MEMORY, "used more memory than it requested")
WALLTIME = 100.0
GATE = threading.Event()


def wait_for_gate(number: int) -> int:
    """Return the number once the test opens the gate."""
    GATE.wait()
    return number


@dataclass
class Site:
    """A scheduler, a worker with one thread, a client, and the losses."""

    scheduler: Scheduler
    worker: Worker
    client: Client
    losses: Losses

    def loss(self, *keys: Any, seconds: float = 0.0, counts: bool = True) -> Loss:
        """Return the loss of the worker, if it had had these tasks for some seconds."""
        worker = self.scheduler.workers[self.worker.address].clean()
        return Loss(worker, list(keys), dict.fromkeys(keys, seconds), Memory(3 << 20, 4 << 20), counts=counts)

    def state(self, future: Future) -> str:
        """Return the state of a task."""
        return str(self.scheduler.tasks[future.key].state)

    async def until(self, future: Future, state: str) -> None:
        """Wait until a task has that state."""
        while future.key not in self.scheduler.tasks or self.state(future) != state:
            await asyncio.sleep(0)

    # One task in each state

    async def processing(self) -> Future:
        """Return a task that the worker runs."""
        future = self.client.submit(wait_for_gate, 1, pure=False)
        await self.until(future, "processing")
        return future

    async def queued(self) -> Future:
        """Return a task that waits in the scheduler for a free thread."""
        self.others = self.client.map(wait_for_gate, range(9), pure=False)
        await self.until(self.others[-1], "queued")
        return self.others.pop()

    async def without_worker(self) -> Future:
        """Return a task that may only run on a worker that is not there."""
        future = self.client.submit(wait_for_gate, 1, workers=["192.0.2.1:1"], pure=False)
        await self.until(future, "no-worker")
        return future

    async def waiting(self) -> Future:
        """Return a task that waits for the result of another one."""
        self.other = await self.processing()
        future = self.client.submit(wait_for_gate, self.other, pure=False)
        await self.until(future, "waiting")
        return future


@asynccontextmanager
async def site(**options: Any) -> AsyncIterator[Site]:
    """Start a scheduler with a worker and a client; at the end, let all tasks end."""
    GATE.clear()
    local = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    async with (
        Scheduler(**local, validate=True, **options) as scheduler,
        Worker(scheduler.address, nthreads=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as worker,
        Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
    ):
        try:
            yield Site(scheduler, worker, client, Losses(scheduler))
        finally:
            GATE.set()


def run(test: Callable[[Site], Awaitable[None]], **options: Any) -> None:
    """Run a test in an event loop."""

    async def within() -> None:
        async with site(**options) as found:
            await test(found)

    asyncio.run(within())


STATES = pytest.mark.parametrize(
    ("state", "make"),
    [
        ("processing", Site.processing),
        ("queued", Site.queued),
        ("no-worker", Site.without_worker),
        ("waiting", Site.waiting),
    ],
)


@STATES
def test_task_that_died_ends_with_error(state: str, make: Callable[[Site], Awaitable[Future]]) -> None:
    """Whatever its state is by now, the task ends for the client with `KilledWorker`, whose message has the reasons."""

    async def test(site: Site) -> None:
        future = await make(site)
        assert site.state(future) == state
        assert site.losses.died(site.loss(future.key), FAILED, "7")
        error = await future.exception()
        assert isinstance(error, TaskDiedError)
        assert isinstance(error, KilledWorker)
        assert isinstance(error, ClusterError)
        assert f"Task {future.key!r} was lost 1 times" in str(error)
        assert "job 7 ended as FAILED (NonZeroExitCode)" in str(error)
        assert site.state(future) == "erred"
        with pytest.raises(KilledWorker, match="What to do: "):
            await future

    run(test, allowed_failures=0)


@STATES
def test_cut_off_task_ends_with_error(state: str, make: Callable[[Site], Awaitable[Future]]) -> None:
    """A task that is longer than a job lasts ends with an error that names it and `--walltime`."""

    async def test(site: Site) -> None:
        future = await make(site)
        for _ in range(3):
            assert site.state(future) == state
            site.losses.cut_off(site.loss(future.key, seconds=80), WALLTIME)
        error = await future.exception()
        assert isinstance(error, TaskCutOffError)
        assert not isinstance(error, KilledWorker)
        assert f"Task {future.key!r} takes longer than a job lasts." in str(error)
        assert "3 times, after 80, 80, 80 s; wall time: 00:01:40" in str(error)
        assert "--walltime" in str(error)

    run(test)


def test_ended_task_stays_ended() -> None:
    """The worker may still finish a task that has ended; other tasks go on, and those that depend on it fail."""

    async def test(site: Site) -> None:
        future = await site.processing()
        after = site.client.submit(wait_for_gate, future, pure=False)
        other = site.client.submit(wait_for_gate, 2, pure=False)
        await site.until(after, "waiting")
        await site.until(other, "processing")
        while future.key not in site.worker.active_keys:
            await asyncio.sleep(0)
        site.losses.died(site.loss(future.key), FAILED, "7")
        while site.worker.state.tasks[future.key].state != "cancelled":  # the worker drops the result
            await asyncio.sleep(0)
        GATE.set()
        assert await other == 2
        assert site.state(future) == "erred"
        assert isinstance(await future.exception(), TaskDiedError)
        assert isinstance(await after.exception(), TaskDiedError)

    run(test, allowed_failures=0)


def test_allowed_failures() -> None:
    """A task may lose as many workers as Dask allows; the error has one line for each loss."""

    async def test(site: Site) -> None:
        future = await site.processing()
        for job in ("7", "8"):
            assert site.losses.died(site.loss(future.key), FAILED, job)
            assert site.state(future) == "processing"
        assert site.scheduler.tasks[future.key].suspicious == 2
        assert site.losses.died(site.loss(future.key), NO_MEMORY, "9")
        error = await future.exception()
        assert "was lost 3 times" in str(error)
        lines = [line.strip() for line in str(error).splitlines()]
        assert lines[1:4] == [
            "job 7 ended as FAILED (NonZeroExitCode)",
            "job 8 ended as FAILED (NonZeroExitCode)",
            "job 9 used more memory than it requested, with 3.00 MiB of 4.00 MiB",
        ]
        assert "--memory" in str(error)
        assert isinstance(error, KilledWorker)
        assert (error.task, error.allowed_failures) == (future.key, 2)
        assert error.last_worker.address == site.worker.address

    run(test, allowed_failures=2)


def test_announced_loss_does_not_count() -> None:
    """A worker that said that it would leave took no task with it by mistake."""

    async def test(site: Site) -> None:
        future = await site.processing()
        assert not site.losses.died(site.loss(future.key, counts=False), FAILED, "7")
        assert site.state(future) == "processing"
        assert site.scheduler.tasks[future.key].suspicious == 0

    run(test, allowed_failures=0)


def test_short_cut_offs_end_task_after_twenty() -> None:
    """A task that is cut off early may only have started late; it gets many chances, but not endless ones."""

    async def test(site: Site) -> None:
        future = await site.processing()
        for _ in range(19):
            site.losses.cut_off(site.loss(future.key, seconds=40), WALLTIME)
        assert site.state(future) == "processing"
        site.losses.cut_off(site.loss(future.key, seconds=40), WALLTIME)
        assert "cut it off 20 times" in str(await future.exception())

    run(test)


def test_long_cut_offs_count_among_short_ones() -> None:
    """Three long ones end the task, however many short ones are between them; two do not."""

    async def test(site: Site) -> None:
        future = await site.processing()
        for seconds in (1, 60, 1, 60, 1):
            site.losses.cut_off(site.loss(future.key, seconds=seconds), WALLTIME)
        assert site.state(future) == "processing"
        site.losses.cut_off(site.loss(future.key, seconds=50), WALLTIME)
        assert isinstance(await future.exception(), TaskCutOffError)

    run(test)


def test_tasks_are_counted_separately() -> None:
    """The losses of one task do not count against another one."""

    async def test(site: Site) -> None:
        one, two = await site.processing(), await site.processing()
        for key in (one.key, two.key, one.key, two.key):
            site.losses.cut_off(site.loss(key, seconds=80), WALLTIME)
            site.losses.died(site.loss(key), FAILED, "7")
        assert [site.state(one), site.state(two)] == ["processing", "processing"]
        site.losses.cut_off(site.loss(one.key, seconds=80), WALLTIME)
        assert isinstance(await one.exception(), TaskCutOffError)
        assert site.state(two) == "processing"

    run(test, allowed_failures=2)


def broken() -> None:
    """Fail."""
    raise ZeroDivisionError


def test_finished_tasks_are_never_ended() -> None:
    """A result that is there, and a task's own error, stay; a key that the scheduler has forgotten is no error."""

    async def test(site: Site) -> None:
        GATE.set()
        good, bad = site.client.submit(wait_for_gate, 5), site.client.submit(broken)
        assert await good == 5
        assert isinstance(await bad.exception(), ZeroDivisionError)
        for _ in range(30):
            loss = site.loss(good.key, bad.key, "forgotten", seconds=80)
            assert not site.losses.died(loss, FAILED, "7")
            site.losses.cut_off(loss, WALLTIME)
        assert [site.state(good), site.state(bad)] == ["memory", "erred"]
        assert await good == 5
        assert isinstance(await bad.exception(), ZeroDivisionError)

    run(test, allowed_failures=0)


def test_forgets_tasks_that_are_gone() -> None:
    """A long run has very many tasks: what was counted for those that no longer exist is dropped."""

    async def test(site: Site) -> None:
        left = site.client.map(wait_for_gate, range(1100), pure=False)
        await site.until(left[-1], "queued")
        site.losses.died(site.loss(*[future.key for future in left]), FAILED, "7")
        assert len(site.losses._deaths) == 1100
        kept = left[0].key
        for future in left[1:]:
            future.release()
        while len(site.scheduler.tasks) > 1:
            await asyncio.sleep(0)
        site.losses.died(site.loss(kept), FAILED, "8")
        assert list(site.losses._deaths) == [kept]

    run(test, allowed_failures=5)


def test_loss_of_worker_has_its_tasks_and_their_times() -> None:
    """The time that a task had run counts on while a worker has been silent; the state has no tasks, for pickle."""

    async def test(site: Site) -> None:
        future = await site.processing()
        while future.key not in site.worker.active_keys:
            await asyncio.sleep(0)
        await site.worker.heartbeat()
        worker = site.scheduler.workers[site.worker.address]
        loss = Loss.of(worker, worker.last_seen + 30, counts=True)
        assert loss.tasks == [future.key]
        assert loss.running[future.key] == pytest.approx(30, abs=10)
        assert loss.running[future.key] >= 30
        assert loss.memory.used > 0
        assert loss.memory.limit == site.worker.memory_manager.memory_limit
        assert not loss.worker.processing
        assert (loss.counts, Loss.of(worker, 0.0, counts=False).counts) == (True, False)

    run(test)


def test_error_survives_pickle() -> None:
    """Dask sends it between processes: the message and what `KilledWorker` has stay the same."""
    error: Any = TaskDiedError("key", None, 3, "Task 'key' was lost.", "  job 7 failed", "find out.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is TaskDiedError
    assert str(copy) == str(error) == copy.message
    assert str(copy).splitlines() == ["Task 'key' was lost.", "  job 7 failed", "What to do: find out."]
    assert (copy.task, copy.last_worker, copy.allowed_failures) == ("key", None, 3)
    cut: Any = pickle.loads(pickle.dumps(TaskCutOffError("what", "seen", "todo")))
    assert (type(cut), cut.message) == (TaskCutOffError, "what\nseen\nWhat to do: todo")
