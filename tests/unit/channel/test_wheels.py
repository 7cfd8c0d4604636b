"""Wheels as conda packages."""

import csv
import io
from pathlib import Path

import pytest

from containers.channel.conda import PLACEHOLDER, File, Package
from containers.channel.errors import ChannelError
from containers.channel.wheels import wheel_package
from tests.support import tiny

SITE = "lib/python3.13/site-packages"


def data(package: Package, path: str) -> bytes:
    """Return the bytes of a package's file."""
    file = package.contents[path]
    assert isinstance(file, File)
    return file.data


def test_wheel_files_go_where_conda_puts_them(tmp_path: Path) -> None:
    """Modules go to site-packages; a wheel's data and scripts go below the prefix."""
    files = {"w-1.0.data/data/etc/w.conf": "x", "w-1.0.data/scripts/w-run": "#!python\nimport w\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    assert {f"{SITE}/w.py", "etc/w.conf", "bin/w-run"} <= package.contents.keys()
    assert data(package, "bin/w-run").startswith(f"#!{PLACEHOLDER}/bin/python3.13\n".encode())
    assert package.stem == "w-1.0-py313_0"


def test_entry_points_become_commands(tmp_path: Path) -> None:
    """Each console script becomes an executable that the installer points to the prefix's Python."""
    points = {"w-1.0.dist-info/entry_points.txt": "[console_scripts]\nWrite = w.cli:app.main [extra]\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=points), "3.13")
    command = package.contents["bin/Write"]
    assert isinstance(command, File)
    assert command.executable
    assert command.relocated
    assert b"from w.cli import app\n" in command.data
    assert b"sys.exit(app.main())" in command.data


def test_record_lists_installed_files(tmp_path: Path) -> None:
    """RECORD names exactly the installed files, without those that are left out."""
    files = {"w-1.0.data/data/share/doc/w.txt": "x", "w-1.0.data/data/share/w": "y"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    rows = list(csv.reader(io.StringIO(data(package, f"{SITE}/w-1.0.dist-info/RECORD").decode())))
    assert {row[0] for row in rows} >= {"w.py", "../../../share/w"}
    assert len(rows) == len(package.contents)
    assert not any("share/doc" in row[0] for row in rows)


def test_requirements_are_evaluated_for_target(tmp_path: Path) -> None:
    """Requirements are evaluated for CPython 3.13 on Linux, whatever machine builds, and use conda-forge's names."""
    requires = ("dask>=2026.1", "msgpack", "old; python_version < '3.12'", "win; os_name == 'nt'", "opt; extra == 'x'")
    package = wheel_package(tiny.wheel(tmp_path, "w", requires=requires), "3.13")
    assert package.depends == ["python 3.13.*", "dask-core >=2026.1", "msgpack-python"]


def test_rejects_requirement_with_extra(tmp_path: Path) -> None:
    """A requirement with an extra, which conda cannot express, is rejected by name."""
    with pytest.raises(ChannelError, match=r"requests\[socks\]"):
        wheel_package(tiny.wheel(tmp_path, "w", requires=("requests[socks]",)), "3.13")
