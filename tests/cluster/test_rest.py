"""slurmrestd, as its clients see it: tokens, jobs, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slurm_sim import NotRunningError, SlurmSim, SpecError, StartError, _rest
from slurm_sim._docker import docker
from tests.support.command import left_of, new_name, refused, slurm_sim_command
from tests.support.jobs import FOR_EVER
from tests.support.rest import Answer, ask, ask_socket, told
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

API = "/slurm/v0.0.42"
PARTS = ("slurmctld", "login", "slurmrestd", "c1")
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def sim() -> Iterator[SlurmSim]:
    """Mini-cluster of these tests; each test finds it running and leaves it running."""
    name = new_name()
    with SlurmSim(name=name, nodes=1, rest=True) as sim:
        yield sim
    assert left_of(name) == []


@pytest.fixture
def token(sim: SlurmSim) -> str:
    """A token of hpc."""
    return sim.token()


def job(command: str, **settings: object) -> dict[str, object]:
    """Return the request for a job of hpc."""
    of_all = {"name": "rest", "current_working_directory": "/home/hpc", "environment": ["PATH=/usr/bin:/bin"]}
    return {"script": f"#!/bin/sh\n{command}\n", "job": of_all | settings}


def submit(sim: SlurmSim, token: str, command: str, **settings: object) -> int:
    """Submit a job, and return its ID."""
    number: int = told(ask(sim, f"{API}/job/submit", token, body=job(command, **settings)))["job_id"]
    return number


def errors(answer: Answer) -> list[str]:
    """Return Slurm's errors in an answer."""
    return [error["error"] for error in json.loads(answer[1])["errors"]]


def test_describes_itself(sim: SlurmSim, token: str) -> None:
    """The OpenAPI document lists the paths of each version, and names the mini-cluster's Slurm."""
    document = told(ask(sim, "/openapi/v3", token))
    versions = sim.rest().versions
    assert versions[0] == "v0.0.42"
    for version in versions:
        assert f"/slurm/{version}/job/submit" in document["paths"]
    release = sim.exec("sinfo", "--version").stdout.split()[-1]
    assert document["info"]["version"].startswith(f"Slurm-{release}&")


def test_knows_the_mini_cluster(sim: SlurmSim, token: str) -> None:
    """The API lists the controller, the nodes, the partitions and the jobs."""
    assert [one["pinged"] for one in told(ask(sim, f"{API}/ping/", token))["pings"]] == ["UP"]
    assert [one["name"] for one in told(ask(sim, f"{API}/nodes/", token))["nodes"]] == ["c1"]
    assert [one["name"] for one in told(ask(sim, f"{API}/partitions/", token))["partitions"]] == ["general"]
    number = int(sim.exec("sbatch", "--parsable", "--wrap=true", "--output=/dev/null").stdout)
    assert number in [one["job_id"] for one in told(ask(sim, f"{API}/jobs/", token))["jobs"]]


def test_submits_job(sim: SlurmSim, token: str) -> None:
    """A job runs as the token's user, in the environment and the folder that the request names."""
    number = submit(sim, token, "id -un; pwd; echo $GIVEN", environment=["PATH=/bin", "GIVEN=x"], standard_output="out")
    assert sim.job(number).wait(timeout=60).state == "COMPLETED"
    assert sim.exec("cat", "out").stdout.split() == ["hpc", "/home/hpc", "x"]
    (record,) = told(ask(sim, f"{API}/job/{number}", token))["jobs"]
    assert (record["user_name"], record["job_state"]) == ("hpc", ["COMPLETED"])


def test_job_has_environment_of_request_only(sim: SlurmSim, token: str) -> None:
    """A job has no HOME unless the request names it."""
    for environment, home in ((["A=b"], ""), (["HOME=/home/hpc"], "/home/hpc")):
        number = submit(sim, token, "echo [$HOME]", environment=environment, standard_output="home.out")
        assert sim.job(number).wait(timeout=60).state == "COMPLETED"
        assert sim.exec("cat", "home.out").stdout == f"[{home}]\n"


def test_cancels_job(sim: SlurmSim, token: str) -> None:
    """DELETE cancels a job."""
    number = submit(sim, token, FOR_EVER)
    told(ask(sim, f"{API}/job/{number}", token, method="DELETE"))
    assert sim.job(number).wait(timeout=60).state == "CANCELLED"


def test_token_acts_as_its_user(sim: SlurmSim, token: str) -> None:
    """A token of hpc neither administrates nor becomes another user; a token of root administrates."""
    drain = {"state": ["DRAIN"], "reason": "rest"}
    assert errors(ask(sim, f"{API}/node/c1", token, body=drain)) == ["Invalid user id"]
    as_root = {"X-SLURM-USER-NAME": "root"}
    for answer in (
        ask(sim, f"{API}/node/c1", token, body=drain, headers=as_root),
        ask(sim, f"{API}/job/submit", token, body=job("id"), headers=as_root),
        ask(sim, f"{API}/job/submit", token, body=job("id", user_id="root")),
    ):
        assert answer[0] != 200
        assert errors(answer)
    assert sim.exec("sinfo", "--noheader", "--format=%T").stdout.strip() != "drained"
    told(ask(sim, f"{API}/node/c1", sim.token("root"), body=drain))
    assert "drain" in sim.exec("sinfo", "--noheader", "--format=%T").stdout
    sim.fault("heal", "c1")


def test_accepts_bearer_token(sim: SlurmSim, token: str) -> None:
    """A token can be a bearer token, but a request with both headers is refused."""
    bearer = {"Authorization": f"Bearer {token}"}
    assert told(ask(sim, f"{API}/nodes/", headers=bearer))["nodes"]
    assert ask(sim, f"{API}/nodes/", token, headers=bearer) == (401, "Authentication failure")


def wrong_tokens(token: str) -> dict[str, str]:
    """Return tokens that are not ours, by what is wrong with them."""
    head, _, signature = token.split(".")
    claims = base64.urlsafe_b64encode(b'{"exp":4000000000,"iat":1,"sun":"root"}').decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return {
        "empty": "",
        "no token": "x.y.z",
        "cut": token[:-4],
        "changed": f"{head}.{claims}.{signature}",
        "unsigned": f"{unsigned}.{claims}.",
    }


@pytest.mark.parametrize("how", [ask, ask_socket])
def test_refuses_requests_without_valid_token(sim: SlurmSim, token: str, how: Ask) -> None:
    """Without a token, nothing is answered; with an invalid one, Slurm answers nothing that it knows."""
    assert told(how(sim, f"{API}/nodes/", token))["nodes"]
    for path in ("/openapi/v3", f"{API}/ping/", f"{API}/nodes/", f"{API}/jobs/"):
        assert how(sim, path) == (401, "Authentication failure")
    for what, wrong in wrong_tokens(token).items():
        for asked in ("nodes", "jobs", "partitions"):
            status, body = how(sim, f"{API}/{asked}/", wrong)
            assert status == 511, what
            assert not json.loads(body).get(asked), what


def test_openapi_takes_any_token(sim: SlurmSim) -> None:
    """slurmrestd does not check tokens itself: it describes the API for any of them, and `ping` then says DOWN."""
    assert "paths" in told(ask(sim, "/openapi/v3", "x.y.z"))
    assert [one["pinged"] for one in told(ask(sim, f"{API}/ping/", "x.y.z"))["pings"]] == ["DOWN"]


def test_socket_asks_root_for_token(sim: SlurmSim) -> None:
    """A connection to the socket is not enough for any user."""
    for user in ("root", "hpc", "slurm"):
        assert ask_socket(sim, f"{API}/nodes/", user=user)[0] == 401


@pytest.mark.parametrize("wrong", ["", "x.y.z"])
def test_refuses_changes_without_valid_token(sim: SlurmSim, wrong: str) -> None:
    """No job is submitted."""
    newest = "squeue --noheader --states=all --format=%i --sort=-i | head -n1"
    before = sim.exec("sh", "-c", newest).stdout
    for given in (None, wrong):
        assert ask(sim, f"{API}/job/submit", given, body=job("true"))[0] in (401, 511)
    assert sim.exec("sh", "-c", newest).stdout == before


@pytest.mark.parametrize("how", [ask, ask_socket])
def test_token_expires(sim: SlurmSim, how: Ask) -> None:
    """A token is of no use after its lifetime."""
    brief = sim.token(lifetime=1)
    until(lambda: how(sim, f"{API}/jobs/", brief)[0] == 511, "the end of a token of one second", timeout=20)


def test_mini_clusters_do_not_trust_each_other(sim: SlurmSim, token: str, name: str) -> None:
    """Two mini-clusters have two addresses, and neither accepts the other's tokens; `down` removes all of one."""
    with SlurmSim(name=name, nodes=1, rest=True) as other:
        assert other.rest().address != sim.rest().address
        assert told(ask(other, f"{API}/nodes/", other.token()))["nodes"]
        for how in (ask, ask_socket):
            assert how(other, f"{API}/nodes/", token)[0] == 511
            assert how(sim, f"{API}/nodes/", other.token())[0] == 511
    assert told(ask(sim, f"{API}/nodes/", token))["nodes"]


def test_publishes_port_on_loopback_only(sim: SlurmSim) -> None:
    """slurmrestd's port is published on 127.0.0.1 only, this machine's other addresses refuse it, and it is alone."""
    found = json.loads(docker("inspect", sim.container("slurmrestd")).stdout)[0]["NetworkSettings"]["Ports"]
    assert {one["HostIp"] for one in found.pop("6820/tcp")} == {"127.0.0.1"}
    assert not found
    assert not [part for part in PARTS if part != "slurmrestd" and docker("port", sim.container(part)).stdout]
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    assert own
    for address in own:
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection((address, urlsplit(sim.rest().address).port), timeout=5),
        ):
            pass


def test_jobs_reach_it_by_name(sim: SlurmSim) -> None:
    """slurmrestd answers at its name on every node, and there, too, it asks for a token."""
    address = urlsplit(sim.rest().inside)
    get = (
        f"exec 3<>/dev/tcp/{address.hostname}/{address.port}; printf 'GET {API}/nodes/ HTTP/1.1\r\nHost: x\r\n\r\n' >&3"
    )
    said = sim.exec("srun", "-N1", "bash", "-c", f"{get}; read -r line <&3; echo $line").stdout
    assert said.split()[1] == "401"


def test_munge_keeps_working(sim: SlurmSim) -> None:
    """Commands without a token, and jobs, authenticate as before; a user can make a token for itself only."""
    assert sim.exec("srun", "-N1", "id", "-un").stdout == "hpc\n"
    own = sim.exec("scontrol", "token", "lifespan=60").stdout.strip().removeprefix("SLURM_JWT=")
    assert told(ask(sim, f"{API}/nodes/", own))["nodes"]
    assert sim.exec("scontrol", "token", "username=root", check=False).returncode != 0


def test_slurmrestd_runs_unprivileged(sim: SlurmSim) -> None:
    """It runs as its own user, without any capability, and its container has neither of the keys."""
    seen = sim.exec(
        "sh", "-c", "cat /proc/$(pgrep -x slurmrestd)/status; id -un", on="slurmrestd", user="slurmrestd"
    ).stdout
    assert seen.endswith("slurmrestd\n")
    assert "CapBnd:\t0000000000000000" in seen
    keys = "ls -d /etc/slurm-jwt /etc/munge/munge.key"
    assert "jwt" not in sim.exec("sh", "-c", keys, on="slurmrestd", user="slurmrestd", check=False).stdout
    assert sim.exec("sh", "-c", keys, on="slurmrestd", user="slurmrestd", check=False).stdout == ""


def test_key_is_private(sim: SlurmSim, token: str) -> None:
    """The key is a file of the controller that only slurm can read; it and tokens are in no setting, log or process."""
    path = "/etc/slurm-jwt/jwt_hs256.key"
    assert sim.exec("stat", "--format=%U %a", path, on="slurmctld").stdout == "slurm 400\n"
    assert "Permission denied" in sim.exec("cat", path, on="slurmctld", check=False).stderr
    for part in ("login", "c1", "slurmrestd"):
        assert sim.exec("ls", path, on=part, user="root", check=False).returncode != 0
    shown = sim.exec("base64", "--wrap=0", path, on="slurmctld", user="slurm").stdout
    key = base64.b64decode(shown)
    assert len(key) >= 32
    told(ask(sim, f"{API}/nodes/", token))
    told(ask_socket(sim, f"{API}/nodes/", token))
    look = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | base64 --wrap=0"
    images = [docker("inspect", "--format={{.Image}}", sim.container(part)).stdout.strip() for part in PARTS]
    seen = docker("inspect", *map(sim.container, PARTS), *images).stdout.encode()
    seen += "".join(sim.logs(part, lines=10000) for part in PARTS).encode()
    for part in PARTS:
        for user in ("root", "slurm", *["slurmrestd"] * (part == "slurmrestd")):
            seen += base64.b64decode(sim.exec("sh", "-c", look, on=part, user=user).stdout)
    longest = max(key.split(b"\0"), key=len)  # arguments and variables end at the first zero byte
    for secret in (longest, key.hex().encode(), shown.encode(), token.encode()):
        assert secret not in seen


def test_tokens_outlive_restarts(sim: SlurmSim, token: str) -> None:
    """A token is valid after a restart of the controller, and of the whole mini-cluster."""
    sim.fault("controller-restarted")
    until(lambda: ask(sim, f"{API}/nodes/", token)[0] == 200, "the controller's return")
    assert docker("stop", *map(sim.container, PARTS)).returncode == 0
    done = slurm_sim_command("up", "--name", sim.name, "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["rest"]["address"] == sim.rest().address
    for how in (ask, ask_socket):
        assert told(how(sim, f"{API}/nodes/", token))["nodes"]


@pytest.mark.parametrize("how", [("kill",), ("rm", "--force")])
def test_up_restarts_slurmrestd(sim: SlurmSim, token: str, how: tuple[str, ...]) -> None:
    """`status` and `token --json` report that slurmrestd is missing; `up` brings it back, with its socket."""
    assert docker(*how, sim.container("slurmrestd")).returncode == 0
    state = "exited" if how == ("kill",) else "removed"
    said = slurm_sim_command("status", "--name", sim.name)
    assert f"{state}: slurmrestd" in (said.stdout + said.stderr).decode()
    assert f"{state}: slurmrestd" in refused("token", "--name", sim.name, "--json", status=1)
    with pytest.raises(NotRunningError, match="partly stopped"):
        sim.rest()
    done = slurm_sim_command("up", "--name", sim.name)
    assert done.returncode == 0, done.stderr.decode()
    for ways in (ask, ask_socket):
        assert told(ways(sim, f"{API}/nodes/", token))["nodes"]


def test_reports_slurmrestd_that_hangs(sim: SlurmSim) -> None:
    """`status` reports an slurmrestd that is stopped by a signal, and works otherwise."""
    sim.exec("sh", "-c", "kill -STOP $(pgrep -x slurmrestd)", on="slurmrestd", user="slurmrestd")
    try:
        told_status = json.loads(slurm_sim_command("status", "--name", sim.name, "--json").stdout)
    finally:
        sim.exec("sh", "-c", "kill -CONT $(pgrep -x slurmrestd)", on="slurmrestd", user="slurmrestd")
    assert told_status["rest"]["error"].startswith("slurmrestd does not answer.")
    assert [node["name"] for node in told_status["nodes"]] == ["c1"]


def test_documented_curl_commands(sim: SlurmSim, root: Path) -> None:
    """The commands of the documentation work in a shell, with the port that `status` shows."""
    page = (root / "docs/complete-slurm.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```text\n(export SLURM_JWT=.*?)```", page, re.DOTALL)
    port = str(urlsplit(sim.rest().address).port)
    own = {"SLURM_SIM_NAME": sim.name, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "no_proxy": "*"}
    commands = ["bash", "-euo", "pipefail", "-c", block.replace("PORT", port)]
    done = subprocess.run(commands, env=os.environ | own, capture_output=True, check=True, timeout=60)
    assert "jobs" in json.loads(done.stdout)


def test_documented_program(sim: SlurmSim, root: Path) -> None:
    """The request of the documentation's program runs a job; here, in the mini-cluster of these tests."""
    page = (root / "docs/complete-slurm.md").read_text(encoding="utf-8")
    (program,) = [one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "rest=True" in one]
    body = textwrap.dedent(program.partition(" as sim:\n")[2])
    done = io.StringIO()
    with contextlib.redirect_stdout(done):
        exec(program.partition("with SlurmSim")[0] + body, {"sim": sim})
    assert done.getvalue() == "COMPLETED\n"


def test_token_command(sim: SlurmSim) -> None:
    """`token` prints the token alone; `--json` adds its user, its end and the addresses."""
    said = slurm_sim_command("token", "--name", sim.name)
    assert said.stderr == b""
    assert told(ask(sim, f"{API}/nodes/", said.stdout.decode().removesuffix("\n")))["nodes"]
    done = slurm_sim_command("token", "--name", sim.name, "--user", "root", "--lifetime", "60", "--json")
    found = json.loads(done.stdout)
    rest = sim.rest()
    left = datetime.fromisoformat(found.pop("expires")) - datetime.now(UTC)
    assert 40 < left.total_seconds() <= 60
    told(ask(sim, f"{API}/nodes/", found.pop("token")))
    assert found == {
        "user": "root",
        "address": rest.address,
        "socket": rest.socket,
        "openapi": f"{rest.address}/openapi/v3",
    }


def test_status_shows_address(sim: SlurmSim) -> None:
    """`status` shows the address and the versions, but no token."""
    rest = sim.rest()
    said = slurm_sim_command("status", "--name", sim.name).stdout.decode()
    assert f"{rest.address} (v0.0.42, " in said
    assert rest.socket in said
    found = json.loads(slurm_sim_command("status", "--name", sim.name, "--json").stdout)["rest"]
    assert found == {
        "address": rest.address,
        "inside": "http://slurmrestd:6820",
        "socket": rest.socket,
        "versions": rest.versions,
    }


@pytest.mark.parametrize("user", ["nobody-here", "", "-u", "hpc lifespan=9"])
def test_rejects_unknown_user(sim: SlurmSim, user: str) -> None:
    """A token for a user that does not exist is refused, though Slurm would sign it."""
    assert f"Unknown user {user!r}." in refused("token", "--name", sim.name, f"--user={user}")
    with pytest.raises(SpecError, match="Unknown user"):
        sim.token(user)


@pytest.mark.parametrize(
    ("lifetime", "said"),
    [
        ("0", "between 1 and 2147483646, not 0"),
        ("-3", "not -3"),
        ("99999999999", "not 99999999999"),
        ("x", "'x' is not"),
    ],
)
def test_rejects_invalid_lifetime(sim: SlurmSim, lifetime: str, said: str) -> None:
    """A lifetime is a positive number of seconds that Slurm accepts."""
    assert said in refused("token", "--name", sim.name, f"--lifetime={lifetime}")


def test_accounting_paths_need_accounting(sim: SlurmSim, token: str) -> None:
    """Without accounting, slurmrestd does not know the paths below /slurmdb."""
    status, body = ask(sim, "/slurmdb/v0.0.42/jobs/", token)
    assert status == 404
    assert "Unable find requested URL" in body


def test_accounting_paths_with_accounting(name: str) -> None:
    """With accounting, the paths below /slurmdb know ended jobs: slurmdbd accepts the same tokens."""
    with SlurmSim(name=name, nodes=1, rest=True, accounting=True) as sim:
        token = sim.token()
        number = submit(sim, token, "true", standard_output="/dev/null")
        assert sim.job(number).wait(timeout=60).state == "COMPLETED"
        path = f"/slurmdb/v0.0.42/job/{number}"

        def recorded() -> bool:  # slurmdbd hears of a job's end a moment later
            (record,) = told(ask(sim, path, token))["jobs"] or [{"state": {"current": []}}]
            return bool(record["state"]["current"] == ["COMPLETED"])

        until(recorded, "the job's record", timeout=30)
        assert told(ask(sim, "/slurmdb/v0.0.42/jobs/", token))["jobs"]
        for how in (ask, ask_socket):
            assert how(sim, "/slurmdb/v0.0.42/jobs/")[0] == 401
            assert how(sim, "/slurmdb/v0.0.42/jobs/", "x.y.z")[0] != 200


def test_start_needs_answer() -> None:
    """A start fails if slurmrestd does not answer, with its log."""
    sim = SlurmSim(name=new_name(), rest=True)
    with pytest.raises(StartError, match="slurmrestd does not answer"), _rest.awaited(sim.engine, sim.spec, 5):
        pass


def test_mini_cluster_without_rest(name: str) -> None:
    """Without --rest, no slurmrestd, key or socket exists; `status` shows no address, `token` says how to get one."""
    with SlurmSim(name=name, nodes=1) as plain:
        assert not [line for line in left_of(name) if line.split()[1].endswith(("slurmrestd-1", "_jwt", "_rest"))]
        assert json.loads(slurm_sim_command("status", "--name", name, "--json").stdout)["rest"] is None
        said = refused("token", "--name", name, status=1)
        assert f"Mini-cluster {name!r} has no REST API.\nWhat to do: start one with 'slurm-sim up --rest'" in said
        for use in (plain.rest, plain.token):
            with pytest.raises(NotRunningError, match="has no REST API"):
                use()
        assert "AuthAltTypes            = (null)" in plain.exec("scontrol", "show", "config").stdout
