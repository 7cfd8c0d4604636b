"""Install environments from small channels."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from containers.channel.conda import File
from tests.support import tiny

TRACEBACK = "Traceback"


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Path, Path]:
    """Make a channel and its lock."""
    channel = tiny.channel(tmp_path / "channel")
    lock = tmp_path / "tiny.lock"
    assert tiny.lock(channel, lock).returncode == 0
    return channel, lock


def refused(done: subprocess.CompletedProcess[str], prefix: Path, *said: str) -> None:
    """Assert one clear message, and no leftover files."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert TRACEBACK not in done.stderr
    for text in (*said, "seen:", "to do:"):
        assert text in done.stderr, done.stderr
    assert not prefix.exists()
    assert not list(prefix.parent.glob(f".{prefix.name}*"))


def test_installs_packages_and_identity(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """An installed environment has its packages' files and an identity that lists them."""
    channel, lock = locked
    prefix = tmp_path / "opt" / "env"
    done = tiny.install(lock, prefix, "--channel", channel)
    assert done.returncode == 0, done.stderr
    assert (prefix / "lib/python3.13/site-packages/tool.py").read_text() == "version = '1.0'\n"
    assert json.loads((prefix / "share/dask-hpc/env.json").read_text()) == {
        "schema": 1,
        "lock_sha256": tiny.sha256(lock),
        "channel": "file:///channel/",
        "platform": "linux-64",
        "drifted": False,
        "drift": [],
        "packages": {"python": "3.13.5", "tool": "1.0"},
    }
    assert list(prefix.parent.iterdir()) == [prefix]


def test_compiles_to_unchecked_bytecode(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """Modules are compiled under their final path, and never checked against their source again."""
    prefix = tmp_path / "env"
    tiny.install(locked[1], prefix, "--channel", locked[0])
    (compiled,) = (prefix / "lib/python3.13/site-packages/__pycache__").glob("tool.*.pyc")
    data = compiled.read_bytes()
    assert int.from_bytes(data[4:8], "little") == 0b01
    assert str(prefix / "lib/python3.13/site-packages/tool.py").encode() in data


def test_installs_same_files_from_same_lock(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """Two installations to one prefix are the same, byte for byte."""
    prefix = tmp_path / "env"
    trees = []
    for name in ("first", "second"):
        assert tiny.install(locked[1], prefix, "--channel", locked[0]).returncode == 0
        trees.append(tiny.tree(prefix))
        prefix.rename(tmp_path / name)
    assert trees[0] == trees[1]


def test_rejects_tampered_package(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A package with other bytes is rejected before anything is unpacked, with its name and both hashes."""
    channel, lock = locked
    package = next(channel.glob("linux-64/tool-*.conda"))
    before = tiny.sha256(package)
    package.write_bytes(package.read_bytes() + b"\0")
    done = tiny.install(lock, tmp_path / "env", "--channel", channel)
    refused(done, tmp_path / "env", package.name, before, tiny.sha256(package))


def test_names_missing_package(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A missing package is named, with its expected path."""
    package = next(locked[0].glob("linux-64/tool-*.conda"))
    package.unlink()
    refused(tiny.install(locked[1], tmp_path / "env", "--channel", locked[0]), tmp_path / "env", str(package))


def test_rejects_lock_of_other_platform(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A lock for another platform is rejected, and both platforms are named."""
    channel, lock = locked
    lock.write_text(lock.read_text().replace("linux-64", "osx-arm64"))
    refused(tiny.install(lock, tmp_path / "env", "--channel", channel), tmp_path / "env", "linux-64", "osx-arm64")


@pytest.mark.parametrize("text", [None, "", "numpy==2.5\n", "version: 7\n", "version: 99\nplatforms: []\n", "\0\1"])
def test_rejects_bad_lock(tmp_path: Path, text: str | None) -> None:
    """A missing or invalid lock is rejected by name."""
    lock = tmp_path / "bad.lock"
    if text is not None:
        lock.write_text(text)
    refused(tiny.install(lock, tmp_path / "env"), tmp_path / "env", "bad.lock")


def test_rejects_lock_without_hashes(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A lock without hashes is rejected."""
    lines = locked[1].read_text().splitlines(keepends=True)
    locked[1].write_text("".join(line for line in lines if "sha256" not in line))
    refused(tiny.install(locked[1], tmp_path / "env", "--channel", locked[0]), tmp_path / "env", "no sha256")


def test_leaves_existing_prefix_alone(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A prefix that is not empty is rejected and stays as it was."""
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine").touch()
    done = tiny.install(locked[1], tmp_path / "env", "--channel", locked[0])
    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert [p.name for p in (tmp_path / "env").iterdir()] == ["mine"]


@pytest.fixture
def newer(tmp_path: Path, locked: tuple[Path, Path]) -> Path:
    """Make a drifted copy of the channel: another build of Python, and drift.json."""
    python, _ = tiny.packages(python="deb_2")
    old = tiny.packages()[1]
    channel = tiny.channel(tmp_path / "newer", [python, old])
    package = next(locked[0].glob("linux-64/tool-*.conda"))
    (channel / "linux-64" / package.name).write_bytes(package.read_bytes())
    drift = [{"package": "python3.13", "locked": "3.13.5-1", "installed": "3.13.5-2"}]
    (channel / "drift.json").write_text(json.dumps({"drift": drift}))
    return channel


def test_installs_and_reports_drift(tmp_path: Path, locked: tuple[Path, Path], newer: Path) -> None:
    """Debian's newer package is installed in place of the locked one, and the identity records it."""
    prefix = tmp_path / "env"
    done = tiny.install(locked[1], prefix, "--channel", newer)
    assert done.returncode == 0, done.stderr
    assert "python3.13 3.13.5-1 -> 3.13.5-2" in done.stdout
    identity = json.loads((prefix / "share/dask-hpc/env.json").read_text())
    assert identity["drifted"]
    assert identity["drift"][0]["installed"] == "3.13.5-2"
    assert (prefix / "conda-meta/python-3.13.5-deb_2.json").exists()


def test_locked_rejects_drift(tmp_path: Path, locked: tuple[Path, Path], newer: Path) -> None:
    """`--locked` rejects a channel that has drifted, and names the package."""
    done = tiny.install(locked[1], tmp_path / "env", "--channel", newer, "--locked")
    refused(done, tmp_path / "env", "3.13.5-1 -> 3.13.5-2")


def test_drift_does_not_excuse_wheels(tmp_path: Path, locked: tuple[Path, Path], newer: Path) -> None:
    """A wheel's package with other bytes is rejected, even in a drifted channel."""
    package = next(newer.glob("linux-64/tool-*.conda"))
    package.write_bytes(b"other")
    refused(tiny.install(locked[1], tmp_path / "env", "--channel", newer), tmp_path / "env", package.name)


def test_checks_drifted_package_against_index(tmp_path: Path, locked: tuple[Path, Path], newer: Path) -> None:
    """Debian's newer package must match the channel's index."""
    package = next(newer.glob("linux-64/python-*.conda"))
    package.write_bytes(b"no package at all")
    refused(tiny.install(locked[1], tmp_path / "env", "--channel", newer), tmp_path / "env", package.name, "sha256")


def test_reports_full_disk(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """On a full disk the error says so, and no partial files remain."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        done = tiny.install(locked[1], small / "env", "--channel", locked[0])
        refused(done, small / "env", "No space left on device", "make room")
    finally:
        subprocess.run(["umount", small], check=True)


def test_rejects_prefix_below_file(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """A prefix below a file is rejected."""
    (tmp_path / "file").touch()
    done = tiny.install(locked[1], tmp_path / "file" / "env", "--channel", locked[0])
    assert done.returncode == 1
    assert "cannot read or write" in done.stderr
    assert TRACEBACK not in done.stderr


def test_removes_partial_installation_on_sigterm(tmp_path: Path, locked: tuple[Path, Path]) -> None:
    """An installation that is stopped removes what it has written."""
    python, tool = tiny.packages()
    slow = File(
        b"#!/bin/sh\necho compiling >&2\ntouch $(dirname $0)/../../../started\nexec sleep 60\n", executable=True
    )
    python.contents["bin/python"] = slow
    channel = tiny.channel(tmp_path / "slow", [python, tool])
    lock = tmp_path / "slow.lock"
    tiny.lock(channel, lock)
    (tmp_path / "opt").mkdir()
    script = [sys.executable, "containers/dask-hpc/install_env.py", "--lock", str(lock), "--channel", str(channel)]
    with subprocess.Popen([*script, "--prefix", str(tmp_path / "opt/env")], cwd=tiny.ROOT) as process:
        while not (tmp_path / "opt/started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        assert process.wait(30) == 143
    assert [p.name for p in (tmp_path / "opt").iterdir()] == ["started"]


def test_rejects_tampered_package_over_http(tmp_path: Path) -> None:
    """A downloaded package is checked like a local one."""
    channel = tiny.channel(tmp_path / "channel")
    lock = tmp_path / "http.lock"
    with tiny.served(channel) as url:
        tiny.lock(url, lock)
        next(channel.glob("linux-64/tool-*.conda")).write_bytes(b"other")
        done = tiny.install(lock, tmp_path / "env")
    assert done.returncode == 1
    assert "tool-1.0-py313_0.conda differs from the locked package" in done.stderr
    assert not (tmp_path / "env").exists()


def test_names_unreachable_server(tmp_path: Path) -> None:
    """The error names the unreachable server, and suggests `--channel DIR`, which works without it."""
    channel = tiny.channel(tmp_path / "channel")
    lock = tmp_path / "http.lock"
    with tiny.served(channel) as url:
        tiny.lock(url, lock)
    done = tiny.install(lock, tmp_path / "env")
    assert done.returncode == 1
    assert url in done.stderr
    assert "--channel DIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert tiny.install(lock, tmp_path / "env", "--channel", channel).returncode == 0
