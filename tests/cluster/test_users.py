"""Several users: their jobs, their files, what they cannot see of each other, and how they come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim, SlurmSimError, SpecError
from slurm_sim._docker import docker
from tests.support.command import new_name, refused, slurm_sim_command
from tests.support.jobs import script
from tests.support.waiting import until_in

pytestmark = pytest.mark.timeout(300)

ID = "echo $(id -u):$(id -un):$(id -gn)"


@pytest.fixture(scope="module")
def sim() -> Iterator[SlurmSim]:
    """Mini-cluster with the users alice and bob."""
    with SlurmSim(name=new_name(), nodes=2, users=["alice", "bob"]) as sim:
        yield sim


def as_user(sim: SlurmSim, user: str, command: str, *, on: str = "login", check: bool = True) -> str:
    """Run a shell command as a user, and return its output, or its errors if it fails."""
    done = sim.exec("sh", "-c", command, on=on, user=user, check=check, timeout=150)
    return done.stdout or done.stderr


def long_job(sim: SlurmSim, user: str, tmp_path: Path) -> int:
    """Start a job that does not end, and return its ID."""
    job = sim.submit(script(tmp_path, "srun tail -f /dev/null"), user=user)
    job.wait_until_running()
    until_in(sim, f"squeue --steps --noheader --format=%i | grep --quiet '^{job.id}.0'")
    return job.id


def test_users_are_known_everywhere(sim: SlurmSim) -> None:
    """Controller, login node and compute nodes know the users, each with a group and the same ID everywhere."""
    assert sim.users() == {"hpc": 1000, "alice": 1001, "bob": 1002}
    for on in ("slurmctld", "login", "c1", "c2"):
        assert as_user(sim, "root", "id alice bob", on=on).splitlines() == [
            "uid=1001(alice) gid=1001(alice) groups=1001(alice)",
            "uid=1002(bob) gid=1002(bob) groups=1002(bob)",
        ]


def test_commands_run_as_user(sim: SlurmSim) -> None:
    """`exec` and `shell` run as the user, in the user's home, with a login's variables; hpc is the default."""
    ask = f"{ID}; pwd; echo $HOME $USER $LOGNAME"
    there = "1001:alice:alice\n/home/alice\n/home/alice alice alice\n"
    assert as_user(sim, "alice", ask) == as_user(sim, "1001", ask) == as_user(sim, "alice", ask, on="c1") == there
    assert as_user(sim, "alice", "pwd; echo $HOME", on="slurmctld") == "/\n/home/alice\n"
    words = ("--name", sim.name, "--user", "alice")
    assert slurm_sim_command("exec", *words, "--", "sh", "-c", ask).stdout.decode() == there
    assert slurm_sim_command("shell", *words, stdin=ask.encode()).stdout.decode() == there
    assert sim.exec("id", "-un").stdout == "hpc\n"
    assert sim.exec("pwd", user="alice", workdir="/tmp", env={"HOME": "/"}).stdout == "/tmp\n"


def test_unknown_user_is_named(sim: SlurmSim) -> None:
    """An unknown user is rejected by every command, which suggests the nearest one."""
    said = refused("exec", "--name", sim.name, "--user", "alcie", "true")
    assert "Unknown user 'alcie'.\nexisting: hpc, alice, bob\nWhat to do: did you mean 'alice'?" in said
    with pytest.raises(SpecError, match=r"Unknown user 'x'.\n.*\nWhat to do: use one of these, or run 'slurm-sim user"):
        sim.exec("true", user="x")
    assert "Unknown user 'al'" in refused("submit", "--name", sim.name, "--user", "al", __file__)
    assert "Unknown user 'al'" in refused("cp", "--name", sim.name, "--user", "al", __file__, "login:/tmp/x")


def test_jobs_run_as_their_user(sim: SlurmSim, tmp_path: Path) -> None:
    """Steps on all nodes, batch jobs and interactive ones run as the user, whose output can be read."""
    assert as_user(sim, "alice", f"srun -N2 sh -c '{ID}'") == "1001:alice:alice\n" * 2
    assert as_user(sim, "bob", f"salloc --quiet -N1 srun sh -c '{ID}'") == "1002:bob:bob\n"
    job = sim.submit(script(tmp_path, f"{ID}; pwd"), "--nodes=2", user="alice")
    assert job.wait(timeout=60).state == "COMPLETED"
    assert job.output() == "1001:alice:alice\n/home/alice\n"
    done = slurm_sim_command("submit", "--name", sim.name, "--user", "bob", "--wait", str(script(tmp_path, ID)))
    assert done.stdout == b"1002:bob:bob\n"


def test_login_environment_of_job(sim: SlurmSim) -> None:
    """With --export=NONE, a job has the variables of its user's login, not of another user's."""
    submit = "echo 'export MINE='$USER >.profile; sbatch --quiet --wait --export=NONE --output=job.out; cat job.out"
    for user in ("alice", "bob"):
        done = sim.exec("bash", "-c", submit, user=user, stdin="#!/bin/bash\necho $USER $HOME $MINE\n", timeout=150)
        assert done.stdout == f"{user} /home/{user} {user}\n"


def test_users_cannot_read_each_others_files(sim: SlurmSim, tmp_path: Path) -> None:
    """Homes, job output and the variables of processes are private, on the login node and on compute nodes."""
    job = long_job(sim, "bob", tmp_path)
    node = sim.job(job).record().host
    for command in ("ls /home/bob", "cat /home/bob/.bashrc", f"cat /home/bob/slurm-{job}.out", "touch /home/x"):
        for on in ("login", node):
            assert "Permission denied" in as_user(sim, "alice", command, on=on, check=False)
    batch = "$(pgrep --uid bob --exact tail)"
    assert "SLURM_JOB_ID" in as_user(sim, "bob", f"tr '\\0' '\\n' </proc/{batch}/environ", on=node)
    assert "Permission denied" in as_user(sim, "alice", f"cat /proc/{batch}/environ", on=node, check=False)
    sim.job(job).cancel()


def test_users_cannot_control_each_others_jobs(sim: SlurmSim, tmp_path: Path) -> None:
    """A user sees another one's job in the queue, but cannot cancel, change, attach to or join it."""
    job = long_job(sim, "bob", tmp_path)
    assert "bob" in as_user(sim, "alice", "squeue --noheader --format=%u")
    for command in (
        f"scancel {job}",
        f"scontrol update jobid={job} timelimit=1",
        f"scontrol hold {job}",
        f"scontrol requeue {job}",
        f"srun --jobid={job} --overlap id",
    ):
        assert as_user(sim, "alice", f"! {command} 2>&1"), command
    assert "Invalid user id" in as_user(sim, "alice", f"scontrol write batch_script {job} - 2>&1")
    attached = as_user(sim, "alice", f"sattach {job}.0 </dev/null 2>&1", check=False)
    assert "no tasks running" in attached or "denied" in attached  # Slurm's two ways to refuse
    process = "kill $(pgrep --uid bob --exact tail)"
    denied = as_user(sim, "alice", process, on=sim.job(job).record().host, check=False)
    assert "not permitted" in denied or "denied" in denied
    assert sim.job(job).state == "RUNNING"
    as_user(sim, "bob", f"scancel {job}")
    assert sim.job(job).wait(timeout=60).state == "CANCELLED"


def test_users_have_no_rights_beyond_their_own(sim: SlurmSim) -> None:
    """A user cannot administer Slurm, become another user, or change the list of users."""
    drain = "scontrol update nodename=c1 state=drain reason=x 2>&1"
    assert "Invalid user id" in as_user(sim, "alice", drain, check=False)
    assert "root" not in as_user(sim, "alice", "su - -c id 2>&1 </dev/null", check=False)
    assert as_user(sim, "alice", "su bob -c id 2>&1 </dev/null", check=False).count("uid=") == 0
    for on in ("login", "c1"):
        assert "Permission denied" in as_user(sim, "alice", "echo >>/var/lib/extrausers/passwd", on=on, check=False)
    read_only = as_user(sim, "root", "touch /var/lib/extrausers/x", on="c1", check=False)
    assert "Read-only" in read_only


def test_copies_belong_to_user(sim: SlurmSim, tmp_path: Path) -> None:
    """`cp --user` copies into a private home, where the user owns the copies."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f/x").write_text("x")
    assert (
        slurm_sim_command("cp", "--name", sim.name, "--user", "bob", str(tmp_path / "f"), "login:/home/bob").stderr
        == b""
    )
    assert as_user(sim, "bob", "stat --format=%U:%G f f/x") == "bob:bob\nbob:bob\n"
    sim.get("/home/bob/f/x", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "x"


def test_adds_users_at_run_time(sim: SlurmSim) -> None:
    """A user who is added has a home and runs jobs on all nodes at once, also on nodes that come later."""
    done = slurm_sim_command("user", "add", "--name", sim.name, "carol", "alice", "carol")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sim.users()["carol"] == 1003
    assert as_user(sim, "carol", f"stat --format=%a:%U:%G ~; ls -A; srun -N2 sh -c '{ID}'").split() == [
        "700:carol:carol",
        *(".bash_logout", ".bashrc", ".profile"),
        *["1003:carol:carol"] * 2,
    ]
    listed = json.loads(slurm_sim_command("user", "list", "--name", sim.name, "--json").stdout)
    assert listed[-1] == {"name": "carol", "uid": 1003}
    assert "carol" in slurm_sim_command("user", "list", "--name", sim.name).stdout.decode()
    sim.scale(3)
    assert as_user(sim, "carol", f"srun -w c3 sh -c '{ID}'") == "1003:carol:carol\n"
    sim.scale(2)


def test_removed_user_ends_and_can_come_back(sim: SlurmSim, tmp_path: Path) -> None:
    """A removed user's jobs and processes end, and no other user gets the ID; the same user gets the home back."""
    sim.add_users("dave")
    uid = sim.users()["dave"]
    running = long_job(sim, "dave", tmp_path)
    waiting = sim.submit(script(tmp_path, "hostname"), "--hold", user="dave")
    as_user(sim, "dave", "echo kept >file; nohup setsid tail -f /dev/null >/dev/null 2>&1 &")
    assert as_user(sim, "root", "pgrep --uid dave tail")
    done = slurm_sim_command("user", "remove", "--name", sim.name, "dave")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sim.job(running).state == waiting.state == "CANCELLED"
    assert as_user(sim, "root", f"pgrep --uid {uid}", check=False) == ""
    assert "dave" not in sim.users()
    assert "Unknown user 'dave'" in refused("exec", "--name", sim.name, "--user", "dave", "id")
    assert as_user(sim, "root", "stat --format=%a:%u /home/dave") == f"700:{uid}\n"
    sim.add_users("erin", "dave")
    assert (sim.users()["erin"], sim.users()["dave"]) == (uid + 1, uid)
    assert as_user(sim, "dave", "cat file; srun id -un") == "kept\ndave\n"
    sim.remove_users("dave", "erin")


def test_invalid_users_are_rejected(sim: SlurmSim) -> None:
    """Invalid names, hpc, users of the system or of the image, and unknown users are rejected; nothing changes."""
    before = sim.users()
    shaped = ("Alice", "1a", "a b", "a:b", "-x", "a" * 33, "", "ä", "a\nb")
    for bad in (*shaped, "root", "hpc", "slurm", "munge", "_apt", "users"):
        with pytest.raises(SpecError):
            sim.add_users("new", bad)
    sim.exec("groupadd", "visitors", user="root")
    with pytest.raises(SlurmSimError, match="visitors is a group of the image"):
        sim.add_users("new", "visitors")
    with pytest.raises(SpecError, match=r"Unknown user 'alcie'\.\n.*\n.*did you mean 'alice'"):
        sim.remove_users("bob", "alcie")
    with pytest.raises(SpecError, match="'hpc'"):
        sim.remove_users("hpc")
    with pytest.raises(SpecError, match="accounting"):
        sim.add_users("new", account="physics")
    assert "did you mean 'remove'" in refused("user", "remov", "bob")
    assert "NAMES" in refused("user", "add", "--name", sim.name)
    assert sim.users() == before


def test_users_survive_faults_and_restarts(sim: SlurmSim, tmp_path: Path) -> None:
    """Users who were added or removed stay so after a lost node, a lost controller and a stop of everything."""
    sim.add_users("frank", "grace")
    sim.remove_users("grace", "bob")
    users = sim.users()
    sim.fault("node-lost", "c1")
    sim.fault("heal", "c1")
    until_in(sim, "[ $(sinfo --noheader --Node --format=%t | grep -c idle) = 2 ]")
    assert as_user(sim, "frank", "srun -w c1 id -un") == "frank\n"
    sim.fault("controller-restarted")
    containers = [sim.container(service) for service in ("slurmctld", "login", "c1", "c2")]
    assert docker("stop", *containers).returncode == 0
    sim.start()
    assert sim.users() == users
    assert as_user(sim, "frank", f"srun -N2 sh -c '{ID}'") == f"{users['frank']}:frank:frank\n" * 2
    docker("rm", "--force", sim.container("login"))
    sim.start()
    assert sim.users() == users
    sim.add_users("bob")
    assert as_user(sim, "bob", "srun id -u; ls -A | head -1") == "1002\n.bash_logout\n"


def test_up_takes_users() -> None:
    """`up --user` and `run --user` add users; the same command brings a stopped mini-cluster back."""
    with pytest.raises(SpecError, match="'root' is a user or a group of the system"):
        SlurmSim(users=["root"])
    assert "Invalid name of a user: 'A'" in refused("up", "--user", "A")
    run = slurm_sim_command("run", "--nodes", "1", "--user", "alice", "--", "getent", "passwd", "alice")
    assert run.stdout == b"alice:*:1001:1001::/home/alice:/bin/bash\n"


@pytest.mark.slurm_sim(bare=True, users=["alice"])
def test_users_of_bare_nodes(slurm_sim: SlurmSim) -> None:
    """Bare nodes have users, too, who can make the namespaces that Apptainer needs."""
    command = "unshare --user --map-root-user --mount id -un"
    assert (
        slurm_sim.exec("srun", "-N2", "sh", "-c", f"id -un; {command}", user="alice").stdout.split().count("alice") == 2
    )


@pytest.mark.slurm_sim(accounting=True, users=["alice"])
def test_users_have_accounts(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """With accounting, users who are added have an account at once; of removed ones, `sacct` keeps the jobs."""
    path = script(tmp_path, "hostname")
    slurm_sim.add_users("bob")
    slurm_sim.add_users("carol", "dave", account="physics")
    slurm_sim.add_users("carol", account="physics")
    wanted = {"alice": "alice", "bob": "bob", "carol": "physics", "dave": "physics"}
    jobs = {user: slurm_sim.submit(path, user=user) for user in wanted}
    assert {user: job.wait(timeout=60).state for user, job in jobs.items()} == dict.fromkeys(wanted, "COMPLETED")
    ask = "sacct --allusers --noheader --parsable2 --allocations --format=user,account,state"
    charged = {f"{user}|{account}|COMPLETED" for user, account in wanted.items()}
    until_in(slurm_sim, f"[ $({ask} | grep --count COMPLETED) -ge 4 ]", user="root")
    assert charged <= set(as_user(slurm_sim, "root", ask).split())
    slurm_sim.remove_users("bob", "carol")
    listed = as_user(slurm_sim, "root", "sacctmgr --noheader --parsable2 list associations format=user")
    assert {"alice", "dave"} <= set(listed.split())
    assert not {"bob", "carol"} & set(listed.split())
    assert "bob|bob" in as_user(slurm_sim, "root", ask)
    slurm_sim.add_users("bob")
    assert slurm_sim.submit(path, user="bob").wait(timeout=60).state == "COMPLETED"
