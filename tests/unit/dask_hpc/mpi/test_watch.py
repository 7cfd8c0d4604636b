"""When the scheduler of an MPI job gives it up."""

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
    """As much of Dask's scheduler as the plugin looks at; `later` is what its loop was told to call."""

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
        """Return what a worker has told."""
        return self.events.get(worker, [])

    def come(self, address: str, name: object, host: str = "h") -> None:
        """Have a worker connect."""
        self.workers[address] = SimpleNamespace(name=name, host=host)
        self.watch.add_worker(self, address)

    def go(self, address: str, stimulus: str = "worker-closed") -> None:
        """Have a worker go."""
        self.watch.remove_worker(self, address, stimulus_id=stimulus)

    def pass_time(self) -> list[float]:
        """Do what was to be done later, and return after how many seconds."""
        due, self.later = self.later, []
        for _, function, reason in due:
            function(reason)
        return [seconds for seconds, *_ in due]


def closing(scheduler: Scheduler) -> None:
    """Have the scheduler close."""
    asyncio.run(scheduler.watch.before_close())


def test_a_killed_rank_is_named_at_once() -> None:
    """Slurm may end the step for the same reason, and says less."""
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
def test_a_rank_is_known_by_its_workers_name(name: object, who: str) -> None:
    """The number at its end; where the world has no such rank, the worker's own host is named."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", name)
    scheduler.go("tcp://a")
    scheduler.pass_time()
    assert scheduler.given_up[0][0].startswith(f"{who} ")


def test_a_rank_that_took_leave_is_waited_for() -> None:
    """Where all are told to end, those that say so may be faster than the scheduler."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", "rank-1")
    scheduler.events["tcp://a"] = [(0.0, "text"), (1.0, {"status": "running"}), (2.0, {"status": "closing"})]
    scheduler.go("tcp://a")
    closing(scheduler)
    assert scheduler.pass_time() == [1.0]
    assert scheduler.given_up == []


def test_a_worker_that_was_asked_to_go_is_not_lost() -> None:
    """Retired workers end by Dask's wish."""
    scheduler = Scheduler()
    scheduler.come("tcp://a", "rank-1")
    scheduler.go("tcp://a", "retire-workers-1234")
    assert scheduler.pass_time() == []


def test_a_client_that_never_comes_ends_the_cluster() -> None:
    """If it was started for one; the world itself is whole."""
    scheduler = Scheduler(FOR_A_CLIENT)
    assert scheduler.pass_time() == [300]
    ((reason, broken),) = scheduler.given_up
    assert "300 s" in reason
    assert not broken
    assert Scheduler().pass_time() == []


def test_a_client_that_came_keeps_it() -> None:
    """Clients that tasks make are none."""
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.watch.add_client(scheduler, "Client-worker-1")
    scheduler.pass_time()
    assert len(scheduler.given_up) == 1
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.watch.add_client(scheduler, "Client-1")
    scheduler.pass_time()
    assert scheduler.given_up == []


def test_a_client_may_come_back_in_some_seconds() -> None:
    """One that lost its connection; the last of several counts."""
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


def test_a_clients_rank_is_part_of_the_world() -> None:
    """Its loss breaks the world; a shared cluster outlives its clients."""
    scheduler = Scheduler(MpiSettings(wait_for_client=300, client_rank=1))
    scheduler.pass_time()
    assert scheduler.given_up[0][1]
    scheduler = Scheduler()
    scheduler.watch.add_client(scheduler, "Client-1")
    scheduler.watch.remove_client(scheduler, "Client-1")
    assert scheduler.later == []


def test_a_cluster_that_closes_is_not_given_up() -> None:
    """Ranks and clients go then, as they should."""
    scheduler = Scheduler(FOR_A_CLIENT)
    scheduler.come("tcp://a", "rank-1")
    closing(scheduler)
    scheduler.go("tcp://a")
    scheduler.pass_time()
    assert scheduler.given_up == []
