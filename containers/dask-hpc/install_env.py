#!/usr/bin/env python3
"""Installs the environment that a lock names: its packages and no others, each checked before anything is unpacked.

The environment is made beside the prefix and moved there when it is whole, so it is there entirely or not at all.

usage: install_env.py --lock locks/local-linux-64.lock --prefix /opt/env [--channel DIR] [--locked]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from env_lock import InstallError, Lock, drifted, obtain, read_lock
from rattler import exceptions as failed
from rattler import install

UNPACKING = (failed.CacheDirError, failed.ExtractError, failed.InstallerError, failed.IoError, failed.TransactionError)


def unpack(lock: Lock, files: dict[str, Path], *, staged: Path, prefix: Path, cache: Path) -> None:
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
    """Compile all modules by the environment's own Python, but the tests of packages, which no program imports.

    Unchecked: the image's files do not change under it, and a SIF is read-only: what is stale there would be compiled
    anew at every start. Of the hash, not of the time: times do not survive an image's layers. (`-B`: what the compiler
    itself imports would else be compiled the usual way, before it gets there.)
    """
    python = staged / "bin" / "python"
    if not python.exists():
        return
    command: list[str | Path] = [python, "-B", "-m", "compileall", "-f", "-q", "-j", "0"]
    command += ["-x", "/site-packages/.*/tests?/", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", staged, "-p", prefix, staged / "lib"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        seen = (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"
        todo = "make room if the disk is full; else see that the machine has what Python links to (runtime.txt)"
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


def make(args: argparse.Namespace, folder: Path) -> None:
    """Read, check, unpack, compile and name; what is whole then lies in `folder`/env."""
    start = time.monotonic()
    lock = read_lock(args.lock)
    drift = drifted(lock, args.channel, locked=args.locked)
    for d in drift:
        _say(f"drifted from the lock: {d['package']} {d['locked']} -> {d['installed']}")
    staged = folder / "env"
    downloads = folder / "downloads"
    downloads.mkdir()
    files = obtain(lock, args.channel, downloads)
    unpack(lock, files, staged=staged, prefix=args.prefix, cache=folder / "cache")
    compile_bytecode(staged, args.prefix)
    write_identity(lock, drift, staged)
    _say(f"{args.prefix}: {len(lock.records)} packages in {time.monotonic() - start:.1f} s")


def install_env(args: argparse.Namespace) -> None:
    """Make the environment beside the prefix and move it there.

    A process of its own makes it: py-rattler's threads write on for a moment after they failed, and end with it.
    """
    prefix: Path = args.prefix
    if prefix.exists() and (not prefix.is_dir() or any(prefix.iterdir())):
        todo = "remove it, or name another --prefix"
        raise InstallError(f"{prefix} is there already", "it is not an empty folder", todo)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{prefix.name}.", dir=prefix.parent) as tmp:
        maker = get_context("fork").Process(target=_reported, args=(make, args, Path(tmp)))
        maker.start()
        try:
            maker.join()
        finally:
            maker.terminate()
            maker.join()
        if maker.exitcode:
            sys.exit(maker.exitcode)
        Path(tmp, "env").rename(prefix)


def _reported(run: Callable[..., None], *args: object) -> None:
    """Run; a failure that a person can act on ends in a message, not a traceback."""
    try:
        run(*args)
    except InstallError as error:
        sys.exit(f"install_env: {error}")
    except OSError as error:
        refused = InstallError("cannot read or write a file", str(error), "make room on the disk, or get the right to")
        sys.exit(f"install_env: {refused}")


def _say(text: str) -> None:
    print(f"install_env: {text}", flush=True)  # noqa: T201


def main() -> None:
    """Read the command line and install."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lock", type=Path, required=True, help="a lock of containers/dask-hpc/locks")
    parser.add_argument("--prefix", type=Path, required=True, help="where the environment will be; not there yet")
    parser.add_argument("--channel", type=Path, help="folder that has the packages of the lock's channel")
    parser.add_argument("--locked", action="store_true", help="refuse packages that are newer than the lock")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half made is removed
    args.prefix = Path.cwd() / args.prefix
    _reported(install_env, args)


if __name__ == "__main__":
    main()
