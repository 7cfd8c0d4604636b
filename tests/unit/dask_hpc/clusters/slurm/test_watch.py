"""Counting workers as they connect and leave, and giving up when none will connect."""

from __future__ import annotations

import asyncio
import signal
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from dask_hpc.clusters.slurm import watch as slurm_watch
from dask_hpc.clusters.slurm.watch import Watch, wait_for_workers
from dask_hpc.errors import ClusterError, RequestError
from tests.support.site_commands import Commands


class Scheduler:
    """The part of Dask's scheduler that a plugin uses."""

    def __init__(self, watch: Watch) -> None:
        self.workers: dict[str, Any] = {}
        self.later: list[tuple[float, Any]] = []
        self.loop = SimpleNamespace(
            call_later=lambda seconds, function, *arguments: self.later.append((seconds, partial(function, *arguments)))
        )
        self.watch = watch

    def come(self, address: str, name: str) -> None:
        """Let a worker connect."""
        self.workers[address] = SimpleNamespace(name=name)
        self.watch.add_worker(self, address)

    def go(self, address: str) -> None:
        """Let a worker leave."""
        del self.workers[address]
        self.watch.remove_worker(self, address)


@pytest.fixture
def scheduler() -> Scheduler:
    """Return a scheduler without workers."""
    return Scheduler(Watch())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock that only the test advances."""
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(slurm_watch, "monotonic", lambda: found.now)
    return found


def test_counts_connected_workers(scheduler: Scheduler) -> None:
    """The count goes up when a worker connects and down when it leaves."""
    watch = scheduler.watch
    assert not watch.wait(1, timeout=0)
    scheduler.come("tcp://a", "0")
    scheduler.come("tcp://b", "1")
    assert watch.wait(2, timeout=0)
    assert not watch.wait(3, timeout=0)
    scheduler.go("tcp://a")
    assert not watch.wait(2, timeout=0)
    assert watch.wait(1, timeout=0)


def test_wait_returns_when_worker_connects(scheduler: Scheduler) -> None:
    """A worker that connects in another thread ends the wait."""
    thread = threading.Timer(0, scheduler.come, ("tcp://a", "0"))
    thread.start()
    assert scheduler.watch.wait(1, timeout=60)
    thread.join()


def test_wait_raises_submission_error(scheduler: Scheduler) -> None:
    """The wait for workers raises the error of a rejected job."""
    failure = ClusterError("no")
    scheduler.watch.fail(failure)
    with pytest.raises(ClusterError) as caught:
        scheduler.watch.wait(1, timeout=60)
    assert caught.value is failure


def test_restarted_worker_is_not_lost(scheduler: Scheduler, clock: SimpleNamespace) -> None:
    """A worker that reconnects under the same name in time, as with a nanny, is not lost."""
    watch = scheduler.watch
    watch.submitted("job-0", "7")
    scheduler.come("tcp://a", "job-0-0")
    scheduler.go("tcp://a")
    clock.now += 9
    assert watch.lost() == set()
    scheduler.come("tcp://b", "job-0-0")
    clock.now += 100
    assert watch.lost() == set()


def test_names_jobs_of_lost_workers(scheduler: Scheduler, clock: SimpleNamespace) -> None:
    """A worker is matched to its job by the whole name: job-1-0 belongs to job-1, and job-10 to job-10."""
    watch = scheduler.watch
    for number, name in enumerate(("job-1", "job-10", "job-2")):
        watch.submitted(name, str(number))
    scheduler.come("tcp://a", "job-1-0")
    scheduler.come("tcp://b", "job-10")
    scheduler.come("tcp://c", "job-2")
    scheduler.go("tcp://a")
    clock.now += 5
    scheduler.go("tcp://c")
    clock.now += 6
    assert watch.lost() == {"0"}
    clock.now += 5
    assert watch.lost() == {"0", "2"}


def test_waits_for_last_worker_to_return(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends only if no worker has returned after some seconds and the run is not closing."""
    woken: list[int] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, _signum: woken.append(thread))
    scheduler.come("tcp://a", "0")
    scheduler.come("tcp://b", "1")
    scheduler.go("tcp://a")
    assert scheduler.later == []
    scheduler.go("tcp://b")
    ((seconds, give_up),) = scheduler.later
    assert seconds > 0
    scheduler.come("tcp://c", "0")
    give_up()
    assert woken == []
    scheduler.go("tcp://c")
    give_up()
    assert woken == [threading.main_thread().ident]
    scheduler.watch.closing()
    give_up()
    assert len(woken) == 1
    scheduler.come("tcp://d", "0")
    scheduler.go("tcp://d")
    assert len(scheduler.later) == 2


@pytest.mark.parametrize(
    ("message", "said"),
    [("Command exited with 1\nstderr:\nsbatch: error: no\n", "sbatch: error: no"), ("no sbatch", "no sbatch")],
)
def test_rejection_quotes_sbatch(message: str, said: str) -> None:
    """The error contains only what sbatch wrote, not the rest of dask-jobqueue's message."""
    lines = slurm_watch._rejection(message).message.splitlines()
    assert said in [line.strip() for line in lines]
    assert not [line for line in lines if "stderr" in line]


class Waiting:
    """Wait for workers at a site where the test chooses squeue's answers."""

    def __init__(self, commands: Commands, logs: Path) -> None:
        self.commands, self.logs, self.watch = commands, logs, Watch()

    def wait(self, *answers: str, timeout: float = 60) -> None:
        """Wait while squeue gives one answer after another, and repeats the last one."""
        for number, answer in enumerate(answers):
            (self.logs / f"answer-{number}").write_text(answer)
        count, last = self.logs / "count", len(answers) - 1
        self.commands["squeue"] = (
            f"n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) >{count}; "
            f"[ $n -lt {last} ] || n={last}; cat {self.logs}/answer-$n"
        )
        wait_for_workers(self.watch, 1, name="one", timeout=timeout, logs=self.logs)


@pytest.fixture
def waiting(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Wait for workers without pauses between calls of squeue."""
    found = Waiting(commands, tmp_path)
    wait = found.watch.wait
    monkeypatch.setattr(found.watch, "wait", lambda count, timeout: wait(count, timeout=0 * timeout))
    return found


def test_job_that_never_starts_ends_wait(waiting: Waiting) -> None:
    """The error shows Slurm's reason at once, not after the timeout."""
    with pytest.raises(RequestError, match="PartitionTimeLimit"):
        waiting.wait("7|PENDING|PartitionTimeLimit|\n")


def test_job_that_leaves_queue_ends_wait(waiting: Waiting) -> None:
    """A job that was in the queue and has left it is an error, although another job still runs."""
    with pytest.raises(ClusterError) as gone:
        waiting.wait("7|RUNNING|None|c1\n8|RUNNING|None|c1\n", "8|RUNNING|None|c1\n")
    assert "job 7" in gone.value.message
    assert "job 8" not in gone.value.message


def test_lost_worker_ends_wait(waiting: Waiting, clock: SimpleNamespace) -> None:
    """A job that runs on without its worker is an error that shows this job only."""
    scheduler = Scheduler(waiting.watch)
    waiting.watch.submitted("a", "7")
    waiting.watch.submitted("b", "8")
    scheduler.come("tcp://a", "a")
    scheduler.go("tcp://a")
    clock.now += 11
    with pytest.raises(ClusterError) as lost:
        waiting.wait("7|RUNNING|None|c1\n8|PENDING|Priority|\n")
    assert "job 7: RUNNING" in lost.value.message
    assert "job 8" not in lost.value.message


def test_timeout_shows_queue(waiting: Waiting) -> None:
    """After the timeout, the error counts the workers, shows the queue, and names `--timeout`."""
    with pytest.raises(ClusterError) as late:
        waiting.wait("7|PENDING|Priority|\n", timeout=0)
    assert "Only 0 of 1 workers connected within 0 s." in late.value.message
    assert "job 7: PENDING (Priority)" in late.value.message
    assert "--timeout" in late.value.message


def test_does_not_ask_slurm_once_workers_are_connected(waiting: Waiting) -> None:
    """With all workers connected, squeue is not called: every call is load on the site's controller."""
    Scheduler(waiting.watch).come("tcp://a", "a")
    waiting.wait("")
    assert waiting.commands.calls("squeue") == []


def settle(scheduler: Scheduler) -> list[Any]:
    """Run the watch's delayed calls, and return what it passes to the event loop."""
    handed: list[Any] = []
    scheduler.loop.add_callback = lambda function, *arguments, **_: handed.append(partial(function, *arguments))
    scheduler.close = None  # type: ignore[attr-defined]
    later, scheduler.later = scheduler.later, []
    for _, function in later:
        function()
    return handed


@pytest.mark.parametrize("alive", [True, False])
def test_waits_for_restarted_workers_while_jobs_are_alive(alive: bool) -> None:
    """A restart may take long, but once the jobs have ended, the watch gives up."""
    watch = Watch(lambda: alive)
    watch._by_signal = False
    scheduler = Scheduler(watch)
    scheduler.come("tcp://a", "0")
    watch.restarting()
    scheduler.go("tcp://a")
    (look,) = settle(scheduler)
    handed: list[Any] = []
    scheduler.loop.add_callback = lambda *call, **_: handed.append(call)
    asyncio.run(look())
    assert watch.gave_up is not alive
    assert len(scheduler.later) == alive


def test_returned_worker_resets_timer(scheduler: Scheduler) -> None:
    """The check for an earlier loss does not end a run whose worker returned and left again a moment ago."""
    scheduler.come("tcp://a", "0")
    scheduler.go("tcp://a")
    removed: list[object] = []
    scheduler.loop.remove_timeout = removed.append
    scheduler.watch._timer = "first"
    scheduler.come("tcp://b", "0")
    scheduler.go("tcp://b")
    assert removed == ["first"]


@pytest.mark.parametrize(("spec", "adaptive"), [({}, None), ({"job": 1}, "adaptive")])
def test_scaling_to_zero_is_no_loss(scheduler: Scheduler, spec: dict[str, int], adaptive: str | None) -> None:
    """If the user scales to zero, or lets Dask scale, the run does not end."""
    scheduler.watch.cluster = SimpleNamespace(worker_spec=spec, _adaptive=adaptive)
    scheduler.come("tcp://a", "0")
    scheduler.go("tcp://a")
    assert settle(scheduler) == []
    assert not scheduler.watch.gave_up


@pytest.mark.parametrize(
    ("error", "alive", "lost"),
    [
        (FutureCancelledError("key", "scheduler-restart"), False, True),
        (TimeoutError("1/1 nanny worker(s) did not shut down"), False, True),
        (CommClosedError("closed"), False, True),
        (TimeoutError("1/1 nanny worker(s) did not shut down"), True, False),
        (FileNotFoundError("the user's"), False, False),
        (ZeroDivisionError("the user's"), False, False),
    ],
)
def test_gives_up_on_errors_that_result_from_loss(error: Exception, alive: bool, lost: bool) -> None:
    """Dask's own errors count as a loss once no job is alive; the user's errors never do."""
    watch = Watch(lambda: alive)
    watch.judge(error)
    assert watch.gave_up is lost
