"""dask-jobqueue's cluster without its own replacement of workers, with scripts in place of Slurm's commands."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker

from dask_hpc.clusters.slurm.kept import cluster as kept_cluster
from dask_hpc.clusters.slurm.kept.cluster import KeptCluster, KeptScheduler, _of_sbatch, _Quoted
from dask_hpc.clusters.slurm.kept.keeper import Keeper
from dask_hpc.clusters.slurm.watch import Watch
from dask_hpc.slurm import jobs as slurm_jobs
from dask_hpc.slurm.jobs import QueuedJob
from tests.support.site_commands import Commands

LOCAL = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


class Noting:
    """A keeper that notes what it is told, as one list per call."""

    def __init__(self) -> None:
        self.told: list[list[Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **options: self.told.append([name, *arguments, *options.values()])


@pytest.fixture
def slurm(commands: Commands) -> Commands:
    """Accept all jobs, with the numbers 1, 2 and so on, and note the cancelled ones."""
    commands["sbatch"] = sbatch(commands, 'echo "Submitted batch job $n"')
    commands["scancel"] = ""
    return commands


def sbatch(commands: Commands, script: str) -> str:
    """Return a script for sbatch with the number of the call as `$n`."""
    count = commands.folder / "count"
    return f"exec 9>>{count}; flock 9; echo >>{count}; n=$(($(wc -l <{count}))); exec 9>&-\n{script}"


def within(
    keeper: Any, logs: Path, script: Callable[[Any], Awaitable[None]], *, processes: int = 1, **options: Any
) -> None:
    """Run a script with a cluster, in an event loop, and close the cluster."""

    async def run() -> None:
        cluster = KeptCluster(
            keeper=keeper,
            asynchronous=True,
            cores=4,
            memory="8GiB",
            processes=processes,
            walltime="1:00",
            log_directory=str(logs),
            scheduler_options=LOCAL,
            **options,
        )
        async with cluster:
            await script(cluster)

    asyncio.run(run())


# Jobs


def test_submits_added_jobs(slurm: Commands, tmp_path: Path) -> None:
    """The keeper learns the number of each job; names are never used twice; closing cancels the jobs."""
    keeper = Noting()

    async def script(cluster: Any) -> None:
        names = [cluster.add_job(), cluster.add_job()]
        await cluster.submit_added()
        assert {(what, name) for what, name, _ in keeper.told} == {("submitted", name) for name in names}
        assert {number for *_, number in keeper.told} == {"1", "2"}
        cluster.let_go(names[1])
        third = cluster.add_job()
        assert third not in names
        await cluster.submit_added()
        assert keeper.told[2:] == [["submitted", third, "3"]]

    within(keeper, tmp_path, script)
    kept, let_go = (number for _, _, number in sorted(keeper.told[:2]))
    assert set(slurm.calls("scancel")) == {kept, "3"}
    assert let_go not in slurm.calls("scancel")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'sbatch: error: Invalid qos' >&2; exit 1", "sbatch: error: Invalid qos"),
        ("echo 'Hello'", "Could not parse job id"),
        (None, "No such file or directory"),
    ],
    ids=["rejected", "no-number", "no-sbatch"],
)
def test_reports_rejected_job(slurm: Commands, tmp_path: Path, script: str | None, said: str) -> None:
    """The keeper gets what sbatch wrote; other jobs of the same call are submitted, and closing works."""
    keeper = Noting()
    if script:
        slurm["sbatch"] = sbatch(slurm, f'[ $n != 2 ] || {{ {script}; exit; }}; echo "Submitted batch job $n"')
    else:
        (slurm.folder / "sbatch").unlink()

    async def submit(cluster: Any) -> None:
        for _ in range(3):
            cluster.add_job()
        await cluster.submit_added()
        rejected = [told for told in keeper.told if told[0] == "rejected"]
        assert len(rejected) == (1 if script else 3)
        for _, name, text in rejected:
            assert said in text
            assert "stderr" not in text
            cluster.let_go(name)
        await cluster.submit_added()
        assert len(keeper.told) == 3

    within(keeper, tmp_path, submit)
    assert sorted(slurm.calls("scancel")) == (["1", "3"] if script else [])


@pytest.mark.parametrize(
    ("message", "said"),
    [("Command exited with 1\nstderr:\nsbatch: error: no\n", "sbatch: error: no"), ("no sbatch", "no sbatch")],
)
def test_rejection_quotes_sbatch(message: str, said: str) -> None:
    """The error contains only what sbatch wrote, not the rest of dask-jobqueue's message."""
    assert _of_sbatch(message) == said


def test_submits_without_variables_of_the_job_around(
    slurm: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of sbatch, or of a job in which this program runs, would change the request."""
    monkeypatch.setenv("SBATCH_PARTITION", "gpu")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    slurm["sbatch"] = f'env >{tmp_path}/environ; echo "Submitted batch job 1"'

    async def script(cluster: Any) -> None:
        cluster.add_job()
        await cluster.submit_added()

    within(Noting(), tmp_path, script)
    names = {line.partition("=")[0] for line in (tmp_path / "environ").read_text().splitlines()}
    assert "PATH" in names
    assert names & {"SBATCH_PARTITION", "SLURM_JOB_ID"} == set()


def test_let_go_job_is_not_cancelled(slurm: Commands, tmp_path: Path) -> None:
    """Neither at once nor as the cluster closes; letting go of a job twice, or of an unknown one, is no error."""
    keeper = Noting()

    async def script(cluster: Any) -> None:
        name = cluster.add_job()
        await cluster.submit_added()
        cluster.let_go(name)
        cluster.let_go(name)
        cluster.let_go("unknown")
        cluster.add_job()
        await cluster.submit_added()
        assert slurm.calls("scancel") == []

    within(keeper, tmp_path, script)
    assert slurm.calls("scancel") == ["2"]


@pytest.mark.parametrize(
    ("arguments", "options", "jobs"),
    [
        ((), {"jobs": 3}, 3),
        ((3,), {}, 2),
        ((4,), {}, 2),
        ((), {"cores": 9}, 3),
        ((), {"memory": "17GiB"}, 3),
        ((), {"memory": "16GiB", "cores": 1, "jobs": 1}, 2),
        ((0,), {}, 0),
    ],
)
def test_scale_asks_the_keeper(
    slurm: Commands, tmp_path: Path, arguments: tuple[int, ...], options: dict[str, Any], jobs: int
) -> None:
    """Workers, cores and memory are rounded up to jobs of two workers, four cores and 8 GiB, as with dask-jobqueue."""
    keeper = Noting()

    async def script(cluster: Any) -> None:
        await cluster.scale(*arguments, **options)
        while not keeper.told:
            await asyncio.sleep(0)
        assert keeper.told == [["scale", jobs]]

    within(keeper, tmp_path, script, processes=2)
    assert slurm.calls("sbatch") == []


def test_scale_down_asks_the_keeper(slurm: Commands, tmp_path: Path) -> None:
    """Dask's adaptive scaling names workers."""
    keeper = Noting()

    async def script(cluster: Any) -> None:
        await cluster.scale_down(["x-1-0"])

    within(keeper, tmp_path, script)
    assert keeper.told == [["scale_down", ["x-1-0"]]]


def test_lost_worker_does_not_close_its_job(slurm: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask would cancel the job after a while; a message about a worker that is unknown by now is dropped."""
    later: list[Any] = []

    async def script(cluster: Any) -> None:
        name = cluster.add_job()
        await cluster.submit_added()
        cluster.scheduler_info["workers"]["tcp://127.0.0.1:1"] = {"name": name}
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "call_later", lambda *what, **_: later.append(what))
            cluster._update_worker_status("remove", "tcp://127.0.0.1:1")
            cluster._update_worker_status("remove", "tcp://127.0.0.1:1")
        assert "tcp://127.0.0.1:1" not in cluster.scheduler_info["workers"]
        assert list(cluster.workers) == [name]

    within(Noting(), tmp_path, script)
    assert later == []


def test_paths_of_credentials_are_quoted() -> None:
    """A home may have a space in its name."""
    security: Any = SimpleNamespace(get_tls_config_for_role=lambda role: {"tls_key": f"/home/my name/{role}.pem"})
    quoted = _Quoted(security).get_tls_config_for_role("worker")
    assert shlex.split(quoted["tls_key"]) == ["/home/my name/worker.pem"]


# The scheduler


async def until(condition: Callable[[], object]) -> None:
    """Let others work until a condition holds."""
    while not condition():
        await asyncio.sleep(0)


@asynccontextmanager
async def busy() -> AsyncIterator[tuple[Any, Worker, Any]]:
    """Start a scheduler, a worker and a client; yield the first two and a task that the worker runs."""
    async with (
        KeptScheduler(**LOCAL, port=0) as scheduler,
        Worker(scheduler.address, nthreads=1, **LOCAL) as worker,
        Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
    ):
        future = client.submit(asyncio.sleep, 3600, pure=False)
        await until(lambda: worker.state.executing)
        yield scheduler, worker, scheduler.tasks[future.key]


@pytest.mark.parametrize("expected", [True, False])
def test_scheduler_asks_the_keeper_about_lost_workers(expected: bool) -> None:
    """The keeper sees the worker with its tasks, and whether it announced its end; Dask itself never counts it."""

    async def run() -> None:
        async with busy() as (scheduler, worker, task):
            seen: list[tuple[list[Any], bool]] = []
            scheduler.keeper = SimpleNamespace(
                lost=lambda state, expected: seen.append(([one.key for one in state.processing], expected))
            )
            await scheduler.remove_worker(worker.address, stimulus_id="test", expected=expected)
            assert seen == [([task.key], expected)]
            assert task.suspicious == 0
            assert task.state in {"no-worker", "queued"}
            assert await scheduler.remove_worker("tcp://127.0.0.1:1", stimulus_id="test") == "already-removed"
            assert len(seen) == 1

    asyncio.run(run())


def test_scheduler_without_keeper_counts_as_dask_does() -> None:
    """Before the keeper starts, a loss counts against the tasks."""

    async def run() -> None:
        async with busy() as (scheduler, worker, task):
            await scheduler.remove_worker(worker.address, stimulus_id="test")
            assert task.suspicious == 1

    asyncio.run(run())


@pytest.fixture
def restarting(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let Dask's restart lose all workers, and return the options that it gets."""
    seen: list[dict[str, Any]] = []

    async def restart_workers(scheduler: Any, workers: list[str] | None, **options: Any) -> dict[str, str]:
        assert workers is None
        seen.append(options)
        scheduler.workers.clear()
        return {"a": "OK"}

    without_pauses = SimpleNamespace(**vars(asyncio) | {"sleep": lambda _seconds: asyncio.sleep(0)})
    monkeypatch.setattr(kept_cluster, "asyncio", without_pauses)
    monkeypatch.setattr(Scheduler, "restart_workers", restart_workers)
    return seen


def scheduler_with(*workers: str) -> Any:
    """Return a scheduler that is not started, with workers."""
    scheduler = KeptScheduler.__new__(KeptScheduler)
    scheduler.workers = dict.fromkeys(workers)
    return scheduler


def test_restart_waits_for_replaced_jobs(restarting: list[dict[str, Any]]) -> None:
    """A restart ends once there are as many workers as before, whichever they are; a lost one is no error."""

    async def run() -> None:
        scheduler = scheduler_with("a", "b")
        restart = asyncio.ensure_future(scheduler.restart_workers(timeout=60))
        await until(lambda: restarting)
        scheduler.workers["c"] = None
        for _ in range(10):
            await asyncio.sleep(0)
        assert not restart.done()
        scheduler.workers["d"] = None
        assert await restart == {"a": "OK"}

    asyncio.run(run())
    (options,) = restarting
    assert options["on_error"] == "return"
    assert options["wait_for_workers"] is False
    assert options["timeout"] < 60  # a worker that is lost never answers


def test_restart_without_enough_workers_times_out(restarting: list[dict[str, Any]]) -> None:
    """The error counts the missing workers; who does not wait for workers gets none."""

    async def run() -> None:
        with pytest.raises(TimeoutError, match="2 of 2 workers have not returned 0 s after the restart"):
            await scheduler_with("a", "b").restart_workers(timeout=0)
        assert await scheduler_with("a").restart_workers(timeout=0, wait_for_workers=False) == {"a": "OK"}

    asyncio.run(run())


# With a keeper


def test_kept_jobs_are_replaced(slurm: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it: a job whose worker dies while Slurm cancels it is replaced, and its task starts again."""
    queue: dict[str, QueuedJob] = {}
    errors: list[Exception] = []
    said: list[str] = []
    monkeypatch.setattr(slurm_jobs, "jobs", lambda _name: list(queue.values()))
    keeper = Keeper(
        name="one",
        processes=1,
        cores=1,
        walltime=3600,
        patience=60,
        failures=3,
        logs=tmp_path,
        fail=errors.append,
        say=said.append,
    )

    async def start(cluster: Any, number: str) -> Worker:
        await until(lambda: any(job.id == number for job in keeper.history))
        (name,) = [job.name for job in keeper.history if job.id == number]
        queue[number] = QueuedJob(id=number, state="RUNNING", reason="None", node="c1", start=number, left=3600)
        return await Worker(cluster.scheduler_address, name=name, nthreads=1, **LOCAL)

    async def script(cluster: Any) -> None:
        watch = Watch()
        watch.keeper = keeper
        cluster.scheduler.add_plugin(watch)
        keeper.start(cluster, cluster.scheduler)
        cluster.scale(jobs=1)
        worker = await start(cluster, "1")
        async with Client(cluster, asynchronous=True, set_as_default=False) as client:
            future = client.submit(asyncio.sleep, 3600, pure=False)
            await until(lambda: worker.state.executing)
            queue["1"] = QueuedJob(id="1", state="CANCELLED", reason="None", node="c1")
            await cluster.scheduler.remove_worker(worker.address, stimulus_id="lost")
            await worker.close(executor_wait=False)
            other = await start(cluster, "2")
            await until(lambda: other.state.executing)
            assert cluster.scheduler.tasks[future.key].suspicious == 0
            await until(lambda: said)
            await other.close(executor_wait=False)
        keeper.stop()

    within(keeper, tmp_path, script)
    assert said == ["Job 1 on c1 was cancelled; job 2 takes its place."]
    assert errors == []
    assert slurm.calls("scancel") == ["2"]
