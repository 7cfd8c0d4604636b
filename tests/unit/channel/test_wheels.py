"""The channel: wheels as conda packages, byte for byte the same, and the committed files that it is built from."""

import csv
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from backports import zstd

from containers.channel.conda import PLACEHOLDER, File, Link, Package, write_package
from containers.channel.environment import FILE, conda_specs, pypi_requirements
from containers.channel.errors import ChannelError
from containers.channel.python import python_package
from containers.channel.sources import read_lock
from containers.channel.strip import is_left_out
from containers.channel.wheels import wheel_package
from tests.support import tiny

CHANNEL = tiny.ROOT / "containers/channel"
SITE = "lib/python3.13/site-packages"


def data(package: Package, path: str) -> bytes:
    """The bytes of a package's file."""
    file = package.contents[path]
    assert isinstance(file, File)
    return file.data


def test_wheel_lies_where_conda_has_it(tmp_path: Path) -> None:
    """Modules go to site-packages; a wheel's data and scripts go below the prefix."""
    files = {"w-1.0.data/data/etc/w.conf": "x", "w-1.0.data/scripts/w-run": "#!python\nimport w\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    assert {f"{SITE}/w.py", "etc/w.conf", "bin/w-run"} <= package.contents.keys()
    assert data(package, "bin/w-run").startswith(f"#!{PLACEHOLDER}/bin/python3.13\n".encode())
    assert package.stem == "w-1.0-py313_0"


def test_entry_points_are_commands(tmp_path: Path) -> None:
    """Each console script becomes an executable that the installer gives the prefix's Python."""
    points = {"w-1.0.dist-info/entry_points.txt": "[console_scripts]\nWrite = w.cli:app.main [extra]\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=points), "3.13")
    command = package.contents["bin/Write"]
    assert isinstance(command, File)
    assert command.executable
    assert command.relocated
    assert b"from w.cli import app\n" in command.data
    assert b"sys.exit(app.main())" in command.data


def test_record_is_true(tmp_path: Path) -> None:
    """RECORD names exactly the files that are there, without those that are left out."""
    files = {"w-1.0.data/data/share/doc/w.txt": "x", "w-1.0.data/data/share/w": "y"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    rows = list(csv.reader(io.StringIO(data(package, f"{SITE}/w-1.0.dist-info/RECORD").decode())))
    assert {row[0] for row in rows} >= {"w.py", "../../../share/w"}
    assert len(rows) == len(package.contents)
    assert not any("share/doc" in row[0] for row in rows)


def test_needs_are_those_of_the_target(tmp_path: Path) -> None:
    """Requirements are taken for CPython 3.13 on Linux, whatever machine builds, and by conda-forge's names."""
    requires = ("dask>=2026.1", "msgpack", "old; python_version < '3.12'", "win; os_name == 'nt'", "opt; extra == 'x'")
    package = wheel_package(tiny.wheel(tmp_path, "w", requires=requires), "3.13")
    assert package.depends == ["python 3.13.*", "dask-core >=2026.1", "msgpack-python"]


def test_extras_are_refused(tmp_path: Path) -> None:
    """A requirement with an extra, which conda cannot say, is refused by name."""
    with pytest.raises(ChannelError, match=r"requests\[socks\]"):
        wheel_package(tiny.wheel(tmp_path, "w", requires=("requests[socks]",)), "3.13")


def test_package_bytes(tmp_path: Path) -> None:
    """One package written twice is the same, with no time, owner or machine in it; links stay links."""
    package = Package("p", "1", "0", [], "", {"bin/b": File(b"x", executable=True), "bin/a": Link("b")})
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(write_package(tmp_path / name, package))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as outer:
        inner = zstd.decompress(outer.read("pkg-p-1-0.tar.zst"))
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        members = tar.getmembers()
    assert [(m.name, m.mode, m.uid, m.uname, m.linkname) for m in members] == [
        ("bin/a", 0o777, 0, "", "b"),
        ("bin/b", 0o755, 0, "", ""),
    ]


def test_python_has_condas_layout(tmp_path: Path) -> None:
    """Debian's Python is named and laid out as conda's: its version, its links, site-packages."""
    package = python_package(tiny.python_debs(tmp_path, "3.13.5-2+deb13u5"), "3.13")
    assert package.stem == "python-3.13.5-deb_2_deb13u5"
    assert package.depends == ["__glibc >=2.17"]
    assert package.contents["bin/python"] == Link("python3.13")
    assert b"posix_prefix" in data(package, "lib/python3.13/sysconfig/__init__.py")
    assert b"site-packages" in data(package, "lib/python3.13/sitecustomize.py")
    assert not [path for path in package.contents if path.startswith("share/")]


def test_another_python_is_refused(tmp_path: Path) -> None:
    """A Debian whose Python has another minor version is refused with what to change."""
    with pytest.raises(ChannelError, match=r"versions\.env"):
        python_package(tiny.python_debs(tmp_path, "3.14.0-1"), "3.13")


def test_mixed_debs_are_refused(tmp_path: Path) -> None:
    """Debs of two versions, as a mirror may have them during an update, are refused."""
    new, old = tiny.python_debs(tmp_path / "a", "3.13.5-2"), tiny.python_debs(tmp_path / "b", "3.13.5-1")
    with pytest.raises(ChannelError, match="do not fit each other"):
        python_package([new[0], old[1]], "3.13")


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (f"{SITE}/numpy/_core/tests/test_x.py", True),
        (f"{SITE}/numpy/testing/__init__.py", False),
        (f"{SITE}/dask_mpi/tests/test_core.py", False),
        (f"{SITE}/bokeh/server/static/js/bokeh.js", True),
        (f"{SITE}/bokeh/server/static/js/bokeh.min.js", False),
        (f"{SITE}/w-1.0.dist-info/licenses/LICENSE", False),
    ],
)
def test_what_is_left_out(path: str, out: bool) -> None:
    """What nothing loads is left out; licences and the tests that people run stay."""
    assert is_left_out(path) is out


def test_environment_is_condas() -> None:
    """environment.yml has conda's form: a name, conda-forge, and specs without another tool's section."""
    text = FILE.read_text()
    assert re.search(r"^name: \S+\nchannels:\n  - conda-forge\ndependencies:\n", text, re.MULTILINE)
    assert "python=3.13" in conda_specs(FILE)


def test_versions_agree(versions: dict[str, str]) -> None:
    """versions.env, environment.yml and the lock mean the same Python."""
    assert f"python={versions['PYTHON_VERSION']}" in conda_specs(FILE)
    upstream = {deb.version.partition("-")[0] for deb in read_lock(CHANNEL / "debs.lock")}
    assert {v.rpartition(".")[0] for v in upstream} == {versions["PYTHON_VERSION"]}
    lock = (tiny.ROOT / "containers/dask-hpc/locks/local-linux-64.lock").read_text()
    assert f"/python-{upstream.pop()}-deb_" in lock


@pytest.mark.parametrize("name", ["wheels.txt", "tools.txt"])
def test_every_wheel_is_pinned(name: str) -> None:
    """Each line is one exact version with one sha256, and none says where to get it."""
    lines = [line for line in (CHANNEL / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line)


def test_wheels_cover_the_environment() -> None:
    """What environment.yml asks for is among the wheels."""
    pinned = {line.partition("==")[0] for line in (CHANNEL / "wheels.txt").read_text().splitlines()}
    asked = {re.split("[=<>!~ ]", requirement)[0] for requirement in pypi_requirements(FILE)}
    assert asked <= pinned


def test_index_and_packages_agree(tmp_path: Path) -> None:
    """The channel's index has the sha256 and size of each package."""
    channel = tiny.channel(tmp_path)
    entries = json.loads((channel / "linux-64/repodata.json").read_text())["packages.conda"]
    assert len(entries) == 2
    for name, entry in entries.items():
        assert entry["sha256"] == tiny.sha256(channel / "linux-64" / name)
        assert entry["size"] == (channel / "linux-64" / name).stat().st_size
