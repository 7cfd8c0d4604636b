"""Find JupyterLab on the login node, which starts it; its image decides what it serves."""

from __future__ import annotations

import getpass
import http.client
import socket
import urllib.parse
import urllib.request

import msgspec

from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim.config import USER
from slurm_sim.errors import NotRunningError, SpecError, StartError

# The image provides a healthcheck, the token's file, a port, and a label with more pages behind that port.
_PORT = "8888/tcp"
_ANSWERS = "jupyter-healthcheck && cat /run/jupyter/token"
_PAGES = '{{index .Config.Labels "io.slurm-sim.pages"}}'
# No event says that a server has begun to answer.
_AWAIT = "until jupyter-healthcheck 2>/dev/null; do pgrep -f '[j]upyter-lab' >/dev/null || exit 3; sleep 0.1; done"
_ENDED = 3
_REACH_SECONDS = 5


class Jupyter(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of JupyterLab.

    Attributes:
        address: URL on the loopback of the engine's host, with the access token.
        pages: URLs of other pages behind the same port, by title.
        tunnel: ssh command that makes these URLs work on another machine.
        elsewhere: the engine's host if this process needs the tunnel, too; else "".
    """

    address: str
    pages: dict[str, str]
    tunnel: str
    elsewhere: str = ""


def check(*, bare: bool, image: str | None) -> None:
    """Raise `SpecError` for options that exclude JupyterLab, whose image is the login node's."""
    if bare:
        what = "Bare nodes have no JupyterLab and no environment to run in it."
        raise SpecError(what, todo="leave out --bare or --jupyter.")
    if image:
        todo = "leave out --image (or unset SLURM_SIM_IMAGE), or build JupyterLab into it."
        raise SpecError("JupyterLab needs its own image.", f"the image {image}", todo)


def await_answer(engine: Engine, timeout: float) -> None:
    """Wait until JupyterLab answers. Raises `StartError` with the end of its log."""
    done = engine.run("login", "timeout", str(timeout), "bash", "-c", _AWAIT, user=USER)
    if done.returncode:
        what = "exited at startup" if done.returncode == _ENDED else f"did not answer within {timeout:.0f} s"
        raise StartError(f"JupyterLab {what}.", engine.logs("login", 12))


def find(engine: Engine) -> Jupyter:
    """Return the addresses of a mini-cluster's JupyterLab. Raises `NotRunningError` if it does not answer."""
    container = engine.container("login")
    token = engine.run("login", "sh", "-c", _ANSWERS, user=USER)
    port = docker("port", container, _PORT).stdout.rpartition(":")[2].strip()
    if token.returncode or not port:
        raise NotRunningError("JupyterLab does not answer.", token.stderr, "'slurm-sim logs login' shows its log.")
    pages = msgspec.json.decode(docker("inspect", "--format", _PAGES, container).stdout or "{}", type=dict[str, str])
    root = f"http://127.0.0.1:{port}"
    query = f"?token={token.stdout.strip()}"
    here = _answers(f"{root}/api/status{query}")
    login = f"{getpass.getuser()}@{socket.gethostname()}" if here else engine_login()
    return Jupyter(
        address=f"{root}/lab{query}",
        pages={title: f"{root}/{path}{query}" for title, path in pages.items()},
        tunnel=f"ssh -L {port}:127.0.0.1:{port} {login}",
        elsewhere="" if here else login.rpartition("@")[2].split()[0],
    )


def _answers(address: str) -> bool:
    """Return whether this process reaches an address: the engine may be remote, or this process in a container."""
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(address, timeout=_REACH_SECONDS) as answer:
            return bool(answer.status == http.client.OK)
    except (OSError, http.client.HTTPException):  # another server on that port rejects the token
        return False


def engine_login() -> str:
    """Return ssh's arguments for the engine's host, from the client's context and $DOCKER_HOST."""
    endpoint = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()
    where = urllib.parse.urlsplit(endpoint)
    if not where.hostname:  # a socket: this is a container on the engine's host
        return f"USER@{docker('info', '--format', '{{.Name}}').stdout.strip()}"
    if where.scheme != "ssh":
        return f"USER@{where.hostname}"
    return f"{where.username or 'USER'}@{where.hostname}" + (f" -p {where.port}" if where.port else "")
