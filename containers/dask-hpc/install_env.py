#!/usr/bin/env python3
"""Installs the environment that a lock names: its packages and no others, each checked before anything is unpacked.

The environment is made beside the prefix and moved there when it is whole, so it is there entirely or not at all.

usage: install_env.py --lock locks/local-linux-64.lock --prefix /opt/env [--channel DIR] [--locked]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rattler import RepoDataRecord, Subdir, install
from rattler import exceptions as failed
from rattler.lock import LockFile

UNPACKING = (failed.CacheDirError, failed.ExtractError, failed.InstallerError, failed.IoError, failed.TransactionError)
# The build of a package that was made of Debian's: the only ones that may be newer than the lock (see `drifted`).
FROM_DEBIAN = "deb_"


class InstallError(Exception):
    """What failed, what was seen, and what to do about it."""

    def __init__(self, what: str, seen: str, todo: str) -> None:
        super().__init__(f"{what}\n  seen:  {seen}\n  to do: {todo}")


@dataclass
class Lock:
    """A lock for this machine: its own sha256, the channel it was solved against, and a record for each package."""

    sha256: str
    channel: str
    platform: str
    records: list[RepoDataRecord]


def read_lock(path: Path) -> Lock:
    """Read a lock (pixi.lock's format), and refuse one that is damaged or meant for other machines."""
    try:
        environment = LockFile.from_path(path).default_environment()
        records = environment.conda_repodata_records() if environment else {}
    except failed.ParseCondaLockError as error:
        todo = "name a lock that is there" if not path.exists() else "renew it with `make lock`"
        raise InstallError(f"cannot read the lock {path}", str(error), todo) from None
    here = str(Subdir.current())
    if not records.get(here):
        for_what = ", ".join(sorted(records)) or "no platform at all"
        todo = f"name a lock for {here}, or install on a machine that this one is for"
        raise InstallError(f"{path.name} does not fit this machine, which is {here}", f"it is for {for_what}", todo)
    if unhashed := [record.file_name for record in records[here] if not record.sha256]:
        raise InstallError(f"{path.name} is not a lock", f"{unhashed[0]} has no sha256", "renew it with `make lock`")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Lock(digest, records[here][0].channel, here, records[here])


def drifted(lock: Lock, channel: Path | None, *, locked: bool) -> list[dict[str, str]]:
    """Debian's packages that are newer in the channel than in its sources' lock, as drift.json says.

    Debian's mirrors keep only the newest build of a package. The conda package made of it then has another hash than
    the lock's: its record is replaced by the channel's. No other package is let off.
    """
    if not channel or not (channel / "drift.json").exists():
        return []
    drift: list[dict[str, str]] = json.loads((channel / "drift.json").read_text())["drift"]
    said = "; ".join(f"{d['package']} {d['locked']} -> {d['installed']}" for d in drift)
    if locked:
        todo = "renew the lock with `make lock`, or install without --locked"
        raise InstallError("the channel has drifted from the lock, and --locked allows nothing else", said, todo)
    _say(f"drifted from the lock: {said}")
    repodata = json.loads((channel / lock.platform / "repodata.json").read_text())["packages.conda"]
    lock.records = [_newer(record, repodata, channel) or record for record in lock.records]
    return drift


def _newer(record: RepoDataRecord, repodata: dict[str, Any], channel: Path) -> RepoDataRecord | None:
    """The channel's record of a package of Debian's that the channel has in another build only."""
    name = record.name.normalized
    found = {file: entry for file, entry in repodata.items() if entry["name"] == name}
    if not str(record.build).startswith(FROM_DEBIAN) or record.file_name in found or not found:
        return None
    file, entry = max(found.items())
    newer = asyncio.run(RepoDataRecord.from_package_archive(channel / record.subdir / file))
    newer.sha256 = bytes.fromhex(entry["sha256"])
    newer.url, newer.channel = record.url.replace(record.file_name, file), record.channel
    return newer


def obtain(lock: Lock, channel: Path | None, downloads: Path) -> dict[str, Path]:
    """{url: file} of every package, each checked against the lock; what lies on a server is downloaded first."""

    def checked(record: RepoDataRecord) -> tuple[str, Path]:
        if channel:
            path = channel / record.subdir / record.file_name
        elif record.url.startswith("file://"):
            path = Path(record.url.removeprefix("file://"))
        else:
            path = _download(record, downloads)
        _verify(path, record)
        return record.url, path

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(checked, lock.records))


def _download(record: RepoDataRecord, folder: Path) -> Path:
    path = folder / record.file_name
    try:
        with urllib.request.urlopen(record.url, timeout=60) as reply, path.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(reply, file)
    except urllib.error.URLError as error:
        todo = "see that the channel can be reached, or name a folder that has its packages: --channel DIR"
        raise InstallError(f"could not download {record.file_name}", f"{record.url}: {error}", todo) from None
    return path


def _verify(path: Path, record: RepoDataRecord) -> None:
    if not path.is_file():
        todo = "build the channel from the sources that the lock was made of, or renew the lock with `make lock`"
        raise InstallError(f"{record.file_name} is missing", f"no file {path}", todo)
    seen, locked = hashlib.sha256(path.read_bytes()).hexdigest(), (record.sha256 or b"").hex()
    if seen != locked:
        todo = "do not use this file; if it was rebuilt on purpose, renew the lock with `make lock`"
        both = f"sha256 {seen}\n         locked {locked}"
        raise InstallError(f"{record.file_name} is not the one that was locked", both, todo)


def unpack(lock: Lock, files: dict[str, Path], staged: Path, prefix: Path, cache: Path) -> None:
    """Install checked files into `staged`, as if it lay at `prefix`, and leave no trace of where they came from."""
    urls = {}
    for record in lock.records:
        urls[record.file_name] = record.url
        record.url = files[record.url].resolve().as_uri()
    try:
        asyncio.run(
            install(lock.records, staged, cache_dir=cache, show_progress=False, alternative_target_prefix=prefix)
        )
    except UNPACKING as error:
        todo = "make room if the disk is full (it takes 600 MB); else build the channel again"
        raise InstallError("could not unpack the packages", " ".join(str(error).split()), todo) from None
    for path in (staged / "conda-meta").glob("*.json"):
        record_ = json.loads(path.read_text())
        for temporary in ("extracted_package_dir", "package_tarball_full_path", "link"):
            record_.pop(temporary, None)
        record_["url"] = urls[record_["fn"]]
        path.write_text(json.dumps(record_, indent=1, sort_keys=True) + "\n")


def compile_bytecode(staged: Path, prefix: Path) -> None:
    """Compile all modules by the environment's own Python.

    Unchecked: the image's files do not change under it, and a SIF is read-only: what is stale there would be compiled
    anew at every start. Of the hash, not of the time: times do not survive an image's layers. (`-B`: what the compiler
    itself imports would else be compiled the usual way, before it gets there.)
    """
    python = staged / "bin" / "python"
    if not python.exists():
        return
    command: list[str | Path] = [python, "-B", "-m", "compileall", "-f", "-qq", "-j", "0"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", staged, "-p", prefix, staged / "lib"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        seen = (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"
        todo = "see whether this machine has what the environment's Python needs (containers/dask-hpc/runtime.txt)"
        raise InstallError("could not compile the environment's modules", seen[-2000:], todo)


def write_identity(lock: Lock, drift: list[dict[str, str]], staged: Path) -> None:
    """Say what this environment is: by the lock's hash, and by name and version."""
    identity = {
        "schema": 1,
        "lock_sha256": lock.sha256,
        "channel": lock.channel,
        "platform": lock.platform,
        "drifted": bool(drift),
        "drift": drift,
        "packages": {r.name.normalized: str(r.version) for r in sorted(lock.records, key=lambda r: r.name.normalized)},
    }
    path = staged / "share/dask-hpc/env.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(identity, indent=1) + "\n")


def install_env(path: Path, prefix: Path, channel: Path | None, *, locked: bool) -> None:
    """Read, check, unpack, compile, name, and only then move into place."""
    start = time.monotonic()
    lock = read_lock(path)
    if prefix.exists() and (not prefix.is_dir() or any(prefix.iterdir())):
        raise InstallError(
            f"{prefix} is there already", "it is not an empty folder", "remove it, or name another --prefix"
        )
    drift = drifted(lock, channel, locked=locked)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{prefix.name}.", dir=prefix.parent) as tmp:
        staged, downloads = Path(tmp, "env"), Path(tmp, "downloads")
        downloads.mkdir()
        files = obtain(lock, channel, downloads)
        unpack(lock, files, staged, prefix, Path(tmp, "cache"))
        compile_bytecode(staged, prefix)
        write_identity(lock, drift, staged)
        staged.rename(prefix)
    _say(f"{prefix}: {len(lock.records)} packages in {time.monotonic() - start:.1f} s")


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    print(f"install_env: {text}", file=stream, flush=True)


def main() -> int:
    """Run; a failure that a person can act on is a message, not a traceback."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--lock", type=Path, required=True, help="a lock of containers/dask-hpc/locks")
    parser.add_argument("--prefix", type=Path, required=True, help="where the environment will be; not there yet")
    parser.add_argument("--channel", type=Path, help="folder that has the packages of the lock's channel")
    parser.add_argument("--locked", action="store_true", help="refuse packages that are newer than the lock")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half made is removed
    try:
        install_env(args.lock, Path(os.path.abspath(args.prefix)), args.channel, locked=args.locked)  # noqa: PTH100
    except InstallError as error:
        _say(str(error), sys.stderr)
        return 1
    except OSError as error:
        _say(
            str(InstallError("cannot write", str(error), "make room on the disk, or get the right to write")),
            sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
