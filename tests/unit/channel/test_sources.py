"""Build the channel with pip and apt, from a local index and a local mirror."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from containers.channel.errors import ChannelError
from containers.channel.sources import Deb, newest, read_lock
from tests.support import tiny

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt fetches Debian's packages: needs Debian")
HASH = "0" * 64
OLD = "3.13.5-1"
NEW = "3.13.5-2"


@dataclass
class Sources:
    """Committed files of a small channel, the index of its wheels, and the folder of its mirror."""

    folder: Path
    index: Path
    mirror: Path

    def env(self, debs: list[Path], **settings: str) -> dict[str, str]:
        """Return variables that give apt these packages and pip this index, without the machine's settings."""
        env = tiny.apt_mirror(self.mirror, debs)
        env = {name: value for name, value in env.items() if not name.startswith("PIP_")}
        return env | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)} | settings

    def build(self, out: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        """Run the build."""
        command = ["-m", "containers.channel", "build", "--sources", str(self.folder), "--locks", str(self.folder)]
        return tiny.run(*command, "--out", str(out), *options, env=env)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Make two wheels, and a debs.lock with the OLD version of Python."""
    made = Sources(tmp_path / "sources", tmp_path / "index", tmp_path / "mirror")
    made.folder.mkdir()
    made.index.mkdir()
    wheels = [tiny.wheel(made.index, "alpha", requires=("beta",)), tiny.wheel(made.index, "beta")]
    pins = [f"{w.name.split('-')[0]}==1.0 --hash=sha256:{tiny.sha256(w)}\n" for w in wheels]
    (made.folder / "wheels.txt").write_text("".join(pins))
    tiny.debs_lock(made.folder / "debs.lock", tiny.python_debs(tmp_path / "old", OLD))
    return made


def failed(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """Assert one clear message."""
    assert done.returncode == 1, done.stdout
    for text in (*said, "seen:", "to do:"):
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_builds_are_reproducible(tmp_path: Path, sources: Sources) -> None:
    """Two builds give the same channel, byte for byte, and report no drift."""
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    for name in ("one", "two"):
        done = sources.build(tmp_path / name, env)
        assert done.returncode == 0, done.stderr
    one = tiny.tree(tmp_path / "one")
    assert one == tiny.tree(tmp_path / "two")
    assert sorted(one) == [
        "linux-64/alpha-1.0-py313_0.conda",
        "linux-64/beta-1.0-py313_0.conda",
        "linux-64/python-3.13.5-deb_1.conda",
        "linux-64/repodata.json",
        "noarch/repodata.json",
    ]


def test_reports_drift_of_mirror(tmp_path: Path, sources: Sources) -> None:
    """A version that the mirror no longer has is replaced by the current one; both are reported."""
    env = sources.env(tiny.python_debs(tmp_path / "new", NEW))
    done = sources.build(tmp_path / "channel", env)
    assert done.returncode == 0, done.stderr
    assert f"python3.13-minimal: {OLD} -> {NEW}" in done.stdout
    drift = json.loads((tmp_path / "channel/drift.json").read_text())["drift"]
    assert {"package": "libpython3.13-stdlib", "locked": OLD, "installed": NEW} in drift
    assert (tmp_path / "channel/linux-64/python-3.13.5-deb_2.conda").exists()


def test_locked_rejects_drift(tmp_path: Path, sources: Sources) -> None:
    """`--locked` fails if the mirror has a newer version, and names both versions."""
    env = sources.env(tiny.python_debs(tmp_path / "new", NEW))
    failed(sources.build(tmp_path / "channel", env, "--locked"), f"python3.13-minimal {OLD} -> {NEW}", "make lock")
    assert not (tmp_path / "channel").exists()


def test_locked_accepts_locked_versions(tmp_path: Path, sources: Sources) -> None:
    """`--locked` builds while the mirror has the locked versions."""
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    assert sources.build(tmp_path / "channel", env, "--locked").returncode == 0


def test_rejects_deb_with_other_hash(tmp_path: Path, sources: Sources) -> None:
    """A locked version with another sha256 is rejected, not reported as drift."""
    text = (sources.folder / "debs.lock").read_text()
    digest = text.split()[-1]
    (sources.folder / "debs.lock").write_text(text.replace(digest, "0" * 64))
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    failed(sources.build(tmp_path / "channel", env), digest, "0" * 64)


def test_names_package_missing_from_debian(tmp_path: Path, sources: Sources) -> None:
    """A package that the mirror lacks is named."""
    with (sources.folder / "debs.lock").open("a") as lock:
        lock.write(f"python9 1 amd64 {'0' * 64}\n")
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    failed(sources.build(tmp_path / "channel", env), "Debian package python9 not found")


def test_rejects_damaged_debs_lock(tmp_path: Path, sources: Sources) -> None:
    """A debs.lock without a sha256 is rejected."""
    (sources.folder / "debs.lock").write_text("python3.13 1 amd64\n")
    failed(sources.build(tmp_path / "channel", dict(os.environ)), "debs.lock is damaged")


def test_rejects_wheel_with_other_hash(tmp_path: Path, sources: Sources) -> None:
    """A wheel other than the pinned one is rejected, with both hashes."""
    text = (sources.folder / "wheels.txt").read_text()
    (sources.folder / "wheels.txt").write_text(text.replace(text.split()[1], f"--hash=sha256:{'0' * 64}"))
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    failed(sources.build(tmp_path / "channel", env), "alpha", "0" * 64, text.split()[1].rpartition(":")[2])


def test_reports_unreachable_index(tmp_path: Path, sources: Sources) -> None:
    """If no index answers, the error says so, and suggests what to check."""
    debs = tiny.python_debs(tmp_path / "old", OLD)
    env = sources.env(debs, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")
    del env["PIP_NO_INDEX"], env["PIP_FIND_LINKS"]
    failed(sources.build(tmp_path / "channel", env), "could not fetch the wheels", "Connection refused", "reach PyPI")


def test_rejects_unwritable_output(tmp_path: Path, sources: Sources) -> None:
    """An output folder below a file is rejected."""
    (tmp_path / "file").touch()
    env = sources.env(tiny.python_debs(tmp_path / "old", OLD))
    failed(sources.build(tmp_path / "file" / "channel", env), "could not write")


def test_selects_newest_deb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several versions on a mirror, the one that apt would install is selected."""
    (tmp_path / "debs").mkdir()
    made = [tiny.deb(tmp_path / "debs", "tool", version, {"usr/v": version}) for version in ("1.10-1", "1.9-1")]
    monkeypatch.setenv("APT_CONFIG", tiny.apt_mirror(tmp_path / "mirror", made)["APT_CONFIG"])
    assert newest("tool") == Deb(name="tool", version="1.10-1", architecture="amd64", sha256=tiny.sha256(made[0]))


@pytest.mark.parametrize("line", [f"a 1 amd64 {HASH} more", "a 1 amd64", f"a 1 amd64 {HASH}0", f"a 1 amd64 {HASH[1:]}"])
def test_rejects_damaged_lock(tmp_path: Path, line: str) -> None:
    """A line with another number of fields, or without a sha256, is an error that shows the line."""
    (tmp_path / "debs.lock").write_text(f"# comment\n\nb 1 amd64 {HASH}\n{line}\n")
    with pytest.raises(ChannelError, match=line):
        read_lock(tmp_path / "debs.lock")
