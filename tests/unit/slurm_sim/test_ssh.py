"""Files for ssh on this host."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from slurm_sim import _ssh
from slurm_sim._engine import Engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home folder; no variable names other folders."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_folder_is_in_runtime_folder_or_state(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime folder comes first if it exists, then $XDG_STATE_HOME, then its default."""
    assert _ssh._folders("m") == [home / ".local/state/slurm-sim/m"]
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "missing"))
    assert _ssh._folders("m") == [home / "state/slurm-sim/m"]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert _ssh._folders("m") == [home / "slurm-sim/m", home / "state/slurm-sim/m"]


def test_forget_removes_all_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mini-cluster's files go from every folder; other mini-clusters keep theirs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    for folder in [*_ssh._folders("m"), *_ssh._folders("other")]:
        folder.mkdir(parents=True)
        _ssh._write(folder / "config", "x")
    _ssh.forget("m")
    _ssh.forget("missing")
    assert not any(folder.exists() for folder in _ssh._folders("m"))
    assert all((folder / "config").exists() for folder in _ssh._folders("other"))


def test_files_are_private(home: Path) -> None:
    """Files that are written, or written again, can only be read by their owner."""
    path = home / "key"
    path.write_text("old")
    path.chmod(0o644)
    _ssh._write(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new", 0o600)
    assert list(home.iterdir()) == [path]


def test_reads_keys_of_login_node() -> None:
    """The host's key comes first; a new pair follows, if there is one."""
    assert _ssh._parts("host\n") == ("host\n", "\n", "")
    assert _ssh._parts("host\npublic\nBEGIN\nx\nEND\n") == ("host\n", "public\n", "BEGIN\nx\nEND\n")


@pytest.mark.parametrize(
    ("greeting", "answers"), [(b"SSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)]
)
def test_recognizes_ssh_server(greeting: bytes, *, answers: bool) -> None:
    """Only an ssh server counts, not another program at the same port of this host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        server.settimeout(10)

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        assert _ssh._answers(port) is answers
        thread.join()
    assert not _ssh._answers(port)


def test_tunnel_is_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the port is not on this host, the advice is a tunnel to the engine's host."""
    monkeypatch.setattr(_ssh, "_port", lambda _engine: "1234")
    monkeypatch.setattr(_ssh, "engine_login", lambda: "me@far -p 2")
    monkeypatch.setattr(_ssh, "_answers", lambda _port: True)
    assert _ssh.tunnel(Engine("m")) == ""
    monkeypatch.setattr(_ssh, "_answers", lambda _port: False)
    assert _ssh.tunnel(Engine("m")) == "ssh -N -L 1234:127.0.0.1:1234 me@far -p 2"
