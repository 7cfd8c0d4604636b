"""Write `.conda` packages and a channel's index.

Ref: https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conda_package_streaming.create import conda_builder

SUBDIR: Final = "linux-64"
# Stands for the prefix in a package's text files; the installer replaces it. Longer than any real prefix.
PLACEHOLDER = "/" + "_".join(["placehold"] * 20)
# The earliest time that a zip can hold. Not SOURCE_DATE_EPOCH: a package's bytes depend only on its sources, so a new
# release of this project does not change the lock.
EPOCH = 315532800
# A channel is installed once and thrown away: level 19 takes 20 times as long and saves nothing.
ZSTD_LEVEL = 3


@dataclass(frozen=True)
class File:
    """A file of a package. A `relocated` file contains PLACEHOLDER."""

    data: bytes
    executable: bool = False
    relocated: bool = False


@dataclass(frozen=True)
class Link:
    """A symbolic link of a package; its target is relative to the link."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """A conda package: its metadata, and its contents by path below the prefix."""

    name: str
    version: str
    build: str
    depends: list[str]
    license: str
    contents: dict[str, File | Link] = field(repr=False)

    @property
    def stem(self) -> str:
        """File name without its extension."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def index(self) -> dict[str, Any]:
        """Fields that info/index.json and the channel's repodata.json share."""
        return {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": sorted(self.depends),
            "constrains": [],
            "license": self.license,
            "subdir": SUBDIR,
            "arch": "x86_64",
            "platform": "linux",
            "timestamp": EPOCH * 1000,
        }


def write_channel(channel: Path, packages: list[Package]) -> None:
    """Write all packages and the index of both subdirs (conda reads noarch's even if it is empty)."""
    folder = channel / SUBDIR
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for package in sorted(packages, key=lambda p: p.stem):
        path = write_package(folder, package)
        entries[path.name] = package.index | _digests(path.read_bytes())
    for subdir, found in ((SUBDIR, entries), ("noarch", {})):
        repodata = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": found, "repodata_version": 1}
        (channel / subdir).mkdir(exist_ok=True)
        (channel / subdir / "repodata.json").write_bytes(_json(repodata))


def write_package(folder: Path, package: Package) -> Path:
    """Write one package; the same package gives the same bytes."""
    contents = sorted(package.contents.items())
    paths = {"paths": [_path_entry(path, entry) for path, entry in contents], "paths_version": 1}
    info = {"info/index.json": File(_json(package.index)), "info/paths.json": File(_json(paths))}
    with conda_builder(package.stem, folder, compression_level=ZSTD_LEVEL) as tar:
        for path, entry in [*info.items(), *contents]:
            _add(tar, path, entry)
    written = folder / f"{package.stem}.conda"
    _without_times(written)
    return written


def _without_times(path: Path) -> None:
    """Rewrite the outer zip, which the library stamps with the current time."""
    fixed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(fixed, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    path.write_bytes(fixed.getvalue())


def _path_entry(path: str, entry: File | Link) -> dict[str, Any]:
    if isinstance(entry, Link):
        return {"_path": path, "path_type": "softlink"}
    facts = {"_path": path, "path_type": "hardlink"}
    relocated = {"file_mode": "text", "prefix_placeholder": PLACEHOLDER} if entry.relocated else {}
    return {
        **facts,
        "sha256": hashlib.sha256(entry.data).hexdigest(),
        "size_in_bytes": len(entry.data),
        **relocated,
    }


def _add(tar: tarfile.TarFile, path: str, entry: File | Link) -> None:
    member = tarfile.TarInfo(path)
    member.mtime = EPOCH
    if isinstance(entry, Link):
        member.type = tarfile.SYMTYPE
        member.linkname = entry.target
        member.mode = 0o777
        tar.addfile(member)
    else:
        member.size = len(entry.data)
        member.mode = 0o755 if entry.executable else 0o644
        tar.addfile(member, io.BytesIO(entry.data))


def _digests(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
