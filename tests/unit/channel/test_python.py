"""Debian's Python as a conda package."""

from pathlib import Path

import pytest

from containers.channel.conda import File, Link, Package
from containers.channel.errors import ChannelError
from containers.channel.python import python_package
from tests.support import tiny


def data(package: Package, path: str) -> bytes:
    """Return the bytes of a package's file."""
    file = package.contents[path]
    assert isinstance(file, File)
    return file.data


def test_python_package_has_conda_layout(tmp_path: Path) -> None:
    """Debian's Python has conda's name, version, links and site-packages."""
    package = python_package(tiny.python_debs(tmp_path, "3.13.5-2+deb13u5"), "3.13")
    assert package.stem == "python-3.13.5-deb_2_deb13u5"
    assert package.depends == ["__glibc >=2.17"]
    assert package.contents["bin/python"] == Link("python3.13")
    assert b"posix_prefix" in data(package, "lib/python3.13/sysconfig/__init__.py")
    assert b"site-packages" in data(package, "lib/python3.13/sitecustomize.py")
    assert not [path for path in package.contents if path.startswith("share/")]


def test_rejects_other_minor_version(tmp_path: Path) -> None:
    """A Debian with another minor version of Python is rejected, and the error says what to change."""
    with pytest.raises(ChannelError, match=r"versions\.env"):
        python_package(tiny.python_debs(tmp_path, "3.14.0-1"), "3.13")


def test_rejects_debs_of_two_versions(tmp_path: Path) -> None:
    """Debs of two versions, which a mirror may have during an update, are rejected."""
    new, old = tiny.python_debs(tmp_path / "a", "3.13.5-2"), tiny.python_debs(tmp_path / "b", "3.13.5-1")
    with pytest.raises(ChannelError, match="do not fit each other"):
        python_package([new[0], old[1]], "3.13")
