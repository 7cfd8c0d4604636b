"""Read a lock of the environment, update it for a drifted channel, and fetch and check its packages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rattler import RepoDataRecord, Subdir
from rattler import exceptions as failed
from rattler.lock import LockFile

# Build prefix of packages made from Debian's, the only ones that may be newer than the lock (see `drifted`).
FROM_DEBIAN = "deb_"


class InstallError(Exception):
    """An error with three parts: what failed, what was found, what to do."""

    def __init__(self, what: str, seen: str, todo: str) -> None:
        super().__init__(f"{what}\n  seen:  {seen}\n  to do: {todo}")


@dataclass(kw_only=True)
class Lock:
    """A lock for this platform: its sha256, the channel it was solved against, and a record for each package."""

    sha256: str
    channel: str
    platform: str
    records: list[RepoDataRecord]


def read_lock(path: Path) -> Lock:
    """Read a lock (pixi.lock's format); raise `InstallError` if it is damaged or for another platform."""
    try:
        environment = LockFile.from_path(path).default_environment()
        records = environment.conda_repodata_records() if environment else {}
    except failed.ParseCondaLockError as error:
        todo = (
            "name an existing lock, or make one with `make lock CHANNEL=…`"
            if not path.exists()
            else "renew it with `make lock`"
        )
        raise InstallError(f"cannot read the lock {path}", str(error), todo) from None
    here = str(Subdir.current())
    if not records.get(here):
        for_what = ", ".join(sorted(records)) or "no platform"
        todo = f"name a lock for {here}, or install on another machine"
        raise InstallError(f"{path.name} is not for {here}, this machine's platform", f"it is for {for_what}", todo)
    if unhashed := [record.file_name for record in records[here] if not record.sha256]:
        raise InstallError(f"{path.name} is not a lock", f"{unhashed[0]} has no sha256", "renew it with `make lock`")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Lock(sha256=digest, channel=records[here][0].channel, platform=here, records=records[here])


def drifted(lock: Lock, channel: Path | None, *, locked: bool) -> list[dict[str, str]]:
    """Return the Debian packages that are newer in the channel than in debs.lock, as listed in drift.json.

    Debian's mirrors keep only the newest build of a package, so the conda package made from it differs from the locked
    one: replace its record with the channel's. All other packages must match the lock.
    """
    if not channel or not (channel / "drift.json").exists():
        return []
    drift: list[dict[str, str]] = json.loads((channel / "drift.json").read_text())["drift"]
    said = "; ".join(f"{d['package']} {d['locked']} -> {d['installed']}" for d in drift)
    if locked:
        todo = "renew the lock with `make lock`, or install without --locked"
        raise InstallError("the channel has drifted from the lock, which --locked forbids", said, todo)
    repodata = json.loads((channel / lock.platform / "repodata.json").read_text())["packages.conda"]
    lock.records = [_newer(record, repodata, channel) or record for record in lock.records]
    return drift


def _newer(record: RepoDataRecord, repodata: dict[str, Any], channel: Path) -> RepoDataRecord | None:
    """Return the channel's record of a Debian package, if the channel has it only in another build."""
    name = record.name.normalized
    found = {file: entry for file, entry in repodata.items() if entry["name"] == name}
    if not str(record.build).startswith(FROM_DEBIAN) or record.file_name in found or not found:
        return None
    file, entry = max(found.items())
    _verify(channel / record.subdir / file, entry["sha256"])
    newer = asyncio.run(RepoDataRecord.from_package_archive(channel / record.subdir / file))
    newer.sha256 = bytes.fromhex(entry["sha256"])
    newer.url = record.url.replace(record.file_name, file)
    newer.channel = record.channel
    return newer


def obtain(lock: Lock, channel: Path | None, downloads: Path) -> dict[str, Path]:
    """Return {url: file} of every package; download those on a server, and check each against the lock."""

    def checked(record: RepoDataRecord) -> tuple[str, Path]:
        if channel:
            path = channel / record.subdir / record.file_name
        elif record.url.startswith("file://"):
            path = Path(record.url.removeprefix("file://"))
        else:
            path = _download(record, downloads)
        _verify(path, (record.sha256 or b"").hex())
        return record.url, path

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(checked, lock.records))


def _download(record: RepoDataRecord, folder: Path) -> Path:
    path = folder / record.file_name
    try:
        with urllib.request.urlopen(record.url, timeout=60) as reply, path.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(reply, file)
    except urllib.error.URLError as error:
        todo = "check that the channel is reachable, or name a folder with its packages: --channel DIR"
        raise InstallError(f"could not download {record.file_name}", f"{record.url}: {error}", todo) from None
    return path


def _verify(path: Path, locked: str) -> None:
    if not path.is_file():
        todo = "build the channel from the sources that the lock was made from, or renew the lock with `make lock`"
        raise InstallError(f"{path.name} not found", f"no file {path}", todo)
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != locked:
        todo = "do not use this file; if it was rebuilt on purpose, renew the lock with `make lock`"
        both = f"sha256 {seen}\n         locked {locked}"
        raise InstallError(f"{path.name} differs from the locked package", both, todo)
