"""Conditions in which the scheduler ends an MPI job."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.watch import WorldWatch

SETTINGS = MpiSettings(nodes=("c1", "c1", "c2"))
FOR_A_CLIENT = MpiSettings(wait_for_client=300)


class Scheduler:
    """The part of Dask's scheduler that the plugin uses; `later` has the calls that its loop delays."""

    def __init__(self, settings: MpiSettings = SETTINGS) -> None:
        self.workers: dict[str, Any] = {}
        self.events: dict[str, list[tuple[float, Any]]] = {}
        self.later: list[tuple[float, Any, str]] = []
        self.given_up: list[tuple[str, bool]] = []
        self.loop = SimpleNamespace(call_later=lambda *what: self.later.append(what))
        self.watch = WorldWatch(self, settings, self.give_up)

    def give_up(self, scheduler: Any, reason: str, *, broken: bool) -> None:
        """Note the reason."""
        assert scheduler is self
        self.given_up.append((reason, broken))

    def get_events(self, worker: str) -> list[tuple[float, Any]]:
        """Return a worker's events."""
        return self.events.get(worker, [])

    def come(self, address: str, name: object, host: str = "h") -> None:
        """Let a worker connect."""
        self.workers[address] = SimpleNamespace(name=name, host=host)
        self.watch.add_worker(self, address)

    def go(self, address: str, stimulus: str = "worker-closed") -> None:
        """Let a worker leave."""
        self.watch.remove_worker(self, address, stimulus_id=stimulus)

    def pass_time(self) -> list[float]:
        """Run the delayed calls, and return their delays in seconds."""
        due, self.later = self.later, []
        for _, function, reason in due:
            function(reason)
        return [seconds for seconds, *_ in due]


def closing(scheduler: Scheduler) -> None:
    """Let the scheduler close."""
    asyncio.run(scheduler.watch.before_close())


def test_names_killed_rank_at_once() -> None:
    """A killed rank is reported at once: Slurm may end the step for the same reason, and reports less."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", "rank-2")
    scheduler.go("tcp://a")
    assert scheduler.pass_time() == [0]
    ((reason, broken),) = scheduler.given_up
    assert reason.startswith("rank 2 on c2 ")
    assert broken


@pytest.mark.parametrize(
    ("name", "who"),
    [("rank-0", "rank 0 on c1"), ("rank-7", "rank 7 on h"), ("alone", "rank ? on h"), (1, "rank 1 on c1")],
)
def test_finds_rank_in_worker_name(name: object, who: str) -> None:
    """The rank is the number at the end of the worker's name; for an unknown rank, the worker's host is named."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", name)
    scheduler.go("tcp://a")
    scheduler.pass_time()
    assert scheduler.given_up[0][0].startswith(f"{who} ")


def test_closing_worker_gets_grace_period() -> None:
    """If all ranks are told to end, a worker that announces it may close before the scheduler does."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", "rank-1")
    scheduler.events["tcp://a"] = [(0.0, "text"), (1.0, {"status": "running"}), (2.0, {"status": "closing"})]
    scheduler.go("tcp://a")
    closing(scheduler)
    assert scheduler.pass_time() == [1.0]
    assert scheduler.given_up == []


def test_retired_worker_is_not_lost() -> None:
    """A worker that Dask retires does not end the job."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", "rank-1")
    scheduler.go("tcp://a", "retire-workers-1234")
    assert scheduler.pass_time() == []


def test_missing_client_ends_cluster() -> None:
    """A cluster that was started for a client ends if none connects in time; the MPI world stays intact."""
    scheduler = Scheduler(FOR_A_CLIENT)
    assert scheduler.pass_time() == [300]
    ((reason, broken),) = scheduler.given_up
    assert "300 s" in reason
    assert not broken
    assert Scheduler().pass_time() == []


def test_connected_client_keeps_cluster() -> None:
    """A connected client keeps the cluster; clients created by tasks do not count."""
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.watch.add_client(scheduler, "Client-worker-1")
    scheduler.pass_time()
    assert len(scheduler.given_up) == 1
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.watch.add_client(scheduler, "Client-1")
    scheduler.pass_time()
    assert scheduler.given_up == []


def test_client_may_reconnect_within_grace_period() -> None:
    """The cluster ends only if its last client is lost and none reconnects within ten seconds."""
    scheduler = Scheduler(FOR_A_CLIENT)
    for name in ("Client-1", "Client-2"):
        scheduler.watch.add_client(scheduler, name)
    scheduler.pass_time()
    scheduler.watch.remove_client(scheduler, "Client-1")
    assert scheduler.later == []
    scheduler.watch.remove_client(scheduler, "Client-2")
    scheduler.watch.add_client(scheduler, "Client-3")
    assert scheduler.pass_time() == [10]
    assert scheduler.given_up == []
    scheduler.watch.remove_client(scheduler, "Client-3")
    scheduler.pass_time()
    assert len(scheduler.given_up) == 1


def test_losing_client_rank_breaks_world() -> None:
    """Losing a client that is a rank breaks the world; a shared cluster outlives its clients."""
    scheduler = Scheduler(MpiSettings(wait_for_client=300, client_rank=1))
    scheduler.pass_time()
    assert scheduler.given_up[0][1]
    scheduler = Scheduler()
    scheduler.watch.add_client(scheduler, "Client-1")
    scheduler.watch.remove_client(scheduler, "Client-1")
    assert scheduler.later == []


def test_closing_cluster_reports_no_loss() -> None:
    """While the cluster closes, ranks and clients may leave."""
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.come("tcp://a", "rank-1")
    closing(scheduler)
    scheduler.go("tcp://a")
    scheduler.pass_time()
    assert scheduler.given_up == []
