"""Find Slurm's REST API, and make the tokens that it asks for."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from slurm_sim._docker import checked, docker, start_docker
from slurm_sim._engine import Engine
from slurm_sim.config import USER
from slurm_sim.errors import NotRunningError, SpecError, StartError
from slurm_sim.spec import Spec, check_count

SOCKET = "/run/slurmrestd/slurmrestd.sock"
"""slurmrestd's socket on the login node; it asks for a token, too."""

HOUR = 3600
"""Lifetime of a token in seconds, if none is given."""

_SERVICE = "slurmrestd"
_PORT = "6820/tcp"
_ANSWERS = "slurmrestd-healthcheck && slurmrestd -d list"
_VERSION = "data_parser/"
# No event says that a server has begun to answer.
_AWAIT = "until slurmrestd-healthcheck 2>/dev/null; do sleep 0.1; done"
_SIGN = 'name=$(id -un -- "$1") || exit 3; exec scontrol token "username=$name" "lifespan=$2"'
_UNKNOWN_USER = 3
_LONGEST = 2**31 - 2  # Slurm's own limit


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """Where a mini-cluster's REST API answers.

    Attributes:
        address: URL on the loopback of the engine's host, without a path; it changes when the mini-cluster restarts.
        inside: URL for the login node, for jobs and for other programs in the mini-cluster.
        socket: Unix socket on the login node.
        versions: API versions, the newest first: `v0.0.42` in `/slurm/v0.0.42/jobs`.
    """

    address: str
    inside: str
    socket: str
    versions: list[str]

    @property
    def openapi(self) -> str:
        """URL of the OpenAPI document; it asks for a token, too."""
        return f"{self.address}/openapi/v3"


@contextmanager
def awaited(engine: Engine, spec: Spec, timeout: float) -> Iterator[None]:
    """Wait, at the end of the block, until slurmrestd answers, if the spec includes it. Raises `StartError`.

    It is asked from the start of the block, which waits for other parts.
    """
    if not spec.rest:
        yield
        return
    ask = ["exec", engine.container(_SERVICE), "timeout", str(timeout), "bash", "-c", _AWAIT]
    with start_docker(*ask, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
        try:
            yield
            failed = asking.wait()
        finally:
            asking.kill()
    if failed:
        raise StartError("slurmrestd does not answer.", engine.logs(_SERVICE, 12))


def require(engine: Engine, spec: Spec) -> None:
    """Raise `NotRunningError` if a mini-cluster was started without the REST API."""
    if not spec.rest:
        what = f"Mini-cluster {engine.name!r} has no REST API."
        raise NotRunningError(what, todo="start one with 'slurm-sim up --rest', under another name.")


def find(engine: Engine) -> Rest:
    """Return where a mini-cluster's REST API answers. Raises `NotRunningError` if it does not."""
    asked = engine.run(_SERVICE, "sh", "-c", _ANSWERS)
    port = docker("port", engine.container(_SERVICE), _PORT).stdout.rpartition(":")[2].strip()
    if asked.returncode or not port:
        raise NotRunningError("slurmrestd does not answer.", asked.stderr, "'slurm-sim logs slurmrestd' shows its log.")
    versions = [line.removeprefix(_VERSION) for line in asked.stdout.split() if line.startswith(_VERSION)]
    return Rest(
        address=f"http://127.0.0.1:{port}",
        inside=f"http://{_SERVICE}:{_PORT.partition('/')[0]}",
        socket=SOCKET,
        versions=sorted(versions, key=lambda version: [int(part) for part in version[1:].split(".")], reverse=True),
    )


def token(engine: Engine, user: str = USER, lifetime: int = HOUR) -> str:
    """Have the controller sign a token for a user. Raises `SpecError` for an unknown user or an invalid lifetime."""
    check_count("The lifetime of a token in seconds", lifetime, _LONGEST)
    done = engine.run("slurmctld", "sh", "-c", _SIGN, "token", user, str(lifetime), user="root")
    if done.returncode == _UNKNOWN_USER:
        raise SpecError(f"Unknown user {user!r}.", done.stderr, "use a user of the mini-cluster, such as hpc.")
    return checked(["scontrol", "token", f"username={user}"], done).stdout.strip().removeprefix("SLURM_JWT=")


class Claims(msgspec.Struct, frozen=True):
    """The readable part of a token: its user and its end, in seconds since 1970."""

    sun: str
    exp: int

    @property
    def expires(self) -> datetime:
        """When the token expires."""
        return datetime.fromtimestamp(self.exp, UTC)


def claims(signed: str) -> Claims:
    """Read a token, without checking its signature."""
    payload = signed.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Claims)
