"""Identify the environment: the lock that it was installed from, and packages that the user has added."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec

_PACKAGES = ("dask", "distributed", "dask-jobqueue", "numpy")


class Identity(msgspec.Struct, frozen=True):
    """The contents of an installed environment's `env.json`, and packages added to it; empty outside one.

    Attributes:
        lock_sha256: SHA-256 of the lock that the environment was installed from.
        channel: channel of the lock.
        drifted: True if a package is newer than the lock says.
        venv: folder of the virtual environment that this process runs in, if any.
        added: versions, by name, of packages that are not the environment's own.
        replaced: versions, by name, of packages that hide another version in the environment.
    """

    lock_sha256: str | None = None
    channel: str | None = None
    drifted: bool | None = None
    venv: str | None = None
    added: dict[str, str] = {}
    replaced: dict[str, str] = {}


class Release(msgspec.Struct, frozen=True):
    """The release and the commit of an image, from its `version.json`."""

    version: str = "unknown"
    revision: str = "unknown"


def share_folder() -> Path:
    """Return the folder of this environment's own data, which may not exist."""
    return Path(sys.base_prefix) / "share" / "dask-hpc"


def environment(file: Path | None = None) -> Identity:
    """Return the identity of this environment; an empty one if its file is missing or invalid."""
    try:
        found = msgspec.json.decode((file or share_folder() / "env.json").read_bytes(), type=Identity)
    except (OSError, msgspec.MsgspecError):
        return Identity()
    if file:
        return found
    added, replaced = over(metadata.distributions(), Path(sysconfig.get_path("purelib", vars=_BASE)))
    return msgspec.structs.replace(found, venv=venv(), added=added, replaced=replaced)


_BASE = {"base": sys.base_prefix, "platbase": sys.base_prefix}


def venv() -> str | None:
    """Return the folder of the virtual environment that this Python belongs to, or None."""
    return sys.prefix if sys.prefix != sys.base_prefix else None


def over(found: Iterable[metadata.Distribution], base: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the packages added to those in a folder, and those that replace them with another version.

    Args:
        found: all packages, in Python's search order.
        base: the environment's own folder of packages.
    """
    own = dict[str, str]()
    others = dict[str, str]()
    for one in found:
        name = re.sub(r"[-_.]+", "-", one.name or "").lower()
        place = own if Path(str(one.locate_file(""))) == base else others
        place.setdefault(name, one.version)
    others.pop("pip", None)  # every virtual environment has its own, which no program imports
    added = {name: version for name, version in sorted(others.items()) if name not in own}
    replaced = {name: version for name, version in sorted(others.items()) if own.get(name, version) != version}
    return added, replaced


def release() -> Release:
    """Return the release of this environment; unknown outside an image."""
    try:
        return msgspec.json.decode((share_folder() / "version.json").read_bytes(), type=Release)
    except (OSError, msgspec.MsgspecError):
        return Release()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect results."""
    found = {"dask-hpc": f"{release().version} ({release().revision})", "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
