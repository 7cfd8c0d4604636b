"""Pin wheels and debs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from containers.channel.environment import FILE, read
from containers.channel.errors import ChannelError
from containers.channel.pin import pin_debs, pin_wheels
from containers.channel.sources import Deb, read_lock
from tests.support import tiny

LOCKS = {"wheels.txt": "containers/dask-hpc/locks", "tools.txt": "containers/channel"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of wheels that is uv's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    return folder


def pinned(tmp_path: Path, *requirements: str, upgrade: bool = False) -> list[str]:
    """Pin these requirements; return the lines of the lock."""
    lock = tmp_path / "wheels.txt"
    pin_wheels(list(requirements), lock, python="3.13", what="Tiny.", upgrade=upgrade)
    return [line for line in lock.read_text().splitlines() if not line.startswith("#")]


def test_keeps_versions_until_upgrade(tmp_path: Path, index: Path) -> None:
    """A newer version is pinned only on request; dependencies come and go with the packages that need them."""
    beta = tiny.wheel(index, "beta")
    alpha = tiny.wheel(index, "alpha", requires=("beta",))
    first = [f"alpha==1.0 --hash=sha256:{tiny.sha256(alpha)}", f"beta==1.0 --hash=sha256:{tiny.sha256(beta)}"]
    assert pinned(tmp_path, "alpha") == first
    newer = tiny.wheel(index, "alpha", "2.0")
    assert pinned(tmp_path, "alpha") == first
    assert pinned(tmp_path, "alpha", upgrade=True) == [f"alpha==2.0 --hash=sha256:{tiny.sha256(newer)}"]


def test_requirement_overrides_pin(tmp_path: Path, index: Path) -> None:
    """A requirement in environment.yml overrides an older pin."""
    tiny.wheel(index, "alpha")
    pinned(tmp_path, "alpha")
    tiny.wheel(index, "alpha", "2.0")
    assert pinned(tmp_path, "alpha>=2")[0].startswith("alpha==2.0 ")


def test_pins_most_specific_wheel(tmp_path: Path, index: Path) -> None:
    """Of a version's wheels, the most specific one that runs on the base image is pinned."""
    best = "cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64"
    others = ("cp39-abi3-manylinux_2_17_x86_64", "cp313-cp313-manylinux_2_99_x86_64", "py3-none-any")
    made = {}
    for tags in (best, *others):
        made[tags] = tiny.wheel(index, "alpha", files={"tags": tags}).rename(index / f"alpha-1.0-{tags}.whl")
    assert pinned(tmp_path, "alpha") == [f"alpha==1.0 --hash=sha256:{tiny.sha256(made[best])}"]


def test_names_unknown_package(tmp_path: Path, index: Path) -> None:
    """A package that is in no index is named, and the lock is not written."""
    with pytest.raises(ChannelError, match="unobtainium"):
        pinned(tmp_path, "unobtainium")
    assert not (tmp_path / "wheels.txt").exists()


def test_pins_newest_debs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """debs.lock gets the mirror's newest version and its sha256."""
    debs = tiny.python_debs(tmp_path / "new", "3.13.5-2")
    monkeypatch.setitem(os.environ, "APT_CONFIG", tiny.apt_mirror(tmp_path / "mirror", debs)["APT_CONFIG"])
    pin_debs(["python3.13-minimal"], tmp_path / "debs.lock")
    (pin,) = read_lock(tmp_path / "debs.lock")
    assert (pin.name, pin.version, pin.sha256) == ("python3.13-minimal", "3.13.5-2", tiny.sha256(debs[0]))


@pytest.mark.parametrize("name", LOCKS)
def test_every_wheel_has_version_and_hash(name: str) -> None:
    """Each committed pin is one exact version with one sha256, and no URL."""
    lines = [line for line in (tiny.ROOT / LOCKS[name] / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line)


def test_wheels_cover_environment_yml() -> None:
    """Every requirement of environment.yml is among the pinned wheels."""
    lock = tiny.ROOT / LOCKS["wheels.txt"] / "wheels.txt"
    pinned = {line.partition("==")[0] for line in lock.read_text().splitlines()}
    asked = {re.split("[=<>!~ ]", requirement)[0] for requirement in read(FILE).requirements()}
    assert asked <= pinned


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("cp313-cp313-manylinux_2_39_x86_64", "cp313-cp313-manylinux_2_38_x86_64"),
        ("cp313-cp313-manylinux_2_6_x86_64", "cp313-cp313-manylinux_2_5_x86_64"),
        ("cp313-cp313-manylinux_2_5_x86_64", "cp313-cp313-manylinux2014_x86_64"),
        ("cp313-cp313-manylinux2014_x86_64", "cp313-cp313-manylinux2010_x86_64"),
        ("cp313-cp313-manylinux2010_x86_64", "cp313-cp313-manylinux1_x86_64"),
        ("cp313-cp313-manylinux1_x86_64", "cp313-cp313-linux_x86_64"),
        ("cp313-cp313-linux_x86_64", "cp313-abi3-manylinux_2_17_x86_64"),
        ("cp313-abi3-manylinux_2_17_x86_64", "cp39-abi3-manylinux_2_17_x86_64"),
        ("cp39-abi3-manylinux_2_17_x86_64", "py3-none-manylinux_2_17_x86_64"),
        ("py3-none-manylinux_2_17_x86_64", "cp313-none-any"),
        ("cp313-none-any", "py3-none-any"),
    ],
)
def test_prefers_more_specific_wheel(tmp_path: Path, index: Path, better: str, worse: str) -> None:
    """Of two compatible wheels, the one for this Python and the newer glibc is pinned."""
    made = {}
    for tags in (better, worse):
        made[tags] = tiny.wheel(index, "alpha", files={"tags": tags}).rename(index / f"alpha-1.0-{tags}.whl")
    pin_wheels(["alpha"], tmp_path / "wheels.txt", python="3.13", what="Tiny.", upgrade=False)
    assert tiny.sha256(made[better]) in (tmp_path / "wheels.txt").read_text()


def test_lock_over_another_has_only_new_packages(tmp_path: Path, index: Path) -> None:
    """A lock over another one keeps the versions below it, and does not pin those packages again."""
    tiny.wheel(index, "beta")
    base = tmp_path / "base.txt"
    pin_wheels(["beta"], base, python="3.13", what="Base.", upgrade=False)
    tiny.wheel(index, "beta", "2.0")
    tiny.wheel(index, "alpha", requires=("beta",))
    over = tmp_path / "over.txt"
    pin_wheels(["alpha"], over, python="3.13", what="Over.", upgrade=True, over=base)
    assert [line.split()[0] for line in over.read_text().splitlines()[1:]] == ["alpha==1.0"]
    with pytest.raises(ChannelError, match="no compatible set of wheels"):
        pin_wheels(["beta>=2"], over, python="3.13", what="Over.", upgrade=True, over=base)


def test_accepts_wheel_for_base_image_glibc(tmp_path: Path, index: Path) -> None:
    """A wheel that needs a glibc as new as the base image's is accepted."""
    tiny.wheel(index, "alpha").rename(index / "alpha-1.0-cp313-cp313-manylinux_2_40_x86_64.whl")
    pin_wheels(["alpha"], tmp_path / "wheels.txt", python="3.13", what="Tiny.", upgrade=False)
    assert "alpha==1.0" in (tmp_path / "wheels.txt").read_text()


def test_writes_one_deb_per_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """debs.lock has the name, version, architecture and sha256 of each package, one package per line."""
    debs = tiny.python_debs(tmp_path / "new", "3.13.5-2")
    monkeypatch.setenv("APT_CONFIG", tiny.apt_mirror(tmp_path / "mirror", debs)["APT_CONFIG"])
    names = ["python3.13-minimal", "libpython3.13-stdlib"]
    pin_debs(names, tmp_path / "debs.lock")
    expected = [
        Deb(name=name, version="3.13.5-2", architecture="amd64", sha256=tiny.sha256(deb))
        for name, deb in zip(names, debs, strict=True)
    ]
    assert read_lock(tmp_path / "debs.lock") == expected
