"""Debian's Python as a conda package."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from containers.channel.conda import File, Link, Package
from containers.channel.errors import ChannelError
from containers.channel.python import ADDED, python_package
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
    assert data(package, "lib/python3.13/dist-packages/conda_layout.pth") == b"import _conda_layout\n"
    assert not [path for path in package.contents if path.startswith("share/")]


def test_rejects_other_minor_version(tmp_path: Path) -> None:
    """A Debian with another minor version of Python is rejected, and the error says what to change."""
    with pytest.raises(ChannelError, match=r"versions\.env"):
        python_package(tiny.python_debs(tmp_path, "3.14.0-1"), "3.13")


def test_rejects_debs_of_two_versions(tmp_path: Path) -> None:
    """Debs of two versions, which a mirror may have during an update, are rejected."""
    new = tiny.python_debs(tmp_path / "a", "3.13.5-2")
    old = tiny.python_debs(tmp_path / "b", "3.13.5-1")
    with pytest.raises(ChannelError, match="differ in version"):
        python_package([new[0], old[1]], "3.13")


LIB = "lib/python3.13"
EDITED = {f"usr/{LIB}/{path}": text for path, text in tiny.EDITED.items()}


def deb(
    folder: Path, files: dict[str, str], name: str = "libpython3.13-stdlib", version: str = "3.13.5-2", **more: Any
) -> Path:
    """Build a deb of Debian's Python."""
    return tiny.deb(folder, name, version, files, **more)


def test_keeps_links_and_permissions(tmp_path: Path) -> None:
    """Links stay links, and executable files stay executable."""
    files = {"usr/bin/python3.13": "#!/bin/sh\n", f"usr/{LIB}/os.py": ""}
    made = deb(tmp_path, files | EDITED, links={f"usr/{LIB}/alias.py": "os.py"}, executable=("usr/bin/python3.13",))
    contents = python_package([made], "3.13").contents
    assert contents["bin/python3.13"] == File(b"#!/bin/sh\n", executable=True)
    assert contents[f"{LIB}/os.py"] == File(b"", executable=False)
    assert contents[f"{LIB}/alias.py"] == Link("os.py")
    assert contents["bin/python3"] == contents["bin/python"] == Link("python3.13")


def test_keeps_permissions_of_edited_file(tmp_path: Path) -> None:
    """Editing a file for conda's layout keeps its permissions."""
    path = f"usr/{LIB}/sysconfig/__init__.py"
    contents = python_package([deb(tmp_path, EDITED, executable=(path,))], "3.13").contents
    expected = EDITED[path].replace("posix_local", "posix_prefix").encode()
    assert contents[f"{LIB}/sysconfig/__init__.py"] == File(expected, executable=True)


def test_leaves_out_debian_specific_files(tmp_path: Path) -> None:
    """Files outside /usr, folders, and Debian's own hooks are left out."""
    kept = (f"usr/{LIB}/testing.py", "usr/lib/other.so")
    left_out = (
        "etc/python3.13/sitecustomize.py",
        "usr/share/doc/x",
        "usr/lib/binfmt.d/python3.13.conf",
        "usr/lib/python3/dist-packages/x.py",
        f"usr/{LIB}/EXTERNALLY-MANAGED",
        f"usr/{LIB}/test/test_os.py",
        f"usr/{LIB}/_distutils_system_mod.py",
        f"usr/{LIB}/sitecustomize.py",
    )
    package = python_package([deb(tmp_path, EDITED | dict.fromkeys((*kept, *left_out), "Debian's"))], "3.13")
    ours = {path.removeprefix("usr/") for path in EDITED} | {"bin/python", "bin/python3"}
    ours |= {f"{LIB}/{path}" for path in ADDED}
    assert package.contents.keys() == ours | {path.removeprefix("usr/") for path in kept}
    assert package.license == "PSF-2.0"


def test_merges_files_of_all_debs(tmp_path: Path) -> None:
    """The package contains the files of all debs."""
    one = deb(tmp_path, EDITED, name="libpython3.13-stdlib")
    two = deb(tmp_path, {"usr/bin/python3.13": "x"}, name="python3.13-minimal")
    assert {"bin/python3.13", f"{LIB}/sysconfig/__init__.py"} <= python_package([one, two], "3.13").contents.keys()


@pytest.mark.parametrize("path", EDITED)
@pytest.mark.parametrize("text", ["another layout", None])
def test_rejects_unknown_layout(tmp_path: Path, path: str, text: str | None) -> None:
    """A missing line to edit is an error: Python would look for packages, or for pip, in Debian's folders."""
    files = {name: content for name, content in EDITED.items() if name != path} | ({path: text} if text else {})
    with pytest.raises(ChannelError, match="cannot move Debian's Python"):
        python_package([deb(tmp_path, files)], "3.13")


def test_bundles_pip_for_virtual_environments(tmp_path: Path) -> None:
    """`python -m venv` finds pip's wheel in upstream's folder, not in Debian's."""
    wheel = tiny.wheel(tmp_path, "pip")
    contents = python_package([deb(tmp_path, EDITED)], "3.13", wheel).contents
    assert contents[f"{LIB}/ensurepip/_bundled/{wheel.name}"] == File(wheel.read_bytes())
    ensurepip = contents[f"{LIB}/ensurepip/__init__.py"]
    assert isinstance(ensurepip, File)
    assert ensurepip.data == b"x = str(Path(__file__).with_name('_bundled'))\n"


@pytest.mark.parametrize(
    ("fields", "glibc"),
    [
        ("Depends: libc6 (>= 2.9), zlib1g", "2.9"),
        ("Pre-Depends: libc6 (>= 2.38)\nDepends: libc6 (>= 2.9)", "2.38"),
        ("Pre-Depends: libc6 (>= 2.9)\nDepends: libc6 (>= 2.38)", "2.38"),
        ("Depends: zlib1g", "2.4"),
    ],
)
def test_needs_newest_glibc_of_all_debs(tmp_path: Path, fields: str, glibc: str) -> None:
    """The newest glibc of all debs and both kinds of dependencies is needed; versions are compared as numbers."""
    debs = [deb(tmp_path, EDITED, fields=fields), deb(tmp_path, {}, name="other", fields="Depends: libc6 (>= 2.4)")]
    assert python_package(debs, "3.13").depends == [f"__glibc >={glibc}"]


def test_needs_old_glibc_if_no_deb_names_one(tmp_path: Path) -> None:
    """Debs without a dependency on glibc need 2.17, the oldest that wheels are built for."""
    assert python_package([deb(tmp_path, EDITED, fields="Depends: zlib1g")], "3.13").depends == ["__glibc >=2.17"]


@pytest.mark.parametrize(
    ("version", "stem"),
    [("3.13.5-2+deb13u5", "python-3.13.5-deb_2_deb13u5"), ("3.13.0~rc1-1-Z", "python-3.13.0~rc1-1-deb_Z")],
)
def test_names_version_and_revision(tmp_path: Path, version: str, stem: str) -> None:
    """The revision follows the last dash; the build string has letters, digits, dots and underscores."""
    assert python_package([deb(tmp_path, EDITED, version=version)], "3.13").stem == stem


def test_rejects_damaged_deb(tmp_path: Path) -> None:
    """A damaged deb is an error, not an empty package."""
    (tmp_path / "x.deb").write_bytes(b"no deb")
    with pytest.raises(subprocess.CalledProcessError):
        python_package([tmp_path / "x.deb"], "3.13")
