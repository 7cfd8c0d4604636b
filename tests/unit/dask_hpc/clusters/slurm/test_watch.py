"""Counting workers as they connect and leave, and passing an error to the main thread."""

from __future__ import annotations

import signal
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dask_hpc.clusters.slurm.watch import Watch
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.jobs import QueuedJob


class Keeper:
    """The part of a keeper that a watch uses."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.closed = False
        self.refusal = ""
        self.queue: list[QueuedJob] = []

    def came(self, worker: Any) -> None:
        """Note a worker."""
        self.seen.append(worker.name)

    def closing(self) -> None:
        """Note the end."""
        self.closed = True


class Scheduler:
    """The part of Dask's scheduler that a plugin uses; `handed` has what is passed to its event loop."""

    def __init__(self, watch: Watch) -> None:
        self.workers: dict[str, Any] = {}
        self.handed: list[Any] = []
        self.loop = SimpleNamespace(
            add_callback=lambda function, **options: self.handed.append(partial(function, **options))
        )
        self.watch = watch
        self.closed_for = ""

    def close(self, *, reason: str) -> None:
        """Note why the scheduler is closed."""
        self.closed_for = reason

    def come(self, address: str, name: str) -> None:
        """Let a worker connect."""
        self.workers[address] = SimpleNamespace(name=name)
        self.watch.add_worker(self, address)

    def go(self, address: str) -> None:
        """Let a worker leave."""
        del self.workers[address]
        self.watch.remove_worker(self, address, stimulus_id="gone")


def kept(watch: Watch) -> Scheduler:
    """Give a watch a keeper, and return a scheduler without workers."""
    watch.keeper = Keeper()  # type: ignore[assignment]
    return Scheduler(watch)


@pytest.fixture
def scheduler() -> Scheduler:
    """Return a scheduler without workers, watched by the main thread."""
    return kept(Watch())


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the threads and signals that are sent, instead of sending them."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, signum: sent.append((thread, signum)))
    return sent


def wait(watch: Watch, count: int, *, timeout: float = 0, logs: Path = Path("/nowhere")) -> None:
    """Wait for workers."""
    watch.wait_for_workers(count, timeout=timeout, logs=logs)


def test_counts_connected_workers(scheduler: Scheduler) -> None:
    """The count goes up when a worker connects and down when it leaves."""
    watch = scheduler.watch
    scheduler.come("tcp://a", "0")
    scheduler.come("tcp://b", "1")
    wait(watch, 2)
    with pytest.raises(ClusterError, match="Only 2 of 3"):
        wait(watch, 3)
    scheduler.go("tcp://a")
    with pytest.raises(ClusterError, match="Only 1 of 2"):
        wait(watch, 2)
    wait(watch, 1)


def test_tells_keeper_which_worker_connected(scheduler: Scheduler) -> None:
    """The keeper gets the worker's state, which has its name."""
    scheduler.come("tcp://a", "job-1")
    assert scheduler.watch.keeper.seen == ["job-1"]  # type: ignore[attr-defined]


def test_wait_returns_when_worker_connects(scheduler: Scheduler) -> None:
    """A worker that connects in another thread ends the wait."""
    thread = threading.Timer(0, scheduler.come, ("tcp://a", "0"))
    thread.start()
    wait(scheduler.watch, 1, timeout=60)
    thread.join()


def test_failure_ends_wait(scheduler: Scheduler, woken: list[tuple[int, int]]) -> None:
    """The wait for workers raises the error with which the keeper gives up, without a signal, even if it comes late."""
    failure = ClusterError("no")
    thread = threading.Timer(0, scheduler.watch.fail, (failure,))
    thread.start()
    with pytest.raises(ClusterError) as caught:
        wait(scheduler.watch, 1, timeout=60)
    thread.join()
    assert caught.value is failure
    scheduler.come("tcp://a", "0")
    with pytest.raises(ClusterError) as caught:
        wait(scheduler.watch, 1)
    assert caught.value is failure
    assert woken == []


def test_first_failure_is_kept(scheduler: Scheduler) -> None:
    """A later error, which is likely to result from the first, does not replace it."""
    first = RequestError("first")
    scheduler.watch.fail(first)
    scheduler.watch.fail(ClusterError("second"))
    assert scheduler.watch.failure is first


def test_failure_interrupts_main_thread_while_running(scheduler: Scheduler, woken: list[tuple[int, int]]) -> None:
    """The main thread is interrupted while the run's own code runs, and not while the cluster closes."""
    scheduler.come("tcp://a", "0")
    scheduler.watch.running()
    assert woken == []
    scheduler.watch.fail(ClusterError("no"))
    assert woken == [(threading.main_thread().ident, signal.SIGUSR1)]
    assert scheduler.handed == []
    scheduler.watch.closing()
    scheduler.watch.fail(ClusterError("no"))
    assert len(woken) == 1
    assert scheduler.watch.keeper.closed  # type: ignore[attr-defined]


def test_failure_between_wait_and_run_is_raised(scheduler: Scheduler, woken: list[tuple[int, int]]) -> None:
    """A failure after the wait for workers is raised before the run's own code starts: no signal would follow."""
    scheduler.come("tcp://a", "0")
    wait(scheduler.watch, 1)
    failure = ClusterError("no")
    scheduler.watch.fail(failure)
    with pytest.raises(ClusterError) as caught:
        scheduler.watch.running()
    assert caught.value is failure
    assert woken == []


def test_failure_closes_scheduler_outside_main_thread(woken: list[tuple[int, int]]) -> None:
    """A run in another thread cannot be interrupted by a signal: closing the scheduler cancels what it waits for."""
    found: list[Watch] = []
    thread = threading.Thread(target=lambda: found.append(Watch()))
    thread.start()
    thread.join()
    (watch,) = found
    scheduler = kept(watch)
    scheduler.come("tcp://a", "0")
    watch.running()
    watch.fail(ClusterError("Worker jobs failed 3 times in a row."))
    (close,) = scheduler.handed
    close()
    assert scheduler.closed_for == "Worker jobs failed 3 times in a row."
    watch.closing()
    watch.fail(ClusterError("later"))
    assert len(scheduler.handed) == 1
    assert woken == []


def test_timeout_shows_queue_and_log(scheduler: Scheduler, tmp_path: Path) -> None:
    """After the timeout, the error counts the workers, shows the queue and the log, and names `--timeout`."""
    keeper = scheduler.watch.keeper
    keeper.queue.append(QueuedJob(id="7", state="PENDING", reason="Priority", node=""))
    (tmp_path / "x-6.err").write_text("it broke\n")
    with pytest.raises(ClusterError) as late:
        wait(scheduler.watch, 1, logs=tmp_path)
    assert "Only 0 of 1 workers connected within 0 s." in late.value.message
    assert "job 7: PENDING (Priority)" in late.value.message
    assert "it broke" in late.value.message
    assert "--timeout" in late.value.message
    assert "sbatch" not in late.value.message


def test_timeout_quotes_sbatch(scheduler: Scheduler) -> None:
    """If sbatch has accepted no job since, the error says so: the queue alone would not explain it."""
    scheduler.watch.keeper.refusal = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
    with pytest.raises(ClusterError, match="QOSMaxSubmitJobPerUserLimit"):
        wait(scheduler.watch, 1)
