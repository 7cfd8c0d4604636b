"""The command `lock`: solve environment.yml against a channel."""

from pathlib import Path

import pytest

from tests.support import tiny


def test_locking_again_changes_nothing(tmp_path: Path) -> None:
    """Locking again changes no byte, and reports no changes."""
    channel = tiny.channel(tmp_path / "channel")
    lock = tmp_path / "tiny.lock"
    assert tiny.lock(channel, lock).returncode == 0
    before = lock.read_bytes()
    again = tiny.lock(channel, lock)
    assert "no changes, 2 packages" in again.stdout
    assert lock.read_bytes() == before


def test_lock_does_not_depend_on_folder(tmp_path: Path) -> None:
    """The same channel in two folders gives the same lock, which names only the mount point."""
    contents = tiny.packages()
    locks = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        lock = tmp_path / name / "tiny.lock"
        tiny.lock(tiny.channel(tmp_path / name / "channel", contents), lock)
        locks.append(lock.read_text())
    assert locks[0] == locks[1]
    assert str(tmp_path) not in locks[0]


def test_shows_changed_versions(tmp_path: Path) -> None:
    """The table lists a changed package with its old and new version, and no unchanged package."""
    lock = tmp_path / "tiny.lock"
    python, tool = tiny.packages()
    tiny.lock(tiny.channel(tmp_path / "old", [python, tool]), lock)
    said = tiny.lock(tiny.channel(tmp_path / "new", [python, tiny.packages("2.0")[1]]), lock).stdout
    (row,) = [line.split("│")[1:4] for line in said.splitlines() if "│" in line]
    assert [cell.strip() for cell in row] == ["tool", "1.0 py313_0", "2.0 py313_0"]


def test_shows_rebuilt_package(tmp_path: Path) -> None:
    """A package with the same version and other bytes is shown with its new hash."""
    lock = tmp_path / "tiny.lock"
    tiny.lock(tiny.channel(tmp_path / "old"), lock)
    new = tiny.channel(tmp_path / "new")
    said = tiny.lock(new, lock).stdout
    digest = tiny.sha256(next(new.glob("linux-64/tool-*.conda")))
    (row,) = [line.split("│")[1:4] for line in said.splitlines() if "│" in line]
    assert [cell.strip() for cell in row] == ["tool", "1.0 py313_0", f"1.0 py313_0 (sha256 {digest[:8]}…)"]


def test_locks_every_hash(tmp_path: Path) -> None:
    """Each package in a lock has a sha256, and none has the time when it was indexed."""
    lock = tmp_path / "tiny.lock"
    tiny.lock(tiny.channel(tmp_path / "channel"), lock)
    assert lock.read_text().count("  sha256: ") == 2
    assert "indexed_timestamp" not in lock.read_text()


def test_locks_and_installs_http_channel(tmp_path: Path) -> None:
    """A channel behind HTTP is locked and installed by the same two commands."""
    with tiny.served(tiny.channel(tmp_path / "channel")) as url:
        lock = tmp_path / "http.lock"
        done = tiny.lock(url, lock)
        assert done.returncode == 0, done.stderr
        assert f"{url}linux-64/tool-1.0-py313_0.conda" in lock.read_text()
        done = tiny.install(lock, tmp_path / "env")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "env/lib/python3.13/site-packages/tool.py").exists()
    assert f'"channel": "{url}"' in (tmp_path / "env/share/dask-hpc/env.json").read_text()


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/", "/nowhere"])
def test_names_unreachable_channel(tmp_path: Path, where: str) -> None:
    """A channel that cannot be read is named, and no lock is written."""
    done = tiny.lock(where, tmp_path / "x.lock")
    assert done.returncode == 1
    assert "cannot read the channel" in done.stderr
    assert where in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.lock").exists()


def test_names_package_missing_from_channel(tmp_path: Path) -> None:
    """A package that the channel lacks is named, and no lock is written."""
    lock = tmp_path / "tiny.lock"
    (tmp_path / "environment.yml").write_text(tiny.ENVIRONMENT + "  - unobtainium >=3\n")
    done = tiny.lock(tiny.channel(tmp_path / "channel"), lock)
    assert done.returncode == 1
    assert "unobtainium" in done.stderr
    assert "change environment.yml" in done.stderr
    assert not lock.exists()


@pytest.mark.parametrize("text", ["", "dependencies:\n", "name: x\ndependencies:\n  - pip:\n    - ./x\n"])
def test_rejects_bad_environment_yml(tmp_path: Path, text: str) -> None:
    """An environment.yml without packages, or with a package that is not on PyPI, is rejected."""
    (tmp_path / "environment.yml").write_text(text)
    done = tiny.lock(tiny.channel(tmp_path / "channel"), tmp_path / "x.lock")
    assert done.returncode == 1
    assert "cannot read" in done.stderr
    assert "Traceback" not in done.stderr
