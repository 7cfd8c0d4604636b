"""A keeper with a scripted Slurm, a scripted scheduler and a scripted clock: what it submits, ends and says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dask_hpc.clusters.slurm.kept import keeper as keeper_module
from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.clusters.slurm.kept.keeper import Keeper
from dask_hpc.clusters.slurm.kept.losses import Loss
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm import jobs as slurm_jobs
from dask_hpc.slurm.jobs import QueuedJob

AWAY = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
LIMIT = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
INVALID = "sbatch: error: Batch job submission failed: Invalid qos specification"


@dataclass
class Worker:
    """The part of a worker's state that a keeper uses."""

    name: str
    address: str
    last_seen: float
    nbytes: int = 0
    occupancy: float = 0.0
    memory_limit: int = 1 << 30
    processing: dict[Any, float] = field(default_factory=dict)
    executing: dict[Any, float] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=lambda: {"memory": 1 << 29})

    def clean(self) -> Worker:
        """Return it without its tasks."""
        return Worker(self.name, self.address, self.last_seen)


@dataclass
class Record:
    """A job in Slurm."""

    state: str = "PENDING"
    reason: str = "Priority"
    node: str = ""
    start: str = "N/A"
    ends: float = 0.0


class Charged:
    """Losses, noted instead of counted; `blames` is whether tasks are to blame."""

    def __init__(self) -> None:
        self.cut: list[str] = []
        self.dead: list[tuple[str, Fate, bool]] = []
        self.blames = False

    def cut_off(self, loss: Loss, _walltime: float) -> None:
        """Note a worker whose tasks were cut off."""
        self.cut.append(loss.worker.address)

    def died(self, loss: Loss, fate: Fate, job: str) -> bool:
        """Note a worker that died."""
        self.dead.append((job, fate, loss.counts))
        return self.blames


class Site:
    """Everything around a keeper. Time passes only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, logs: Path, *, processes: int, walltime: float) -> None:
        self.now = 1000.0
        self.records: dict[str, Record] = {}
        self.away: ClusterError | None = None
        self.hangs = False
        self.asked: list[float] = []
        self.cancelled: list[str] = []
        self.said: list[str] = []
        self.errors: list[Exception] = []
        self.added: list[str] = []
        self.let_go_of: list[str] = []
        self.sbatch_says = ""
        self.sbatch_hangs = False
        self.workers: dict[str, Worker] = {}
        self.tasks: dict[Any, Any] = {}
        self.bandwidth = 1e8
        self.allowed_failures = 3
        self.retired: list[str] = []
        self.can_move = True
        self.charged = Charged()
        patched = {"to_thread": self._to_thread, "sleep": self._sleep, "wait_for": self._wait_for}
        monkeypatch.setattr(keeper_module, "asyncio", SimpleNamespace(**vars(asyncio) | patched))
        monkeypatch.setattr(keeper_module, "monotonic", lambda: self.now)
        monkeypatch.setattr(keeper_module, "time", lambda: self.now)
        monkeypatch.setattr(keeper_module, "Losses", lambda _scheduler: self.charged)
        monkeypatch.setattr(slurm_jobs, "jobs", self._jobs)
        monkeypatch.setattr(slurm_jobs, "cancel_jobs", self._cancel_jobs)
        self.keeper = Keeper(
            name="one",
            processes=processes,
            cores=processes,
            walltime=walltime,
            patience=300,
            failures=3,
            logs=logs,
            fail=self.errors.append,
            say=self.said.append,
        )
        self.walltime = walltime

    # The clock

    async def _sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            await asyncio.sleep(0)

    async def _wait_for(self, what: Awaitable[Any], timeout: float) -> None:
        waiting, until = asyncio.ensure_future(what), self.now + timeout
        while not waiting.done() and self.now < until:
            await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            raise TimeoutError

    async def _to_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(0)
        while self.hangs:
            await asyncio.sleep(0)
        return function(*arguments)

    async def settle(self) -> None:
        """Let everything happen that happens now."""
        for _ in range(12):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass."""
        until = self.now + seconds
        await self.settle()
        while self.now < until:
            self.now = min(until, self.now + step)
            await self.settle()

    # Slurm

    def _jobs(self, name: str) -> list[QueuedJob]:
        assert name == "one"
        self.asked.append(self.now)
        if self.away:
            raise self.away
        return [
            QueuedJob(
                id=number,
                state=job.state,
                reason=job.reason,
                node=job.node,
                start=job.start,
                left=int(job.ends - self.now) if job.state == "RUNNING" else int(self.walltime),
            )
            for number, job in self.records.items()
        ]

    def _cancel_jobs(self, numbers: Iterable[str]) -> None:
        if self.away:
            raise self.away
        for number in numbers:
            self.cancelled.append(number)
            if number in self.records and self.records[number].state in {"PENDING", "RUNNING"}:
                self.becomes(number, "CANCELLED")

    def runs(self, *numbers: str, node: str = "") -> None:
        """Let jobs run from now on."""
        for one in numbers:
            self.records[one] = Record(
                "RUNNING", "None", node or f"c{one}", f"start {self.now}", self.now + self.walltime
            )

    def becomes(self, number: str, state: str, reason: str = "None") -> None:
        """Change the state of a job."""
        self.records[number].state, self.records[number].reason = state, reason

    # dask-jobqueue's cluster

    def add_job(self) -> str:
        """Add a job to the ones to submit."""
        self.names = getattr(self, "names", 0) + 1
        self.added.append(f"x-{self.names}")
        return self.added[-1]

    def submit_added(self) -> asyncio.Future[None]:
        """Submit the jobs that were added."""
        return asyncio.ensure_future(self._submit())

    async def _submit(self) -> None:
        while self.sbatch_hangs:
            await asyncio.sleep(0)
        added, self.added = self.added, []
        for name in added:
            if self.sbatch_says:
                self.keeper.rejected(name, self.sbatch_says)
            else:
                number = str(len(self.records) + 1)
                self.records[number] = Record()
                self.keeper.submitted(name, number)

    def let_go(self, name: str) -> None:
        """Note a job whose end is left to the keeper."""
        self.let_go_of.append(name)

    # Dask's scheduler

    def come(self, *numbers: str, part: str = "") -> Worker:
        """Let a worker of each of these jobs connect."""
        for number in numbers:
            (name,) = [job.name for job in self.keeper.history if job.id == number]
            address = f"tcp://{number}{part}:{len(self.workers)}-{self.now}"
            worker = self.workers[address] = Worker(f"{name}{part}", address, self.now)
            self.keeper.came(worker)
        return worker

    def lose(self, worker: Worker, *, expected: bool = False) -> None:
        """Let a worker leave, as `KeptScheduler` reports it."""
        self.keeper.lost(worker, expected=expected)
        del self.workers[worker.address]

    async def remove_worker(self, address: str, *, stimulus_id: str, expected: bool) -> None:
        """Remove a worker."""
        assert stimulus_id
        if worker := self.workers.get(address):
            self.lose(worker, expected=expected)

    async def retire_workers(self, *, workers: list[str], close_workers: bool, remove: bool) -> None:
        """Move the data of workers, if another one can take it, and close them."""
        assert close_workers
        assert remove
        self.retired += workers
        if self.can_move:
            for address in workers:
                self.lose(self.workers[address], expected=True)

    # What a test needs

    def worker(self, number: str) -> Worker:
        """Return the worker of a job."""
        (found,) = [one for one in self.workers.values() if one.address.startswith(f"tcp://{number}:")]
        return found

    def numbers(self) -> list[str]:
        """Return the numbers of the jobs that fill a place."""
        return sorted((job.id for job in self.keeper.jobs), key=int)

    async def work(self, jobs: int) -> None:
        """Start jobs, and let their workers connect."""
        self.keeper.scale(jobs)
        await self.pass_time(1)
        numbers = [str(number + 1) for number in range(jobs)]
        assert self.numbers() == numbers
        self.runs(*numbers)
        await self.pass_time(1)
        self.come(*numbers)
        await self.pass_time(20)
        assert self.said == []

    async def until_succeeded(self) -> None:
        """Let time pass until the successor of the first job is submitted."""
        while len(self.records) == 1:
            await self.pass_time(1)

    async def takes_over(self, number: str) -> None:
        """Let a job that was submitted run, and its worker connect."""
        self.runs(number)
        await self.pass_time(1)
        self.come(number)
        await self.pass_time(1)


Script = Callable[[Site], Awaitable[None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Site]:
    """Return a function that plays a script at a site where a keeper runs, and returns the site."""

    def play(script: Script, *, processes: int = 1, walltime: float = 3600.0) -> Site:
        site: Any = Site(monkeypatch, tmp_path, processes=processes, walltime=walltime)

        async def run() -> None:
            site.keeper.start(site, site)
            await script(site)
            site.keeper.stop()
            await site.settle()
            assert site.keeper._tasks == set()

        asyncio.run(run())
        return site  # type: ignore[no-any-return]

    return play


Play = Callable[..., Site]


# How many jobs


def test_scale_up_submits_what_is_missing(play: Play) -> None:
    """As many jobs are submitted as are asked for, and no more while they wait or work."""

    async def script(site: Site) -> None:
        site.keeper.scale(3)
        await site.pass_time(60)
        assert site.numbers() == ["1", "2", "3"]
        site.keeper.scale(5)
        await site.pass_time(60)
        assert site.numbers() == ["1", "2", "3", "4", "5"]
        site.runs(*site.numbers())
        site.come(*site.numbers())
        await site.pass_time(60)

    site = play(script)
    assert len(site.records) == 5
    assert (site.said, site.errors, site.cancelled) == ([], [], [])


def test_scale_down_ends_waiting_jobs_first(play: Play) -> None:
    """A job without workers is cancelled before one with workers is retired, and of those, the one with least work."""

    async def script(site: Site) -> None:
        await site.work(3)
        for number, seconds in (("1", 30.0), ("2", 10.0), ("3", 20.0)):
            site.worker(number).occupancy = seconds
        site.keeper.scale(4)
        await site.pass_time(5)
        site.keeper.scale(3)
        await site.pass_time(5)
        assert site.numbers() == ["1", "2", "3"]
        assert site.cancelled == ["4"]
        assert site.retired == []
        address = site.worker("2").address
        site.keeper.scale(2)
        await site.pass_time(5)
        assert site.numbers() == ["1", "3"]
        assert site.retired == [address]

    site = play(script)
    assert site.said == ["Job 2 on c2 is no longer needed."]
    assert len(site.records) == 4
    assert site.charged.cut == []


def test_scale_to_zero_and_back(play: Play) -> None:
    """After scaling to zero nothing is submitted, until more is asked for again."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.keeper.scale(0)
        await site.pass_time(200)
        assert site.numbers() == []
        assert len(site.records) == 2
        assert sorted(site.cancelled) == ["1", "2"]
        site.keeper.scale(1)
        await site.pass_time(1)
        assert site.numbers() == ["3"]

    assert play(script).errors == []


def test_scale_down_by_workers(play: Play) -> None:
    """Dask's adaptive scaling names the workers whose jobs are to end; they are not replaced."""

    async def script(site: Site) -> None:
        site.keeper.scale(3)
        await site.pass_time(1)
        site.runs("1", "2", "3")
        for part in ("-0", "-1"):
            site.come("1", "2", "3", part=part)
        await site.pass_time(20)
        names = [worker.name for worker in site.workers.values() if worker.address.startswith("tcp://2")]
        site.keeper.scale_down([*names, "stranger"])
        await site.pass_time(120)
        assert site.numbers() == ["1", "3"]

    site = play(script, processes=2)
    assert len(site.retired) == 2
    assert len(site.records) == 3


def test_scale_down_waits_for_sbatch(play: Play) -> None:
    """A job whose number is not known yet is cancelled once it is; if it is wanted again by then, it stays."""

    async def script(site: Site) -> None:
        site.sbatch_hangs = True
        site.keeper.scale(2)
        await site.pass_time(2)
        site.keeper.scale(1)
        await site.pass_time(2)
        assert site.cancelled == []
        site.sbatch_hangs = False
        await site.pass_time(2)
        assert len(site.cancelled) == 1

    play(script)


def test_job_that_is_wanted_again_is_replaced(play: Play) -> None:
    """Scaling down and up again before sbatch answers leaves a job like any other."""

    async def script(site: Site) -> None:
        site.sbatch_hangs = True
        site.keeper.scale(1)
        await site.pass_time(2)
        site.keeper.scale(0)
        await site.pass_time(2)
        site.keeper.scale(1)
        await site.pass_time(2)
        site.sbatch_hangs = False
        await site.pass_time(2)
        site.runs("1")
        site.come("1")
        await site.pass_time(20)
        site.becomes("1", "CANCELLED")
        await site.pass_time(20)

    site = play(script)
    assert site.said == ["Job 1 on c1 was cancelled; job 2 takes its place."]


# Jobs that end


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("TIMEOUT", "reached its wall time"),
        ("PREEMPTED", "was preempted"),
        ("CANCELLED", "was cancelled"),
        ("NODE_FAIL", "lost its node (c1)"),
    ],
)
def test_ended_job_is_replaced(play: Play, state: str, said: str) -> None:
    """Once its worker is lost, Slurm is asked at once; one line says which job ended, why, and what came instead."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", state)
        site.lose(site.worker("1"))
        await site.pass_time(1.5)
        assert site.numbers() == ["2", "3"]
        await site.takes_over("3")
        await site.pass_time(60)

    site = play(script)
    assert site.said == [f"Job 1 on c1 {said}; job 3 takes its place."]
    assert len(site.records) == 3
    assert site.let_go_of == ["x-1"]
    assert site.errors == []


def test_end_without_a_sign_is_found(play: Play) -> None:
    """A job that waited is asked about as well; workers of a node that hangs are removed from the scheduler."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", "NODE_FAIL")
        await site.pass_time(13)
        assert site.numbers() == ["2", "3"]
        assert [worker.name for worker in site.workers.values()] == ["x-2"]
        site.becomes("3", "CANCELLED")
        await site.pass_time(13)
        assert site.numbers() == ["2", "4"]

    assert len(play(script).said) == 2


@pytest.mark.parametrize("state", ["TIMEOUT", "PREEMPTED", "CANCELLED", "NODE_FAIL"])
def test_jobs_that_are_taken_away_are_no_failures(play: Play, state: str) -> None:
    """However often that happens, the run goes on."""

    async def script(site: Site) -> None:
        await site.work(1)
        for number in range(1, 11):
            site.becomes(str(number), state)
            site.lose(site.worker(str(number)))
            await site.pass_time(15)
            await site.takes_over(str(number + 1))

    site = play(script)
    assert len(site.said) == 10
    assert site.errors == []


def test_several_ends_are_matched_with_their_replacements(play: Play) -> None:
    """Each job that ended has its own line, and each replacement is named once."""

    async def script(site: Site) -> None:
        await site.work(3)
        for number in ("1", "3"):
            site.becomes(number, "CANCELLED")
            site.lose(site.worker(number))
        await site.pass_time(5)

    assert sorted(play(script).said) == [
        "Job 1 on c1 was cancelled; job 4 takes its place.",
        "Job 3 on c3 was cancelled; job 5 takes its place.",
    ]


def test_forgotten_job_is_replaced(play: Play) -> None:
    """A controller that was lost has forgotten the job, which is no failure if it has worked."""

    async def script(site: Site) -> None:
        await site.work(1)
        for number in range(1, 6):
            del site.records[str(number)]
            site.records[f"{number} of others"] = Record("COMPLETED")  # keeps the numbers growing
            site.lose(site.worker(str(number)))
            await site.pass_time(15)
            await site.takes_over(str(number + 1))

    site = play(script)
    assert site.said[0] == "Job 1 on c1 is no longer known to Slurm; job 2 takes its place."
    assert len(site.said) == 5
    assert site.errors == []


def test_completing_job_is_replaced_before_its_end_is_known(play: Play) -> None:
    """Its node may take minutes to finish with it; the reason is said once Slurm has it."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", "COMPLETING")
        site.lose(site.worker("1"))
        await site.pass_time(40)
        assert site.numbers() == ["2", "3"]
        assert site.said == []
        site.becomes("1", "PREEMPTED")
        await site.pass_time(13)

    site = play(script)
    assert site.said == ["Job 1 on c1 was preempted; job 3 takes its place."]
    assert len(site.records) == 3
    assert "1" not in site.cancelled


def test_completing_job_at_its_end_has_reached_its_wall_time(play: Play) -> None:
    """Slurm says COMPLETING for as long as a killed process takes to end; the clock knows why already."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.keeper.scale(2)
        await site.pass_time(1)
        site.runs("2")
        site.records["2"].ends = site.now + 100
        await site.pass_time(101)
        site.becomes("2", "COMPLETING")
        await site.pass_time(13)
        assert site.numbers() == ["1", "3"]
        assert len(site.said) == 1
        site.becomes("2", "TIMEOUT")
        await site.pass_time(30)

    assert play(script).said == ["Job 2 on c2 reached its wall time; job 3 takes its place."]


def test_job_without_workers_is_cancelled(play: Play) -> None:
    """A node that is cut off runs its job, says Slurm; after some seconds another job takes its place."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.lose(site.worker("1"))
        await site.pass_time(18)
        assert site.numbers() == ["1", "2"]
        await site.pass_time(5)
        assert site.numbers() == ["2", "3"]

    site = play(script)
    assert site.cancelled == ["1"]
    assert site.said == [
        "Job 1 on c1 still runs, but its workers are gone, as if its node were lost; job 3 takes its place."
    ]
    assert site.errors == []


def test_restarted_worker_is_no_end(play: Play) -> None:
    """A nanny restarts a worker within seconds; its death counts against its tasks, and the job stays."""

    async def script(site: Site) -> None:
        site.keeper.scale(1)
        await site.pass_time(1)
        site.runs("1")
        site.come("1", part="-0")
        worker = site.come("1", part="-1")
        await site.pass_time(20)
        site.lose(worker)
        await site.pass_time(8)
        site.come("1", part="-1")
        await site.pass_time(60)
        assert site.numbers() == ["1"]
        site.becomes("1", "FAILED")
        site.workers.clear()
        await site.pass_time(13)

    site = play(script, processes=2)
    assert site.cancelled == []
    ((job, fate, counts),) = site.charged.dead
    assert (job, counts) == ("1", True)
    assert "its nanny has restarted" in fate.text
    assert fate.cause is Cause.FAILED


def test_job_with_some_of_its_workers_is_replaced(play: Play) -> None:
    """If one worker of two does not return, the job is cancelled as a whole, and its other worker removed."""

    async def script(site: Site) -> None:
        site.keeper.scale(1)
        await site.pass_time(1)
        site.runs("1")
        site.come("1", part="-0")
        worker = site.come("1", part="-1")
        await site.pass_time(20)
        site.lose(worker)
        await site.pass_time(25)
        assert site.numbers() == ["2"]
        assert site.workers == {}

    assert play(script, processes=2).cancelled == ["1"]


def test_job_whose_workers_never_connect(play: Play) -> None:
    """A job that runs for the whole timeout without a worker is cancelled; if none ever worked, the run ends."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.keeper.scale(2)
        await site.pass_time(1)
        site.runs("2")
        await site.pass_time(290, step=2)
        assert site.numbers() == ["1", "2"]
        await site.pass_time(30, step=2)
        assert site.numbers() == ["1", "3"]

    site = play(script)
    assert site.cancelled == ["2"]
    assert site.said == ["Job 2 on c2 runs, but its workers did not connect; job 3 takes its place."]

    async def first(site: Site) -> None:
        site.keeper.scale(1)
        await site.pass_time(1)
        site.runs("1")
        await site.pass_time(320, step=2)

    (error,) = play(first).errors
    assert "its workers did not connect" in str(error)


# Jobs that Slurm puts back into the queue


@pytest.mark.parametrize("seen", ["pending", "running"])
@pytest.mark.parametrize("hangs", [False, True], ids=["node-said-so", "node-hangs"])
def test_requeued_job_is_kept(play: Play, seen: str, hangs: bool) -> None:
    """A job that Slurm puts back starts again as itself, however long it waits; so does one seen only running again."""

    async def script(site: Site) -> None:
        await site.work(2)
        if not hangs:
            site.lose(site.worker("1"))
        if seen == "pending":
            site.becomes("1", "PENDING", "BeginTime")
        else:
            site.runs("1", node="c7")
        await site.pass_time(15)
        assert [worker.name for worker in site.workers.values()] == ["x-2"]
        if seen == "pending":
            await site.pass_time(200, step=2)
            site.runs("1", node="c7")
            await site.pass_time(13)
        site.come("1")
        await site.pass_time(60)
        assert site.numbers() == ["1", "2"]

    site = play(script)
    reason = " (BeginTime)" if seen == "pending" else ""
    node = "" if seen == "pending" else " on c7"
    (said,) = site.said
    assert said.endswith(f"was put back into the queue by Slurm{reason}; it will start again.")
    assert said.startswith(f"Job 1{node} ")
    assert len(site.records) == 2
    assert (site.cancelled, site.errors, site.charged.dead) == ([], [], [])


def test_requeued_job_does_not_look_slow_to_start(play: Play) -> None:
    """The next successor is submitted as early as a job takes to start, which does not include an earlier run."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.pass_time(3000, step=5)
        site.lose(site.worker("1"))
        site.becomes("1", "PENDING", "BeginTime")
        await site.pass_time(13)
        site.runs("1")
        await site.pass_time(13)
        site.come("1")
        await site.pass_time(3300, step=5)
        assert len(site.records) == 1
        await site.pass_time(240, step=2)
        assert len(site.records) == 2

    play(script)


@pytest.mark.parametrize("reason", ["launch failed requeued held", "JobHoldMaxRequeue"])
def test_held_job_is_cancelled_and_replaced(play: Play, reason: str) -> None:
    """After a failed prolog, Slurm holds the job until an administrator releases it: another one is submitted."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.keeper.scale(2)
        await site.pass_time(1)
        site.becomes("2", "PENDING", reason)
        await site.pass_time(13)
        assert site.numbers() == ["1", "3"]

    site = play(script)
    assert site.cancelled == ["2"]
    assert site.said == [f"Job 2 could not be started ({reason}); job 3 takes its place."]


# Jobs that retire before their end


def test_foreseen_end(play: Play) -> None:
    """A successor is submitted before the end; when its worker connects, the job's data moves, and it closes."""

    async def script(site: Site) -> None:
        await site.work(1)
        end = site.records["1"].ends
        address = site.worker("1").address
        await site.until_succeeded()
        assert end - 180 < site.now < end - 60
        assert site.numbers() == ["2"]
        assert site.retired == []
        await site.takes_over("2")
        assert site.now < end - 60
        assert site.retired == [address]
        assert site.let_go_of == ["x-1"]
        assert [job.id for job in site.keeper.queue] == ["2"]
        site.becomes("1", "COMPLETED")
        await site.pass_time(100)
        assert site.numbers() == ["2"]

    site = play(script)
    assert site.said == ["Job 1 on c1 retires before its wall time ends; job 2 takes its place."]
    assert len(site.records) == 2
    assert (site.cancelled, site.errors) == ([], [])


def test_successor_is_submitted_as_early_as_jobs_take_to_start(play: Play) -> None:
    """The time from submission to the first worker is measured, and half of it again is to spare."""

    async def script(site: Site) -> None:
        site.keeper.scale(1)
        await site.pass_time(120)
        site.runs("1")
        site.come("1")
        await site.until_succeeded()
        assert site.records["1"].ends - 60 - site.now == pytest.approx(180, abs=3)

    play(script)


def test_job_retires_in_time_without_successor(play: Play) -> None:
    """If no node is free for the successor, the job retires a minute before its end, and makes room."""

    async def script(site: Site) -> None:
        await site.work(2)
        end = site.records["1"].ends
        await site.pass_time(end - site.now - 59, step=1)
        assert len(site.retired) == 2
        assert len(site.records) == 4

    site = play(script)
    assert [line.partition(";")[0] for line in site.said] == [
        f"Job {number} on c{number} retires before its wall time ends" for number in site_order(site)
    ]


def site_order(site: Site) -> list[str]:
    """Return the numbers of retired jobs in the order in which they retired."""
    return [address.removeprefix("tcp://").partition(":")[0] for address in site.retired]


def test_jobs_retire_in_time_while_slurm_hangs(play: Play) -> None:
    """A squeue that takes a minute to fail delays no retirement."""

    async def script(site: Site) -> None:
        await site.work(2)
        end = site.records["1"].ends
        await site.pass_time(end - site.now - 300, step=2)
        site.hangs = True
        await site.pass_time(241, step=1)
        assert len(site.retired) == 2
        asked = len(site.asked)
        site.hangs = False
        await site.settle()
        assert len(site.asked) - asked <= 2

    play(script)


def test_retired_job_that_is_put_back_is_cancelled(play: Play) -> None:
    """A job that is no longer needed does not start again."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.can_move = False
        site.keeper.scale(1)
        await site.pass_time(3)
        (retired,) = {"1", "2"} - set(site.numbers())
        site.becomes(retired, "PENDING", "BeginTime")
        await site.pass_time(30)
        assert site.cancelled == [retired]
        assert not any("start again" in line for line in site.said)

    assert play(script).errors == []


def test_retired_job_that_stays_is_cancelled(play: Play) -> None:
    """A job that goes on for a minute after its workers have closed is cancelled, also if Slurm is away just then."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.until_succeeded()
        await site.takes_over("2")
        assert site.retired
        await site.pass_time(55)
        assert site.cancelled == []
        await site.pass_time(10)
        assert site.cancelled == ["1"]

    play(script)


def test_failed_scancel_does_not_end_the_run(play: Play) -> None:
    """If Slurm is away when a retired job should be cancelled, the run goes on."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.until_succeeded()
        await site.takes_over("2")
        site.away = ClusterError("squeue timed out.")
        await site.pass_time(70)
        site.away = None
        await site.pass_time(20)

    assert play(script).errors == []


def test_data_waits_for_a_worker_that_can_take_it(play: Play) -> None:
    """The workers of a retiring job stay until their data can move."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.can_move = False
        await site.pass_time(site.records["1"].ends - site.now - 50, step=2)
        assert site.retired
        assert len(site.workers) == 1
        site.can_move = True
        await site.takes_over("2")
        await site.pass_time(3)
        assert [worker.name for worker in site.workers.values()] == ["x-2"]

    play(script)


def test_large_data_moves_earlier(play: Play) -> None:
    """A job with much data retires earlier than one with little."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.worker("2").nbytes = 30 * 10**9  # five minutes, and as much to spare
        end = site.records["2"].ends
        await site.pass_time(end - site.now - 590, step=2)
        assert site_order(site) == ["2"]

    play(script)


def test_tasks_that_retirement_cuts_off_are_counted(play: Play) -> None:
    """A task that still runs when its job retires was cut off by the wall time; that of a job too many was not."""

    async def script(site: Site) -> None:
        await site.work(2)
        address = site.worker("1").address
        site.keeper.scale_down(["x-2"])
        await site.pass_time(3)
        assert site.charged.cut == []
        await site.pass_time(site.records["1"].ends - site.now - 50, step=2)
        assert site.charged.cut == [address]

    assert play(script).charged.dead == []


def test_successor_that_ends_is_replaced(play: Play) -> None:
    """If a successor is cancelled before its worker connects, another one is submitted for the same job."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.until_succeeded()
        site.becomes("2", "CANCELLED")
        await site.pass_time(15)
        assert site.numbers() == ["3"]
        await site.takes_over("3")

    assert play(script).said[-1] == "Job 1 on c1 retires before its wall time ends; job 3 takes its place."


def test_scale_down_ends_a_job_with_its_successor(play: Play) -> None:
    """Both fill one place."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.until_succeeded()
        site.keeper.scale(0)
        await site.pass_time(5)
        assert site.numbers() == []
        assert site.cancelled == ["2"]
        assert len(site.retired) == 1

    assert len(play(script).records) == 2


# Failures


def test_job_that_ends_before_any_worked_ends_the_run(play: Play) -> None:
    """The request itself is the likely cause: the error comes at once, with the reason."""

    async def script(site: Site) -> None:
        site.keeper.scale(2)
        await site.pass_time(1)
        site.runs("1")
        site.becomes("1", "FAILED", "NonZeroExitCode")
        await site.pass_time(60)

    site = play(script)
    (error,) = site.errors
    assert isinstance(error, ClusterError)
    assert "A job ended before its workers connected." in str(error)
    assert "Job 1 on c1 ended as FAILED (NonZeroExitCode)" in str(error)
    assert len(site.records) == 2


def test_failures_in_a_row_end_the_run(play: Play, tmp_path: Path) -> None:
    """Each failed job is replaced, after longer and longer pauses; then the error has Slurm's reasons and the log."""
    (tmp_path / "x-4.err").write_text("it broke\n")
    times: list[float] = []

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", "CANCELLED")
        site.lose(site.worker("1"))
        await site.pass_time(3)
        for number in ("3", "4", "5"):
            site.runs(number)
            site.becomes(number, "FAILED", "NonZeroExitCode")
            failed = site.now
            while len(site.records) == int(number) and not site.errors:
                await site.pass_time(0.5)
            times.append(site.now - failed)

    site = play(script)
    (error,) = site.errors
    assert "Worker jobs failed 3 times in a row." in str(error)
    assert [number in str(error) for number in ("Job 3", "Job 4", "Job 5")] == [True] * 3
    assert "it broke" in str(error)
    assert "--max-failures" in str(error)
    assert len(site.records) == 5
    assert times[1] >= 5


def test_pause_after_failure_ends_in_time(play: Play) -> None:
    """If no other job is left, the next one is still submitted after the pause, not a minute later."""

    async def script(site: Site) -> None:
        await site.work(1)
        for number in ("1", "2"):
            site.runs(number)
            site.becomes(number, "FAILED", "NonZeroExitCode")
            site.workers.clear()
            await site.pass_time(13)
        await site.pass_time(10)
        assert len(site.records) == 3

    assert play(script).errors == []


def test_failing_successors_have_pauses(play: Play) -> None:
    """Successors that fail one after another are submitted no faster than other jobs."""

    async def script(site: Site) -> None:
        await site.work(1)
        await site.until_succeeded()
        for number in ("2", "3"):
            site.runs(number)
            site.becomes(number, "FAILED", "NonZeroExitCode")
            while site.numbers() == [number]:
                await site.pass_time(0.5)
            await site.pass_time(3)
        assert len(site.records) == 3

    assert play(script).errors == []


def test_working_job_ends_a_row_of_failures(play: Play) -> None:
    """A job that works for a while after a failure clears the count."""

    async def script(site: Site) -> None:
        await site.work(1)
        for number in range(1, 7):
            site.becomes(str(number), "FAILED", "NonZeroExitCode")
            site.lose(site.worker(str(number)))
            await site.pass_time(15)
            await site.takes_over(str(number + 1))
            await site.pass_time(45)

    site = play(script)
    assert len(site.said) == 6
    assert site.errors == []


def test_jobs_that_fail_soon_after_they_work_are_failures(play: Play) -> None:
    """A worker that connects does not end the row of failures by itself: it has to stay for a while."""

    async def script(site: Site) -> None:
        await site.work(1)
        for number in ("1", "2", "3"):
            assert site.errors == []
            site.becomes(number, "FAILED", "NonZeroExitCode")
            site.lose(site.worker(number))
            await site.pass_time(25)
            if number != "3":
                await site.takes_over(str(int(number) + 1))

    (error,) = play(script).errors
    assert "Worker jobs failed 3 times in a row." in str(error)


def test_end_that_tasks_are_to_blame_for_is_no_failure(play: Play) -> None:
    """If a job's death counts against tasks, these end with an error some day, and not the run."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.charged.blames = True
        for number in range(1, 7):
            site.becomes(str(number), "OUT_OF_MEMORY", "OutOfMemory")
            site.lose(site.worker(str(number)))
            await site.pass_time(15)
            await site.takes_over(str(number + 1))

    site = play(script)
    assert site.errors == []
    assert [fate.cause for _, fate, _ in site.charged.dead] == [Cause.MEMORY] * 6


@pytest.mark.parametrize(
    ("state", "cut", "dead"),
    [("TIMEOUT", 1, 0), ("PREEMPTED", 0, 0), ("NODE_FAIL", 0, 0), ("FAILED", 0, 1), ("OUT_OF_MEMORY", 0, 1)],
)
@pytest.mark.parametrize("seen", [True, False], ids=["worker-lost", "worker-hangs"])
def test_losses_count_as_their_cause_demands(play: Play, state: str, cut: int, dead: int, seen: bool) -> None:
    """The end of the wall time cuts tasks off; a death counts against them; what Slurm takes away does neither."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", state)
        if seen:
            site.lose(site.worker("1"))
        await site.pass_time(15)

    site = play(script)
    assert (len(site.charged.cut), len(site.charged.dead)) == (cut, dead)


def test_announced_departure_is_not_charged(play: Play) -> None:
    """A worker that says that it leaves, as one that the user retires, has moved its tasks."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.lose(site.worker("1"), expected=True)
        site.becomes("1", "COMPLETED")
        await site.pass_time(15)
        assert site.numbers() == ["2", "3"]

    site = play(script)
    assert site.charged.dead == []
    assert site.said == ["Job 1 on c1 ended although it was still needed; job 3 takes its place."]


def test_hopeless_job_ends_the_run_only_without_workers(play: Play) -> None:
    """A job that Slurm will never start is an error at once, unless other jobs do the work meanwhile."""

    async def script(site: Site) -> None:
        site.keeper.scale(1)
        await site.pass_time(1)
        site.becomes("1", "PENDING", "PartitionTimeLimit")
        await site.pass_time(13)

    (error,) = play(script).errors
    assert isinstance(error, RequestError)
    assert "PartitionTimeLimit" in str(error)

    async def later(site: Site) -> None:
        await site.work(1)
        site.keeper.scale(2)
        await site.pass_time(1)
        site.becomes("2", "PENDING", "PartitionTimeLimit")
        await site.pass_time(60)

    site = play(later)
    assert site.errors == []
    assert site.said == ["Job 2 waits, and Slurm will not start it as things are (PartitionTimeLimit)."]


# sbatch


@pytest.mark.parametrize("says", [AWAY, LIMIT])
def test_rejection_that_passes_is_tried_again(play: Play, says: str) -> None:
    """A limit on submitted jobs, or a controller that is away, is said once; the job is submitted when it is over."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.sbatch_says = says
        site.keeper.scale(3)
        await site.pass_time(60)
        assert site.numbers() == ["1"]
        assert len(site.let_go_of) in {12, 14}  # two jobs every ten seconds
        assert site.keeper.refusal == says
        site.sbatch_says = ""
        await site.pass_time(12)
        assert site.numbers() == ["1", "2", "3"]
        assert site.keeper.refusal == ""

    site = play(script)
    assert site.said == [f"sbatch accepts no job now, trying again: {says}"]
    assert site.errors == []
    assert len(site.keeper.history) == 3


def test_first_job_is_tried_again_after_seconds(play: Play) -> None:
    """Without any other job, a rejected one is tried again as soon as with others."""

    async def script(site: Site) -> None:
        site.sbatch_says = AWAY
        site.keeper.scale(1)
        await site.pass_time(5)
        site.sbatch_says = ""
        await site.pass_time(15)
        assert site.numbers() == ["1"]

    assert play(script).errors == []


def test_rejection_that_does_not_pass(play: Play) -> None:
    """An invalid request ends a run that never worked at once; later, it counts among the failures in a row."""

    async def never(site: Site) -> None:
        site.sbatch_says = INVALID
        site.keeper.scale(1)
        await site.pass_time(5)

    (error,) = play(never).errors
    assert "sbatch rejected the job." in str(error)
    assert INVALID in str(error)

    async def later(site: Site) -> None:
        await site.work(1)
        site.sbatch_says = INVALID
        site.keeper.scale(2)
        await site.pass_time(4)
        assert site.errors == []
        await site.pass_time(60)

    (error,) = play(later).errors
    assert "Worker jobs failed 3 times in a row." in str(error)
    assert INVALID in str(error)


def test_rejected_successor_is_tried_again(play: Play) -> None:
    """The job stays until its successor is accepted, or it must retire; the line names the one that was."""

    async def script(site: Site) -> None:
        await site.work(1)
        end = site.records["1"].ends
        site.sbatch_says = LIMIT
        await site.pass_time(end - site.now - 62, step=1)
        assert site.numbers() == ["1"]
        site.sbatch_says = ""
        await site.pass_time(30)
        assert site.numbers() == ["2"]

    assert play(script).said == [
        f"sbatch accepts no job now, trying again: {LIMIT}",
        "Job 1 on c1 retires before its wall time ends; job 2 takes its place.",
    ]


def test_strangers_are_cancelled(play: Play) -> None:
    """A job that sbatch submitted although it reported a failure is cancelled, once it was seen twice."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.records["99"] = Record()
        await site.pass_time(60)
        assert site.cancelled == []  # without a failure of sbatch, it is not ours
        del site.records["99"]
        site.sbatch_says = AWAY
        site.keeper.scale(2)
        await site.pass_time(1)
        site.sbatch_says = ""
        site.records["98"] = Record()
        asked = len(site.asked)
        while len(site.asked) == asked:
            await site.pass_time(0.5)
        assert site.cancelled == []
        await site.pass_time(60)

    assert set(play(script).cancelled) == {"98"}


def test_job_that_sbatch_has_not_reported_yet_is_no_stranger(play: Play) -> None:
    """Slurm lists a job before sbatch has answered; it is kept, however long that takes."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.sbatch_says = AWAY
        site.keeper.scale(2)
        await site.pass_time(1)
        site.sbatch_says = ""
        site.sbatch_hangs = True
        site.records["2"] = Record()
        await site.pass_time(60)
        del site.records["2"]
        site.sbatch_hangs = False
        await site.pass_time(30)
        assert site.numbers() == ["1", "2"]

    assert play(script).cancelled == []


# Slurm


def test_slurm_that_is_away_is_said_once(play: Play) -> None:
    """After a minute without an answer, one line says so, and another one that it is over; jobs go on meanwhile."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.away = ClusterError("squeue failed.", "slurm_load_jobs error: Unable to contact slurm controller")
        await site.pass_time(50)
        assert site.said == []
        await site.pass_time(300)
        (said,) = site.said
        assert said.startswith("Slurm does not answer; the jobs go on meanwhile.")
        assert "Unable to contact slurm controller" in said
        site.away = None
        await site.pass_time(30)
        assert site.numbers() == ["1", "2"]

    site = play(script)
    assert site.said[1:] == ["Slurm answers again."]
    assert site.errors == []


def test_short_absence_of_slurm_is_not_said(play: Play) -> None:
    """Two short ones do not add up to a long one."""

    async def script(site: Site) -> None:
        await site.work(1)
        for _ in range(3):
            site.away = ClusterError("squeue timed out.")
            await site.pass_time(40)
            site.away = None
            await site.pass_time(30)

    assert play(script).said == []


def test_ends_while_slurm_was_away_are_found(play: Play) -> None:
    """What ended meanwhile is replaced when Slurm answers again."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.away = ClusterError("squeue timed out.")
        site.becomes("1", "CANCELLED")
        await site.pass_time(15)
        assert site.said == []
        site.away = None
        await site.pass_time(13)
        assert site.numbers() == ["2", "3"]

    assert play(script).said == ["Job 1 on c1 was cancelled; job 3 takes its place."]


def test_asks_rarely_in_steady_state(play: Play) -> None:
    """With all workers there, Slurm gets five queries a minute."""

    async def script(site: Site) -> None:
        await site.work(4)
        await site.pass_time(60)
        before = len(site.asked)
        await site.pass_time(600)
        assert 45 <= len(site.asked) - before <= 51

    play(script)


# The end


def test_nothing_is_submitted_while_closing(play: Play) -> None:
    """Once the cluster closes, jobs end and workers leave without being replaced or counted."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.keeper.closing()
        site.becomes("1", "FAILED", "NonZeroExitCode")
        site.lose(site.worker("1"))
        site.lose(site.worker("2"))
        await site.pass_time(120)

    site = play(script)
    assert len(site.records) == 2
    assert (site.said, site.errors, site.charged.dead) == ([], [], [])


def test_error_ends_the_run_once(play: Play) -> None:
    """After the first error nothing more is submitted, and no second error follows."""

    async def script(site: Site) -> None:
        site.keeper.scale(3)
        await site.pass_time(1)
        for number in ("1", "2", "3"):
            site.runs(number)
            site.becomes(number, "FAILED", "NonZeroExitCode")
        await site.pass_time(120)

    site = play(script)
    assert len(site.errors) == 1
    assert len(site.records) == 3


def test_broken_keeper_ends_the_run(play: Play) -> None:
    """An error in the keeper itself is not hidden: without a keeper, nothing would be replaced."""

    async def script(site: Site) -> None:
        await site.work(1)
        site.bandwidth = "fast"  # type: ignore[assignment]
        await site.pass_time(5)

    (error,) = play(script).errors
    assert isinstance(error, ValueError)


def test_history_has_all_jobs(play: Play) -> None:
    """Every job that was used is there with its node, also those that have ended."""

    async def script(site: Site) -> None:
        await site.work(2)
        site.becomes("1", "CANCELLED")
        site.lose(site.worker("1"))
        await site.pass_time(3)
        await site.takes_over("3")
        await site.pass_time(13)

    history = play(script).keeper.history
    assert [(job.id, job.queued.node) for job in history if job.came and job.queued] == [
        ("1", "c1"),
        ("2", "c2"),
        ("3", "c3"),
    ]


def test_queue_has_the_jobs_that_have_not_ended(play: Play) -> None:
    """The timeout's message shows what Slurm said last."""

    async def script(site: Site) -> None:
        site.keeper.scale(2)
        await site.pass_time(1)
        assert [(job.id, job.state) for job in site.keeper.queue] == [("1", "PENDING"), ("2", "PENDING")]
        site.becomes("1", "CANCELLED")
        await site.pass_time(13)
        assert [job.id for job in site.keeper.queue] == ["2", "3"]

    play(script)
