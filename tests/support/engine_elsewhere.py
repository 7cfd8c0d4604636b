"""An engine on another host, over TCP, over ssh, and from a container that shares no file with it."""

from __future__ import annotations

import io
import shutil
import socket
import socketserver
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slurm_sim._docker import Completed, docker
from tests.support.bridge_site import executable

SOCKET = "/var/run/docker.sock"
CHECKOUT = "/only-in-the-client/checkout"
SITE = "/only-in-the-client/site"
PLUGINS = "/usr/libexec/docker/cli-plugins"


class _Connection(socketserver.BaseRequestHandler):
    """Pass bytes both ways, and each side's end of file to the other."""

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.open.append(self.request)
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(SOCKET)
            answer = threading.Thread(target=_pass, args=(engine, self.request), daemon=True)
            answer.start()
            _pass(self.request, engine)
            answer.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # the other side has closed the connection
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.open: list[socket.socket] = []


@contextmanager
def engine_on_tcp() -> Iterator[str]:
    """Forward a TCP port to the engine's socket, and break its connections at the end; yield the DOCKER_HOST."""
    with _Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.socket.close()
        for connection in server.open:
            with suppress(OSError):  # it has ended
                connection.shutdown(socket.SHUT_RDWR)


def ssh_to_here(folder: Path) -> Path:
    """Make an `ssh` that runs its command on this host, regardless of the host given; return its folder, for PATH."""
    program = (
        f'#!/bin/sh\nwhile [ "$1" != docker ]; do shift; done\nunset DOCKER_HOST\necho ssh >>{folder}/used\nexec "$@"\n'
    )
    executable(folder / "ssh", program)
    return folder


def client_container(name: str, image: str, root: Path, wheel: Path, folder: Path) -> None:
    """Start a container that has the engine's socket, its client, a copy of the checkout, and the wheel installed.

    It shares no file with the engine's host, so all files must go through the engine.
    """
    uv = Path(sys.executable).with_name("uv")
    target = ("--target", folder / "site", "--python-version", "3.13", "--only-binary", ":all:")
    subprocess.run([uv, "pip", "install", "--quiet", *target, wheel], check=True, timeout=100)
    socket_only = ("--volume", f"{SOCKET}:{SOCKET}")
    options = ("--detach", "--init", "--user", "root", "--workdir", "/tmp", *socket_only, "--entrypoint", "tail")
    started = docker("run", "--name", name, *options, image, "-f", "/dev/null")
    assert started.returncode == 0, started.stderr
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for part in ("compose", "containers", "slurm-sim", "versions.env", "Makefile"):
            tar.add(root / part, arcname=f"{CHECKOUT}/{part}")
        tar.add(folder / "site", arcname=SITE)
        tar.add(Path(shutil.which("docker") or "").resolve(), arcname="/usr/local/bin/docker")
        for plugin in Path(PLUGINS).iterdir():
            tar.add(plugin.resolve(), arcname=f"{PLUGINS}/{plugin.name}")
    copied = docker("cp", "-", f"{name}:/", stdin=packed.getvalue())
    assert copied.returncode == 0, copied.stderr


def from_client(name: str, *arguments: str, checkout: bool = True, user: str = "root") -> Completed:
    """Run `slurm-sim` in the client's container, from the copied checkout or from the installed wheel."""
    path = f"{CHECKOUT}/slurm-sim/src:{SITE}" if checkout else SITE
    code = "from slurm_sim._cli import main; main()"
    return docker("exec", f"--env=PYTHONPATH={path}", f"--user={user}", name, "python3", "-c", code, *arguments)
