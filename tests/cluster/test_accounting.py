"""Slurm's accounting: sacct, accounts, QOS, limits, priorities, preemption and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import CommandError, Job, SlurmSim, SpecError, StartError
from slurm_sim._docker import docker_output
from slurm_sim._slurm import AWAIT_ACCOUNTING
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until, until_in

MARK = pytest.mark.slurm_sim(
    accounting=True,
    nodes=2,
    scope="module",
    slurm_conf={"MinJobAge": 2, "Licenses": "matlab:1", "PreemptType": "preempt/qos", "PreemptMode": "REQUEUE"},
)
pytestmark = [MARK, pytest.mark.timeout(400)]

BOTH = ("--nodes=2", "--exclusive")
TASKS = "--wrap=exit $SLURM_ARRAY_TASK_ID"


@pytest.fixture(scope="module")
def old(request: pytest.FixtureRequest) -> dict[str, Job]:
    """Jobs of the module's first test, which the last one looks up again."""
    return {}


@pytest.fixture
def sim(slurm_sim: SlurmSim) -> Iterator[SlurmSim]:
    """The module's mini-cluster, without jobs after each test."""
    yield slurm_sim
    slurm_sim.cancel_all()


def admin(sim: SlurmSim, *command: str) -> str:
    """Run sacctmgr or scontrol as an administrator, and return its output."""
    done = sim.exec(*command, on="slurmctld", user="root")
    return done.stdout


def sacctmgr(sim: SlurmSim, *command: str) -> str:
    return admin(sim, "sacctmgr", "--immediate", "--quiet", *command)


def sacct(sim: SlurmSim, job: Job | int, fields: str, *options: str) -> list[list[str]]:
    """Return fields of a job's records in accounting, once it has all of the controller's."""
    sim.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    number = job.id if isinstance(job, Job) else job
    command = ["sacct", "--noheader", "--parsable2", f"--jobs={number}", f"--format={fields}", *options]
    return [line.split("|") for line in sim.exec(*command).stdout.splitlines()]


def await_reason(job: Job, reason: str) -> None:
    """Return when Slurm gives this reason for a job to wait."""
    until(lambda: job.record().reason == reason, f"{reason} of job {job.id}")


def test_sacct_shows_how_jobs_ended(sim: SlurmSim, old: dict[str, Job]) -> None:
    """The state, exit status, signal, duration, memory and steps of ended jobs are in accounting."""
    use = "--wrap=head -c 60000000 /dev/zero | tail | sleep 3"  # tail keeps all of it: it is one line
    old["failed"] = sbatch(sim, "--wrap=exit 3")
    old["killed"] = sbatch(sim, "--no-requeue", "--wrap=kill -9 $$")
    old["array"] = sbatch(sim, "--array=0-2", TASKS)
    old["het"] = sbatch(sim, "--ntasks=1", ":", "--ntasks=1", "--output=het-%j-%N.out", "--wrap=echo het")
    steps = sbatch(sim, "--wrap=srun true; srun false")
    memory = sbatch(sim, use)
    for job in (*old.values(), steps, memory):
        job.wait(120)
    assert sacct(sim, old["failed"], "State,ExitCode,Account,User,QOS", "-X") == [
        ["FAILED", "3:0", "hpc", "hpc", "normal"]
    ]
    assert sacct(sim, old["killed"], "State,ExitCode", "-X") == [["FAILED", "0:9"]]
    assert sacct(sim, steps, "JobID,State") == [
        [str(steps.id), "FAILED"],
        [f"{steps.id}.batch", "FAILED"],
        [f"{steps.id}.0", "COMPLETED"],
        [f"{steps.id}.1", "FAILED"],
    ]
    ((seconds, _), (_, size)) = sacct(sim, memory, "ElapsedRaw,MaxRSS")
    assert 3 <= int(seconds) < 60
    assert 50_000 < int(size.removesuffix("K")) < 500_000
    assert sorted(sacct(sim, old["array"], "JobID,ExitCode", "-X")) == [
        [f"{old['array'].id}_{task}", f"{task}:0"] for task in range(3)
    ]
    assert [state for _, state in sacct(sim, old["het"], "JobID,State", "-X")] == ["COMPLETED"] * 2


def test_requeued_job_has_two_records(sim: SlurmSim) -> None:
    """A requeued job has one record per run."""
    job = sbatch(sim, f"--wrap={FOR_EVER}")
    job.wait_until_running()
    sim.exec("scontrol", "requeue", str(job.id))
    until(lambda: len(sacct(sim, job, "State", "-X", "--duplicates")) == 2, "the second record")
    assert sacct(sim, job, "State", "-X", "--duplicates")[0] == ["REQUEUED"]
    job.cancel()


def test_user_has_an_account_by_default(sim: SlurmSim) -> None:
    """`hpc` is charged to an account of that name; Slurm rejects any other one in its own words."""
    assert "hpc|hpc" in sacctmgr(sim, "--parsable2", "show", "user", "hpc", "format=user,defaultaccount")
    with pytest.raises(CommandError, match="Invalid account or account/partition combination"):
        sbatch(sim, "--account=physics", "--wrap=true")
    with pytest.raises(CommandError, match="Invalid qos specification"):
        sbatch(sim, "--qos=gold", "--wrap=true")


def test_limits_of_associations_and_qos(sim: SlurmSim) -> None:
    """A job above a limit waits with Slurm's reason, or is rejected in Slurm's words."""
    sacctmgr(sim, "add", "account", "small", "GrpTRES=cpu=1", "MaxSubmitJobs=2")
    sacctmgr(sim, "add", "user", "hpc", "account=small")
    sacctmgr(sim, "add", "qos", "one", "MaxJobsPerUser=1")
    sacctmgr(sim, "modify", "user", "hpc", "set", "qos+=one")
    for option, reason in (("--account=small", "AssocGrpCpuLimit"), ("--qos=one", "QOSMaxJobsPerUserLimit")):
        first, second = (sbatch(sim, option, f"--wrap={FOR_EVER}") for _ in range(2))
        first.wait_until_running()
        await_reason(second, reason)
    with pytest.raises(CommandError, match="AssocMaxSubmitJobLimit"):
        sbatch(sim, "--account=small", "--wrap=true")


def test_qos_sets_priority(sim: SlurmSim) -> None:
    """A job of a higher QOS starts before one that waits longer."""
    sacctmgr(sim, "add", "qos", "urgent", "priority=100")
    sacctmgr(sim, "modify", "user", "hpc", "set", "qos+=urgent")
    first = sbatch(sim, *BOTH, f"--wrap={FOR_EVER}")
    first.wait_until_running()
    usual = sbatch(sim, *BOTH, "--wrap=true")
    urgent = sbatch(sim, *BOTH, "--qos=urgent", "--wrap=true")
    first.cancel()
    for job in (usual, urgent):
        job.wait(120)
    starts = [sacct(sim, job, "Start", "-X")[0][0] for job in (urgent, usual)]
    assert starts == sorted(starts)
    assert admin(sim, "sprio", "--weights")


def test_fairshare_orders_accounts(sim: SlurmSim) -> None:
    """Of two accounts with equal shares, the one that has used less comes first, and sreport and sshare show it."""
    for name in ("idle", "busy"):
        sacctmgr(sim, "add", "account", name)
        sacctmgr(sim, "add", "user", "hpc", f"account={name}", "fairshare=1")
    sbatch(sim, "--account=busy", "--ntasks=4", "--wrap=sleep 2").wait()
    sim.roll_up()
    report = ("cluster", "AccountUtilizationByUser", "start=now-30minutes")
    used = sim.exec("sreport", "-nP", "-t", "seconds", *report).stdout
    (busy,) = (line.split("|") for line in used.splitlines() if "|busy|hpc|" in line)
    assert int(busy[-2]) >= 8  # before the energy
    shares = dict(line.split("|") for line in sim.exec("sshare", "-anP", "--format=account,rawusage").stdout.split())
    assert int(shares["busy"]) >= 4
    assert int(shares["idle"]) == 0
    sbatch(sim, *BOTH, f"--wrap={FOR_EVER}").wait_until_running()
    jobs = [sbatch(sim, f"--account={name}", *BOTH, "--wrap=true") for name in ("busy", "idle")]
    priority = [int(sim.exec("squeue", "-ho%Q", f"--jobs={job.id}").stdout) for job in jobs]
    assert priority[0] < priority[1]


@pytest.mark.parametrize(("mode", "ends"), [("requeue", "PENDING"), ("cancel", "PREEMPTED")])
def test_qos_preempts(sim: SlurmSim, mode: str, ends: str) -> None:
    """A job of a higher QOS preempts one of a lower QOS, which is requeued or cancelled."""
    sacctmgr(sim, "add", "qos", f"low-{mode}", f"preemptmode={mode}")
    sacctmgr(sim, "add", "qos", f"high-{mode}", f"preempt=low-{mode}", "priority=10")
    sacctmgr(sim, "modify", "user", "hpc", "set", f"qos+=low-{mode},high-{mode}")
    low = sbatch(sim, *BOTH, f"--qos=low-{mode}", f"--wrap={FOR_EVER}")
    low.wait_until_running()
    high = sbatch(sim, *BOTH, f"--qos=high-{mode}", f"--wrap={FOR_EVER}")
    assert high.wait_until_running(120).state == "RUNNING"
    until(lambda: low.record().state == ends, f"{ends} of the preempted job")


def test_reservation_keeps_node(sim: SlurmSim) -> None:
    """A reserved node takes only jobs of the reservation."""
    kept = "reservationname=kept users=hpc starttime=now duration=10 nodes=c2"
    admin(sim, "scontrol", "create", *kept.split())
    try:
        other = sbatch(sim, "--nodelist=c2", "--wrap=true")
        inside = sbatch(sim, "--nodelist=c2", "--reservation=kept", "--wrap=true")
        assert inside.wait().state == "COMPLETED"
        assert "ReqNodeNotAvail" in other.record().reason
        other.cancel()
    finally:
        sim.cancel_all()
        admin(sim, "scontrol", "delete", "reservationname=kept")


def test_dependencies_begin_times_licences_and_array_limits(sim: SlurmSim) -> None:
    """Jobs wait for what they ask for, with Slurm's reasons."""
    first = sbatch(sim, "--licenses=matlab:1", "--wrap=until [ -e go-on ]; do sleep 0.1; done; rm go-on")
    first.wait_until_running()
    licence = sbatch(sim, "--licenses=matlab:1", "--wrap=true")
    after = sbatch(sim, f"--dependency=afterok:{first.id}", "--wrap=true")
    begin = sbatch(sim, "--begin=now+1hour", "--wrap=true")
    array = sbatch(sim, "--array=1-4%1", f"--wrap={FOR_EVER}")
    await_reason(licence, "Licenses")
    await_reason(after, "Dependency")
    await_reason(begin, "BeginTime")
    until_in(sim, f"squeue --noheader --jobs={array.id} --format=%r | grep JobArrayTaskLimit")
    array.cancel()
    sim.exec("touch", "go-on")
    assert [job.wait().state for job in (first, after, licence)] == ["COMPLETED"] * 3


def test_job_that_controller_has_forgotten(sim: SlurmSim, old: dict[str, Job]) -> None:
    """A job is known to its `Job`, and to a new one, when only accounting knows it, with its output."""

    def forgotten() -> bool:
        ids = [str(job.id) for job in old.values()]
        return all(sim.exec("scontrol", "show", "job", number, check=False).returncode for number in ids)

    until(forgotten, "the end of MinJobAge", 250)
    for name, job in old.items():
        for one in (job, sim.job(job.id)):
            record = one.wait(5)
            expected: Any = {
                "failed": ("FAILED", 3, 0, 0),
                "killed": ("FAILED", 0, 9, 0),
                "array": ("FAILED", 2, 0, 3),
                "het": ("COMPLETED", 0, 0, 2),
            }[name]
            assert (record.state, record.exit_code, record.signal, len(record.tasks)) == expected, name
    assert "het" in sim.job(old["het"].id).output()
    with pytest.raises(CommandError, match="Invalid job id"):
        sim.job(999_999).record()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "jobs", [1000, *(pytest.param(jobs, marks=pytest.mark.soak(only=True)) for jobs in (5000, 20_000))]
)
def test_burst_is_complete_in_accounting(sim: SlurmSim, jobs: int) -> None:
    """None of the jobs that are submitted and cancelled in a burst is missing, and Slurm takes more of them."""
    name = f"burst-{jobs}"
    sbatch(sim, *BOTH, f"--wrap={FOR_EVER}").wait_until_running()
    one = f"sbatch --quiet --exclusive --job-name={name} --output=/dev/null --wrap=true"
    sim.exec("sh", "-c", f"seq {jobs} | xargs -P 4 -I {{}} {one}", timeout=400)
    sim.exec("scancel", f"--name={name}", timeout=60)
    sim.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    shown = sim.exec("sacct", "-nXP", f"--name={name}", "--starttime=now-1hour", "--format=jobid,state").stdout
    ids, states = zip(*(line.split("|") for line in shown.splitlines()), strict=True)
    assert len(set(ids)) == jobs
    assert all(state.startswith("CANCELLED") for state in states)
    sim.cancel_all()
    assert sbatch(sim, *BOTH, "--wrap=true").wait().state == "COMPLETED"


def test_roll_up_needs_accounting(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """Without accounting, a roll-up and the faults of accounting say how to have it."""
    plain = slurm_sim_factory(nodes=1)
    for call in (plain.roll_up, lambda: plain.fault("database-lost"), lambda: plain.fault("dbd-lost")):
        with pytest.raises(SpecError, match="needs accounting") as error:
            call()
        assert "--accounting" in str(error.value)


def test_configured_accounts(slurm_sim_factory: Callable[..., SlurmSim], tmp_path: Path) -> None:
    """Accounts, QOS and limits of a cluster.toml exist; scaling works; nothing is left after the end."""
    (tmp_path / "cluster.toml").write_text(
        """
        accounting = true
        [nodes.c]
        count = 1
        [accounts.lab]
        description = "A lab"
        fairshare = 3
        [accounts.team]
        parent = "lab"
        limits = {GrpTRES = "cpu=8"}
        [qos.long]
        priority = 5
        preempts = ["normal"]
        [qos.normal]
        limits = {MaxSubmitJobsPerUser = 1}
        [preemption]
        by = "qos"
        [users.hpc]
        account = "team"
        limits = {MaxJobs = 2}
        """,
        encoding="utf-8",
    )
    sim = slurm_sim_factory(config=tmp_path / "cluster.toml")
    shown = sacctmgr(sim, "--parsable2", "show", "association", "format=account,parentname,user,grptres,maxjobs,qos")
    assert {"lab|root||||long,normal", "team|lab||cpu=8||long,normal", "team||hpc||2|long,normal"} <= set(
        shown.splitlines()
    )
    sim.exec("rm", "/var/lib/slurm/accounts.loaded", on="slurmctld", user="slurm")
    sim.fault("controller-restarted")  # as if the first start had been interrupted: the accounts are not made twice
    until_in(sim, "scontrol ping", timeout=60)
    sim.scale(2)
    first = sbatch(sim, *BOTH, f"--wrap={FOR_EVER}")
    first.wait_until_running()
    with pytest.raises(CommandError, match="QOSMaxSubmitJobPerUserLimit"):
        sbatch(sim, "--wrap=true")
    assert sbatch(sim, *BOTH, "--qos=long", "--wrap=true").wait().state == "COMPLETED"
    assert first.record().state in {"PENDING", "RUNNING"}  # requeued
    name = sim.name
    sim.down()
    left = [
        docker_output(*what.split(), "-q", f"--filter=name={name}") for what in ("ps -a", "volume ls", "network ls")
    ]
    assert left == ["", "", ""]


def test_rejected_account_prevents_start(slurm_sim_factory: Callable[..., SlurmSim], tmp_path: Path) -> None:
    """If sacctmgr rejects a limit, the mini-cluster does not start, and the error has sacctmgr's words."""
    text = 'accounting = true\n[accounts.lab]\nlimits = {GrpTRES = "nonsense=3"}\n'
    (tmp_path / "cluster.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match="slurmctld-1 exited") as error:
        slurm_sim_factory(config=tmp_path / "cluster.toml")
    assert "no TRES known by type nonsense" in error.value.seen
