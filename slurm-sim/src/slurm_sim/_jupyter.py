"""JupyterLab on the login node: started with it, found here. What it serves is its image's affair."""

from __future__ import annotations

import getpass
import http.client
import socket
import urllib.parse
import urllib.request

import msgspec

from slurm_sim._docker import docker
from slurm_sim._engine import USER, Engine
from slurm_sim.errors import NotRunningError, SpecError, StartError

# The image's side: a healthcheck, the token's file, a port, and a label that names further pages behind that port.
_PORT = "8888/tcp"
_ANSWERS = "jupyter-healthcheck && cat /run/jupyter/token"
_PAGES = '{{index .Config.Labels "io.slurm-sim.pages"}}'
# Nothing tells when a server has begun to answer.
_AWAIT = "until jupyter-healthcheck 2>/dev/null; do pgrep -f '[j]upyter-lab' >/dev/null || exit 3; sleep 0.1; done"
_ENDED = 3
_REACH_SECONDS = 5


class Jupyter(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of JupyterLab.

    Attributes:
        address: on the loopback of the engine's host, with the token that lets one in.
        pages: further addresses behind the same port, by what they show.
        tunnel: the command that makes these addresses work on another machine.
        elsewhere: the engine's host, if these addresses are not reached from here without the tunnel; else "".
    """

    address: str
    pages: dict[str, str]
    tunnel: str
    elsewhere: str = ""


def check(*, bare: bool, image: str | None) -> None:
    """Raise `SpecError` for what JupyterLab cannot be had with: its image is the login node's."""
    if bare:
        raise SpecError("Bare nodes have no JupyterLab, nor what it would run.", todo="leave out --bare, or --jupyter.")
    if image:
        todo = "leave out --image ($SLURM_SIM_IMAGE), or build JupyterLab into it."
        raise SpecError("JupyterLab is in an image of its own.", f"the image {image}", todo)


def await_answer(engine: Engine, timeout: float) -> None:
    """Return when it answers. Raises `StartError` with its last words."""
    done = engine.run("login", "timeout", str(timeout), "bash", "-c", _AWAIT, user=USER)
    if done.returncode:
        what = "ended as it started" if done.returncode == _ENDED else f"did not answer within {timeout:.0f} s"
        raise StartError(f"JupyterLab {what}.", engine.logs("login", 12))


def find(engine: Engine) -> Jupyter:
    """Return where the JupyterLab of a mini-cluster is. Raises `NotRunningError` if it does not answer."""
    container = engine.container("login")
    token = engine.run("login", "sh", "-c", _ANSWERS, user=USER)
    port = docker("port", container, _PORT).stdout.rpartition(":")[2].strip()
    if token.returncode or not port:
        raise NotRunningError("JupyterLab does not answer.", token.stderr, "'slurm-sim logs login' has its log.")
    pages = msgspec.json.decode(docker("inspect", "--format", _PAGES, container).stdout or "{}", type=dict[str, str])
    root = f"http://127.0.0.1:{port}"
    query = f"?token={token.stdout.strip()}"
    here = _answers(f"{root}/api/status{query}")
    login = f"{getpass.getuser()}@{socket.gethostname()}" if here else _engine_login()
    return Jupyter(
        address=f"{root}/lab{query}",
        pages={title: f"{root}/{path}{query}" for title, path in pages.items()},
        tunnel=f"ssh -L {port}:127.0.0.1:{port} {login}",
        elsewhere="" if here else login.rpartition("@")[2].split()[0],
    )


def _answers(address: str) -> bool:
    """Return whether this process reaches it: the engine may be on another host, or this process in a container."""
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(address, timeout=_REACH_SECONDS) as answer:
            return bool(answer.status == http.client.OK)
    except (OSError, http.client.HTTPException):  # also what another server on that port says of the token
        return False


def _engine_login() -> str:
    """Return what ssh needs to reach the engine's host, as the client's context and $DOCKER_HOST say."""
    endpoint = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()
    where = urllib.parse.urlsplit(endpoint)
    if not where.hostname:  # a socket: this is a container on the engine's host
        return f"USER@{docker('info', '--format', '{{.Name}}').stdout.strip()}"
    if where.scheme != "ssh":
        return f"USER@{where.hostname}"
    return f"{where.username or 'USER'}@{where.hostname}" + (f" -p {where.port}" if where.port else "")
