"""Keep a number of worker jobs: submit, replace and retire them, and give up when that is pointless.

Everything here runs in the event loop of the scheduler, which runs in this process.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from distributed.metrics import time

from dask_hpc.clusters.facts import Job
from dask_hpc.clusters.jobs import refused
from dask_hpc.clusters.slurm.kept import fate as fates
from dask_hpc.clusters.slurm.kept.demand import Demand
from dask_hpc.clusters.slurm.kept.failures import Failures, never_worked, passes
from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.clusters.slurm.kept.job import WorkerJob
from dask_hpc.clusters.slurm.kept.lifetime import Ending, lifetimes
from dask_hpc.clusters.slurm.kept.losses import Loss, Losses
from dask_hpc.clusters.slurm.kept.pace import Pace
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm import jobs as slurm
from dask_hpc.slurm.jobs import QueuedJob

if TYPE_CHECKING:
    from distributed.scheduler import WorkerState

    from dask_hpc.clusters.slurm.kept.cluster import KeptCluster, KeptScheduler

_RETURN = 20.0  # seconds for a worker to return: a restarted one imports Dask again
_LINGER = 60.0  # seconds for a retired job to end by itself
_SOON = 5.0  # seconds in which an adaptive cluster tries to have its work done, unless new jobs take longer to come
_STEADY = 30.0  # seconds after which a job with workers ends a row of failures
_LEAD = 10.0  # seconds from submission to the first worker, until one was measured
_AWAY = 60.0  # seconds without Slurm until that is said
_AFTER_WORK = {Cause.WALLTIME, Cause.UNREACHABLE, Cause.UNKNOWN}  # no failures, if the job has worked
_TICK = 1.0  # seconds between looks at the clock while something is about to happen


class Keeper:
    """Keeps jobs.

    Args:
        name: the name of the jobs in Slurm.
        processes: workers per job.
        cores: cores per job.
        walltime: seconds that a job lasts.
        patience: seconds for a running job's workers to connect.
        failures: jobs that may fail in a row.
        logs: folder of the jobs' logs.
        fail: called with the error that ends the run.
        say: called with lines for the user.
        verbose: also say why the number of jobs changes.
    """

    def __init__(
        self,
        *,
        name: str,
        processes: int,
        cores: int,
        walltime: float,
        patience: float,
        failures: int,
        logs: Path,
        fail: Callable[[Exception], None],
        say: Callable[[str], None],
        verbose: bool = False,
    ) -> None:
        self._name = name
        self._processes = processes
        self._cores = cores
        self._walltime = walltime
        self._patience = patience
        self._logs = logs
        self._fail = fail
        self._say = say
        self._verbose = verbose
        self._failures = Failures(failures, logs)
        self._target = 0
        self._demand: Demand | None = None
        self._jobs: dict[str, WorkerJob] = {}
        self._retired: list[WorkerJob] = []
        self._untold: list[WorkerJob] = []
        self._strangers: set[str] = set()
        self._unsure = False  # whether sbatch may have submitted a job that it did not report
        self._lead = _LEAD
        self._not_before = 0.0
        self._worked = False
        self._silent = 0.0
        self._told_silent = False
        self._closing = False
        self._asking = False
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._pace = Pace(monotonic())
        self.refusal = ""
        self.history: list[WorkerJob] = []
        self._began = monotonic()

    def start(self, cluster: KeptCluster, scheduler: KeptScheduler) -> None:
        """Begin to keep the jobs of a cluster."""
        self._cluster, self._scheduler = cluster, scheduler
        self._losses = Losses(scheduler)
        scheduler.keeper = self
        self._hold(asyncio.ensure_future(self._run()))

    def closing(self) -> None:
        """Submit and replace nothing from now on."""
        self._closing = True

    def stop(self) -> None:
        """End; called in the event loop."""
        self._closing = True
        for task in self._tasks:
            task.cancel()

    @property
    def queue(self) -> list[QueuedJob]:
        """Slurm's last answer about the jobs that have not ended."""
        return [job.queued for job in list(self._jobs.values()) if job.queued]

    @property
    def jobs(self) -> list[WorkerJob]:
        """The jobs that fill a place."""
        return [job for job in self._jobs.values() if job.stands]

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most jobs that are kept."""
        return (self._demand.fewest, self._demand.most) if self._demand else (self._target, self._target)

    def describe(self) -> list[dict[str, str | int]]:
        """Return the jobs that have not ended, for users."""
        now = monotonic()
        return [
            {
                "id": job.id,
                "state": job.leaving or (job.queued.state.lower() if job.queued else "submitted"),
                "node": job.node,
                "workers": len(job.workers),
                "left": round(job.ends - now) if job.ends else -1,
            }
            for job in [*self._jobs.values(), *self._retired]
            if job.id
        ]

    def facts(self) -> list[Job]:
        """Return all jobs that Slurm has accepted, for the results."""
        return [
            Job(
                id=job.id,
                node=job.node,
                queued=job.submitted - self._began,
                came=None if job.came is None else job.came - self._began,
                ended=None if job.ended is None else job.ended - self._began,
                end=job.leaving or (job.fate.text if job.fate else "there until the end"),
                lost=bool(job.fate) and not job.leaving,
            )
            for job in list(self.history)
            if job.id
        ]

    # What is asked for

    def scale(self, jobs: int) -> None:
        """Keep this number of jobs from now on."""
        self._target, self._demand = jobs, None
        self._changed.set()

    def adapt(self, fewest: int, most: int) -> None:
        """Keep as many jobs as the work can use, within these bounds, from now on."""
        self._demand = Demand(fewest, most)
        self._changed.set()

    def hold(self) -> None:
        """Keep the present number of jobs from now on."""
        self._demand = None

    def scale_down(self, workers: Iterable[str]) -> None:
        """Keep fewer jobs: retire those of these workers, by name."""
        chosen = {job.name: job for worker in workers if (job := self._of_worker(worker)) and job.stands}
        self._target = max(0, self._target - len(chosen))
        for job in chosen.values():
            self._remove(job)
        self._changed.set()

    # What happens

    def submitted(self, name: str, number: str) -> None:
        """Note that Slurm has accepted a job."""
        if job := self._jobs.get(name):
            job.id = number
            job.submitted = monotonic()
            self.refusal = ""
            self._pace.start_over()
            self._changed.set()

    def rejected(self, name: str, said: str) -> None:
        """Note that sbatch has rejected a job."""
        if job := self._jobs.pop(name, None):
            self.history.remove(job)
        now = monotonic()
        job = job or WorkerJob(name=name, submitted=now)
        error: Exception | None
        if passes(said):
            if not self.refusal:
                self._say(f"sbatch accepts no job now, trying again: {said.splitlines()[-1]}")
            self.refusal = said
            self._unsure = True
            self._not_before = now + 10.0
            error = None
        else:
            error = self._failures.refused(job, said, now) if self._worked else refused(said)
        for job in self.history:
            if job.successor and job.successor.name == name:
                job.successor = None
        self._cluster.let_go(name)
        self._end_with(error)

    def came(self, worker: WorkerState) -> None:
        """Note that a worker has connected."""
        job = self._of_worker(str(worker.name))
        if not job:
            return
        now = monotonic()
        self._worked = True
        job.workers.add(worker.address)
        if len(job.workers) >= self._processes:
            job.short = None
        if job.came is None:
            job.came = now
            self._lead = max(now - job.submitted, 0.5 * self._lead)
        for loss in job.losses:  # only a nanny brings workers back
            self._losses.died(loss, Fate(Cause.FAILED, "lost a worker, which its nanny has restarted"), job.id)
        job.losses.clear()
        if job.ends is None:
            self._pace.hurry()
        self._changed.set()

    def lost(self, worker: WorkerState, *, expected: bool) -> None:
        """Note that a worker is leaving; `expected` if it said so before."""
        job = self._of_worker(str(worker.name))
        if not job or self._closing or worker.address not in job.workers:  # of a run that Slurm has put back
            return
        job.workers.discard(worker.address)
        loss = Loss.of(worker, time(), counts=not expected)
        if job.leaving:
            if job.needed:
                self._losses.cut_off(loss, self._walltime)
            return
        job.short = job.short or monotonic()
        if not expected:
            job.losses.append(loss)
            self._pace.start_over()
        self._changed.set()

    def _of_worker(self, name: str) -> WorkerJob | None:
        job = self._jobs.get(name) or self._jobs.get(name.rpartition("-")[0])
        return job or next((one for one in self._retired if name in {one.name, *self._names(one)}), None)

    def _names(self, job: WorkerJob) -> Iterable[str]:
        return (f"{job.name}-{number}" for number in range(self._processes))

    # The loop

    async def _run(self) -> None:
        while not self._closing:
            self._changed.clear()
            if self._jobs and not self._asking and not self._pace.due(monotonic()):
                self._asking = True  # meanwhile, jobs retire in time: without a controller, an answer takes a minute
                self._hold(asyncio.ensure_future(self._ask()))
            self._look_at_clock(monotonic())
            if not self._closing:
                self._follow(monotonic())
                self._fill(monotonic())
            self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._pause())

    def _pause(self) -> float:
        now = monotonic()
        due = self._pace.due(now) if self._jobs and not self._asking else 60.0
        return min(max(due, 0.01), _TICK if self._jobs or self._target or self._demand else 60.0)

    async def _ask(self) -> None:
        """Ask Slurm about the jobs, and act on what it answers."""
        try:
            await self._ask_and_act()
        finally:
            self._asking = False
            self._changed.set()

    async def _ask_and_act(self) -> None:
        asked = monotonic()
        self._pace.asked(asked)
        try:
            found = await asyncio.to_thread(slurm.jobs, self._name)
        except ClusterError as error:
            self._silent = self._silent or asked
            if asked - self._silent > _AWAY and not self._told_silent:
                self._told_silent = True
                self._say(f"Slurm does not answer; the jobs go on meanwhile. {error.message.splitlines()[-1]}")
            return
        if self._told_silent:
            self._say("Slurm answers again.")
        self._silent, self._told_silent = 0.0, False
        if self._closing:
            return
        by_number = {job.id: job for job in found}
        if forgotten := [job.id for job in self._jobs.values() if job.queued and job.id not in by_number]:
            by_number |= await asyncio.to_thread(slurm.accounted, forgotten)
        for job in [*self._jobs.values(), *self._retired]:
            if job.id and job.submitted <= asked:
                self._update(job, by_number.get(job.id), asked)
        self._end_strangers(found)
        if any(job.losses or job.completing or job.queued is None or job.came is None for job in self._jobs.values()):
            self._pace.hurry()
        else:
            self._pace.calm()

    def _update(self, job: WorkerJob, queued: QueuedJob | None, asked: float) -> None:
        if queued is None:
            self._end(job, fates.GONE)
            return
        job.queued, job.node = queued, queued.node or job.node
        if fates.held(queued):
            self._later(slurm.cancel_jobs, [job.id])
            self._end(job, fates.fate(queued))
        elif queued.alive:
            self._update_alive(job, queued, asked)
        elif queued.completing:
            if job.ends is not None and asked >= job.ends - 1:
                self._end(job, Fate(Cause.WALLTIME, "reached its wall time"))
            job.completing = True
        else:
            self._end(job, fates.fate(queued))

    def _update_alive(self, job: WorkerJob, queued: QueuedJob, asked: float) -> None:
        ran = bool(job.start)
        waits = queued.state not in {"RUNNING", "SUSPENDED"}
        if ran and (waits or queued.start != job.start):
            if job.leaving:
                self._give_up(job, fates.requeued(queued))
                return
            self._put_back(job, queued)
        if not waits:
            job.start = queued.start
            job.running = job.running or asked
            job.ends = None if queued.left is None else asked + queued.left
        if queued.hopeless and any(one.workers for one in self._jobs.values()):
            if not job.hopeless:
                self._say(f"{job} waits, and Slurm will not start it as things are ({queued.reason}).")
        elif queued.hopeless:
            self._end_with(
                RequestError(
                    "Slurm will not start these jobs.",
                    slurm.queue_lines([queued]),
                    "request less; 'sinfo' shows the limits.",
                )
            )
        job.hopeless = queued.hopeless

    def _put_back(self, job: WorkerJob, queued: QueuedJob) -> None:
        """Act on a job that Slurm has put back into the queue: it is its own successor."""
        self._say(f"{job} {fates.requeued(queued).text}; it will start again.")
        left = list(job.workers)
        job.put_back()
        job.submitted = monotonic()
        for address in left:  # a node that hangs has not said that it leaves
            self._remove_worker(address)

    def _end(self, job: WorkerJob, fate: Fate) -> None:
        """Act on a job that has ended."""
        job.fate = fate
        job.ended = job.ended or monotonic()
        self._jobs.pop(job.name, None)
        if job in self._retired:
            self._retired.remove(job)
        self._cluster.let_go(job.name)
        for address in job.workers & set(self._scheduler.workers):  # a node that hangs does not say that it is lost
            job.losses.append(Loss.of(self._scheduler.workers[address], time(), counts=True))
            self._remove_worker(address)
        charged = [self._charge(job, fate, loss) for loss in job.losses]
        if job.leaving:
            return
        self._untold.append(job)
        if fate.cause is Cause.TAKEN or any(charged) or (fate.cause in _AFTER_WORK and job.came):
            return
        if not self._worked and fate.cause not in {Cause.UNSTARTED, Cause.UNKNOWN}:
            self._end_with(never_worked([job], fate, self._logs))
        else:
            self._end_with(self._failures.add(job, fate, monotonic()))

    def _charge(self, job: WorkerJob, fate: Fate, loss: Loss) -> bool:
        """Count a loss against its tasks as its cause demands; return whether they were to blame."""
        if fate.cause in {Cause.WALLTIME, Cause.UNREACHABLE}:
            self._losses.cut_off(loss, self._walltime)
        return not fate.explained and self._losses.died(loss, fate, job.id)

    def _end_strangers(self, found: Sequence[QueuedJob]) -> None:
        """Cancel jobs that sbatch has submitted although it reported a failure."""
        known = {job.id for job in self.history}
        strange = {job.id for job in found if job.alive and job.id not in known}
        if self._unsure and all(job.id for job in self.history) and (twice := strange & self._strangers):
            self._later(slurm.cancel_jobs, sorted(twice))
        self._strangers = strange

    def _look_at_clock(self, now: float) -> None:
        """Act on what is due."""
        for job in list(self._jobs.values()):
            if job.short and now - job.short > _RETURN and not job.completing and not job.leaving:
                self._give_up(job, fates.WITHOUT_WORKERS)
            elif job.running and job.came is None and now - job.running > self._patience:
                self._give_up(job, fates.NEVER_CAME)
        if self._failures.any and any(
            job.came and job.came > self._failures.last and now - job.came > _STEADY for job in self._jobs.values()
        ):
            self._failures.forget()
        self._foresee(now)

    def _give_up(self, job: WorkerJob, fate: Fate) -> None:
        """Cancel a job that runs without being of use."""
        self._later(slurm.cancel_jobs, [job.id])
        self._end(job, fate)

    def _foresee(self, now: float) -> None:
        """Submit successors, and retire jobs, before their wall time ends."""
        endings = {
            job.name: Ending(job.ends, self._walltime, self._moving(job))
            for job in self._jobs.values()
            if job.ends is not None and job.came and not job.leaving and not job.completing
        }
        for name, lifetime in lifetimes(endings, lead=1.5 * self._lead + 2 * _TICK).items():
            job = self._jobs[name]
            if now >= lifetime.succeeded and job.stands and self._may_submit(now):
                self._submit([job])
            there = job.successor is not None and job.successor.came is not None
            if there or now >= lifetime.retires:
                self._retire(job, "retires before its wall time ends")

    def _moving(self, job: WorkerJob) -> float:
        """Return the seconds that moving a job's data takes, with some to spare."""
        held = float(sum(self._scheduler.workers[one].nbytes for one in job.workers if one in self._scheduler.workers))
        return 2.0 * held / max(float(self._scheduler.bandwidth), 1.0)

    def _follow(self, now: float) -> None:
        """Change the number of jobs with the work, if that is asked for."""
        if not self._demand:
            return
        target = self._demand.jobs(now, self._useful(), lead=self._lead)
        if target != self._target:
            self._explain(target)
            self._target = target

    def _useful(self) -> int:
        """Return the number of jobs that the work could use: more would not be there before it is done."""
        found: int = self._scheduler.adaptive_target(target_duration=max(_SOON, self._lead))
        per_job = self._processes if self._scheduler.workers else self._cores  # without workers, Dask counts cores
        results = any(worker.nbytes for worker in self._scheduler.workers.values())
        return max(math.ceil(found / per_job), int(results))  # the results may still be needed

    def _explain(self, target: int) -> None:
        if not self._verbose:
            return
        tasks = sum(len(worker.processing) for worker in self._scheduler.workers.values())
        waiting = len(self._scheduler.queued) + len(self._scheduler.unrunnable)
        change = "More" if target > self._target else "Fewer"
        here = len(self._scheduler.workers)
        self._say(
            f"{change} jobs, {target} instead of {self._target}: {tasks} tasks on {here} workers, {waiting} wait; "
            f"a new job takes about {self._lead:.0f} s to come."
        )

    def _fill(self, now: float) -> None:
        """Submit what is missing, and retire what is too much."""
        standing = self.jobs
        missing = self._target - len(standing)
        if missing < 0:
            for job in sorted(standing, key=self._work)[:-missing]:
                self._remove(job)
        elif missing and self._may_submit(now):
            self._submit([None] * missing)

    def _may_submit(self, now: float) -> bool:
        """Return whether the pause after a failure or a rejection is over."""
        return now >= max(self._not_before, self._failures.last + self._failures.pause)

    def _submit(self, replaced: Sequence[WorkerJob | None]) -> None:
        """Submit jobs, each in the place of another one or in a new place."""
        waiting = [
            job
            for job in [*self._untold, *self._jobs.values()]
            if job.successor is None and job.needed and not job.stands
        ]
        for one in replaced:
            job = WorkerJob(name=self._cluster.add_job(), submitted=monotonic())
            self._jobs[job.name] = job
            self.history.append(job)
            before = one or (waiting.pop(0) if waiting else None)
            if before:
                before.successor = job
        self._hold(asyncio.ensure_future(self._submit_added()))

    async def _submit_added(self) -> None:
        await asyncio.shield(self._cluster.submit_added())  # closing the cluster awaits the same

    def _work(self, job: WorkerJob) -> tuple[bool, float, int]:
        """Return a job's work as a sort key: jobs that wait have least, then those with the shortest tasks left."""
        workers = [self._scheduler.workers[one] for one in job.workers if one in self._scheduler.workers]
        return bool(workers), sum(one.occupancy for one in workers), sum(one.nbytes for one in workers)

    def _remove(self, job: WorkerJob) -> None:
        """End a job and the one that it succeeds: there are too many."""
        for one in [job, *(before for before in self._jobs.values() if before.successor is job)]:
            one.needed = not (one.workers or one.id)  # without a number, it is removed later, if it is still too much
            if one.workers:
                self._retire(one, "is no longer needed")
            elif one.id:
                one.leaving = "is no longer needed"
                self._later(slurm.cancel_jobs, [one.id])
                self._part(one)

    def _retire(self, job: WorkerJob, why: str) -> None:
        job.leaving = why
        self._part(job)
        if job.came:
            self._untold.append(job)
        self._hold(asyncio.ensure_future(self._move_and_close(job)))

    def _part(self, job: WorkerJob) -> None:
        """Move a job from the kept ones to the retired ones."""
        job.ended = monotonic()
        self._jobs.pop(job.name, None)
        self._retired.append(job)
        self._cluster.let_go(job.name)

    async def _move_and_close(self, job: WorkerJob) -> None:
        """Move a job's data to other workers, close its workers, and see that it ends."""
        while job.workers and not job.fate:
            await self._scheduler.retire_workers(workers=sorted(job.workers), close_workers=True, remove=True)
            if job.workers:  # no other worker can take the data yet
                await asyncio.sleep(_TICK)
        await asyncio.sleep(_LINGER)
        if not job.fate:
            self._later(slurm.cancel_jobs, [job.id])

    def _remove_worker(self, address: str) -> None:
        removing = self._scheduler.remove_worker(address, stimulus_id="dask-hpc-job-ended", expected=True)
        self._hold(asyncio.ensure_future(removing))

    def _tell(self) -> None:
        """Say in one line which job ended, why, and what came instead."""
        for job in list(self._untold):
            successor = job.successor
            if successor and successor.id:
                instead = f"; job {successor.id} takes its place."
            elif not job.needed or (not successor and len(self.jobs) >= self._target):
                instead = "."
            else:
                continue
            self._untold.remove(job)
            self._say(f"{job} {job.fate.text if job.fate and not job.leaving else job.leaving}{instead}")

    def _end_with(self, error: Exception | None) -> None:
        if error and not self._closing:
            self._closing = True
            self._fail(error)

    def _later(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function that may take long, in a thread."""

        async def call() -> None:
            with suppress(ClusterError):
                await asyncio.to_thread(function, *arguments)

        self._hold(asyncio.ensure_future(call()))

    def _hold(self, task: asyncio.Future[Any]) -> None:
        """Keep a reference to a task, which may otherwise vanish, and let its failure end the run."""
        self._tasks.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._end_with(error if isinstance(error, Exception) else None)
