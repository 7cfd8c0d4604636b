"""Write the files for ssh to a login node: its own key, the host's key, and ssh's configuration.

They belong to this user on this host. Another host, or another user of the engine, gets another key.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim._found import name_option
from slurm_sim._jupyter import engine_login
from slurm_sim.config import USER
from slurm_sim.errors import NotRunningError, SpecError
from slurm_sim.spec import Spec

_PORT = "2222/tcp"
_AUTHORIZE = "/usr/local/lib/slurm-sim/authorize"
_REACH_SECONDS = 5

_CONFIG = """\
# ssh to the login node of mini-cluster {name}, as {user} or as USER@login. Written by 'slurm-sim ssh-config'.
Host login
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile "{folder}/id_ed25519"
  IdentitiesOnly yes
  IdentityAgent none
  HostKeyAlias {name}
  UserKnownHostsFile "{folder}/known_hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  PreferredAuthentications publickey
"""


def write_config(engine: Engine, spec: Spec) -> Path:
    """Write the files for this mini-cluster, and return the path of ssh's configuration.

    The key is kept while the mini-cluster knows it. The port may be another one after each start.

    Raises:
        SpecError: The mini-cluster was started without ssh.
        NotRunningError: The login node is not running, or its sshd is not.
    """
    if not spec.ssh:
        option = name_option(spec.name)
        todo = f"'slurm-sim down{option}' removes it, 'slurm-sim up{option} --ssh' starts one with ssh."
        raise SpecError(f"Mini-cluster {spec.name!r} was started without ssh.", todo=todo)
    engine.require("login")
    folder = _folders(spec.name)[0]
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)  # one that was left behind may have another mode
    with _locked(folder):
        key = folder / "id_ed25519"
        public = folder / "id_ed25519.pub"
        known = public.read_text(encoding="utf-8") if key.exists() and public.exists() else ""
        done = engine.run("login", _AUTHORIZE, user="root", stdin=known.encode() or b"\n")
        if done.returncode:
            raise NotRunningError("sshd does not answer.", done.stderr, "'slurm-sim logs login' shows its log.")
        host, public_key, private_key = _parts(done.stdout)
        if private_key:
            _write(public, public_key)
            _write(key, private_key)
        port = _port(engine)
        # By address, too: paramiko ignores HostKeyAlias.
        _write(folder / "known_hosts", f"{spec.name},[127.0.0.1]:{port} {host}")
        escaped = str(folder).replace("%", "%%")
        _write(folder / "config", _CONFIG.format(name=spec.name, user=USER, port=port, folder=escaped))
    return folder / "config"


def tunnel(engine: Engine) -> str:
    """Return the ssh command that brings the port here, if the engine is on another machine; else ""."""
    port = _port(engine)
    return "" if _answers(port) else f"ssh -N -L {port}:127.0.0.1:{port} {engine_login()}"


def forget(name: str) -> None:
    """Remove the files of a mini-cluster that was removed."""
    for folder in _folders(name):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(name: str) -> list[Path]:
    """Return the folders that may hold a mini-cluster's files; the first is the one to use."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    parents = [runtime, state] if runtime and Path(runtime).is_dir() else [state]
    return [Path(parent) / "slurm-sim" / name for parent in parents]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let only one process at a time change a folder."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a reader finds the old one or the new one."""
    file, new = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(text)
    Path(new).replace(path)


def _parts(said: str) -> tuple[str, str, str]:
    """Return the host's public key, and the two keys of a new pair, or "" if there is no new one."""
    host, _, pair = said.partition("\n")
    public, _, private = pair.partition("\n")
    return f"{host}\n", f"{public}\n", private


def _port(engine: Engine) -> str:
    published = docker("port", engine.container("login"), _PORT).stdout.splitlines()
    if not published:
        raise NotRunningError("The port of sshd is not published.", todo="'slurm-sim logs login' shows its log.")
    return published[0].rpartition(":")[2].strip()


def _answers(port: str) -> bool:
    """Return whether an ssh server answers at this port of this host: the engine may be on another one."""
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=_REACH_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
