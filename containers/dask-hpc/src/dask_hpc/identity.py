"""Which environment this is: the lock that it was installed from, and the versions that matter."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

import msgspec

__all__ = ["Identity", "Release", "environment", "release", "share_folder", "versions"]

_PACKAGES = ("dask", "distributed", "dask-jobqueue", "numpy")


class Identity(msgspec.Struct, frozen=True):
    """What `env.json` says of an installed environment; all empty outside of one."""

    lock_sha256: str | None = None
    channel: str | None = None
    drifted: bool | None = None


class Release(msgspec.Struct, frozen=True):
    """What `version.json` says of an image: which release of this project it is, and of which commit."""

    version: str = "unknown"
    revision: str = "unknown"


def share_folder() -> Path:
    """Return the folder of this environment's own data, which may not exist."""
    return Path(sys.prefix) / "share" / "dask-hpc"


def environment(file: Path | None = None) -> Identity:
    """Return the identity of this environment, or an empty one where nothing readable says."""
    try:
        return msgspec.json.decode((file or share_folder() / "env.json").read_bytes(), type=Identity)
    except (OSError, msgspec.MsgspecError):
        return Identity()


def release() -> Release:
    """Return which release this is; unknown outside of an image."""
    try:
        return msgspec.json.decode((share_folder() / "version.json").read_bytes(), type=Release)
    except (OSError, msgspec.MsgspecError):
        return Release()


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that decides about results."""
    found = {"dask-hpc": f"{release().version} ({release().revision})", "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
