"""dask-jobqueue's cluster of Slurm jobs, whose jobs a keeper replaces, and its scheduler."""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dask.utils import parse_bytes
from dask_jobqueue import SLURMCluster
from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.scheduler import Scheduler
from distributed.utils import Deadline, NoOpAwaitable

from dask_hpc.clusters.silence import silent
from dask_hpc.slurm.environment import plain

if TYPE_CHECKING:
    from dask_hpc.clusters.slurm.kept.keeper import Keeper


_NO_ANSWER = "did not shut down within"  # logged as an error; the keeper replaces such a worker's job
_MANY = 100_000  # jobs: as good as no limit
_ANSWER = 20.0  # seconds for a worker to answer that it restarts; one that is lost never does


class KeptJob(SLURMJob):
    """A worker job that reports its submission to the keeper; `SLURMCluster` only logs a rejection."""

    def __init__(self, *args: Any, keeper: Keeper, security: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, security=security and _Quoted(security), **kwargs)
        self._keeper = keeper

    @staticmethod
    async def _call(cmd: Sequence[str], **kwargs: Any) -> Any:
        return await SLURMJob._call(cmd, env=plain(), **kwargs)

    async def start(self) -> None:
        """Submit the job."""
        try:
            await super().start()
        except (RuntimeError, OSError, ValueError) as error:
            self.status = Status.running  # any other status causes an AssertionError in the event loop
            self._keeper.rejected(str(self.name), _of_sbatch(str(error)))
        else:
            self._keeper.submitted(str(self.name), str(self.job_id))


class KeptCluster(SLURMCluster):
    """A cluster whose number of jobs a keeper keeps; Dask's own replacement of lost workers is off."""

    job_cls = KeptJob

    def __init__(self, *, keeper: Keeper, **kwargs: Any) -> None:
        self._keeper = keeper
        super().__init__(**{"scheduler_cls": KeptScheduler, **kwargs}, keeper=keeper)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op == "remove" and msg not in self.scheduler_info["workers"]:
            return  # `wait_for_workers` has fetched a newer list
        Cluster._update_worker_status(self, op, msg)  # without SpecCluster's, which closes jobs of lost workers

    def new_worker_spec(self) -> dict[str, Any]:
        """Return the specification of one more job, whose name is new: a job of an older name may still be ending."""
        self._i += 1
        return {self._new_worker_name(self._i): self.new_spec}

    def scale(self, n: int | None = None, jobs: int = 0, memory: Any = None, cores: int | None = None) -> Any:
        """Change the number of jobs, as Dask does; what is added or removed is up to the keeper.

        Args:
            n: number of workers.
            jobs: number of jobs.
            memory: total memory.
            cores: total number of cores.
        """
        wanted = self._as_jobs(n or 0, jobs=jobs, memory=memory or 0, cores=cores or 0)
        if self.status in {Status.closing, Status.closed}:
            self.worker_spec.clear()
        else:
            self.loop.add_callback(self._keeper.scale, wanted)
        return NoOpAwaitable() if self.asynchronous else None

    def adapt(self, *_: Any, minimum: float = 0, maximum: float = math.inf, **bounds: Any) -> Any:
        """Change the number of jobs with the work; how soon is up to the keeper.

        Args:
            minimum: workers that are always kept.
            maximum: workers that are never exceeded.
            bounds: the same as `minimum_jobs`, `maximum_jobs`, `minimum_cores`, `maximum_cores`, `minimum_memory` and
                `maximum_memory`; Dask's other options have no effect.
        """

        def given(which: str) -> list[int]:
            named = {kind: bounds.get(f"{which}_{kind}") for kind in ("jobs", "cores", "memory")}
            return [self._as_jobs(**{kind: value}) for kind, value in named.items() if value is not None]

        fewest = max([self._as_jobs(minimum), *given("minimum")])
        most = min([self._as_jobs(maximum), *given("maximum")])
        self.loop.add_callback(self._keeper.adapt, fewest, max(fewest, most))
        return _Adapting(self)

    def _as_jobs(self, n: float = 0, *, jobs: int = 0, memory: Any = 0, cores: float = 0) -> int:
        """Return the number of jobs for workers, memory or cores."""
        per_job = self._job_kwargs
        wanted: float = max(
            jobs,
            n / per_job["processes"],
            parse_bytes(memory) / parse_bytes(per_job["memory"]),
            cores / per_job["cores"],
        )
        return math.ceil(min(wanted, _MANY))

    async def scale_down(self, workers: Iterable[str]) -> None:
        """Retire the jobs of these workers, by name."""
        self._keeper.scale_down(workers)

    def add_job(self) -> str:
        """Add a job to the ones to submit, and return its name."""
        spec = self.new_worker_spec()
        self.worker_spec.update(spec)
        return next(iter(spec))

    def submit_added(self) -> asyncio.Future[None]:
        """Submit the jobs that were added."""
        submitting: asyncio.Future[None] = self._correct_state()
        return submitting

    def let_go(self, name: str) -> None:
        """Leave a job's end to the keeper: closing the cluster no longer cancels it."""
        self.worker_spec.pop(name, None)
        if job := self.workers.pop(name, None):
            job.status = Status.closed


class _Adapting:
    """The handle that `adapt` returns, as in Dask."""

    def __init__(self, cluster: KeptCluster) -> None:
        self._cluster = cluster

    def stop(self) -> None:
        """Keep the present number of jobs from now on."""
        self._cluster.loop.add_callback(self._cluster._keeper.hold)


class KeptScheduler(Scheduler):
    """A scheduler that leaves it to the keeper whether the loss of a worker counts against its tasks."""

    keeper: Keeper | None = None

    async def remove_worker(self, address: str, *, stimulus_id: str, expected: bool = False, close: bool = True) -> Any:
        """Remove a worker as Dask does, but never count its loss here."""
        if self.keeper and (worker := self.workers.get(self.coerce_address(address))):
            self.keeper.lost(worker, expected=expected)
            expected = True
        return await super().remove_worker(address, stimulus_id=stimulus_id, expected=expected, close=close)

    async def restart_workers(self, workers: list[str] | None = None, **options: Any) -> dict[str, Any]:
        """Restart workers as Dask does; one whose job ends meanwhile is replaced, and is no error.

        Args:
            workers: their addresses; by default all.
            options: those of `Scheduler.restart_workers`.

        Raises:
            TimeoutError: after `timeout` seconds, there are fewer workers than before.
        """
        before, timeout = len(self.workers), options.get("timeout", 30)
        deadline = Deadline.after(timeout)
        for_now = {"timeout": min(timeout, _ANSWER), "wait_for_workers": False, "on_error": "return"}
        with silent(_NO_ANSWER, "distributed.scheduler"):
            restarted: dict[str, Any] = await super().restart_workers(workers, **options | for_now)
        while options.get("wait_for_workers", True) and len(self.workers) < before:
            if deadline.expired:
                missing = before - len(self.workers)
                raise TimeoutError(f"{missing} of {before} workers have not returned {timeout} s after the restart.")
            await asyncio.sleep(0.1)  # as Dask does
        return restarted


class _Quoted:
    """Credentials whose paths are quoted for a job script."""

    def __init__(self, security: Any) -> None:
        self._security = security

    def get_tls_config_for_role(self, role: str) -> dict[str, str]:
        """Return the paths, quoted for bash."""
        return {key: shlex.quote(value) for key, value in self._security.get_tls_config_for_role(role).items()}


def _of_sbatch(message: str) -> str:
    """Return what sbatch wrote, without the rest of dask-jobqueue's message."""
    return message.partition("stderr:\n")[2].strip() or message
