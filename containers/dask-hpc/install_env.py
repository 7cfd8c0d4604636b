#!/usr/bin/env python3
"""Install exactly the packages of a lock. Check every package before unpacking any.

The environment is built beside the prefix and then moved there, so a prefix is never incomplete.

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
    """Install checked files into `staged`, for use at `prefix`, without recording the local paths of packages."""
    urls = {}
    for record in lock.records:
        urls[record.file_name] = record.url
        record.url = files[record.url].resolve().as_uri()
    try:
        asyncio.run(
            install(lock.records, staged, cache_dir=cache, show_progress=False, alternative_target_prefix=prefix)
        )
    except UNPACKING as error:
        todo = "if the disk is full, make room (600 MB); else build the channel again"
        raise InstallError("could not unpack the packages", " ".join(str(error).split()), todo) from None
    for path in (staged / "conda-meta").glob("*.json"):
        record_ = json.loads(path.read_text())
        for temporary in ("extracted_package_dir", "package_tarball_full_path", "link"):
            record_.pop(temporary, None)
        record_["url"] = urls[record_["fn"]]
        path.write_text(json.dumps(record_, indent=1, sort_keys=True) + "\n")


def compile_bytecode(staged: Path, prefix: Path) -> None:
    """Compile all modules with the environment's own Python, except the packages' tests, which no program imports.

    Unchecked, because the image's files do not change, and in a read-only SIF a stale module would be compiled again at
    every start. By hash, because times do not survive an image's layers. Without `-B`, the modules that the compiler
    imports would be compiled the usual way first.
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
        todo = "if the disk is full, make room; else check that the libraries of runtime.txt are installed"
        raise InstallError("could not compile the environment's modules", seen[-2000:], todo)


def write_identity(lock: Lock, drift: list[dict[str, str]], staged: Path) -> None:
    """Write env.json: the lock's hash, and every package with its version."""
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
    """Read the lock, check, unpack and compile the packages, and write the identity, all in `folder`/env."""
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
    """Build the environment beside the prefix and move it there.

    Use a separate process: after a failure, py-rattler's threads continue to write for a moment, unless it ends.
    """
    prefix: Path = args.prefix
    if prefix.exists() and (not prefix.is_dir() or any(prefix.iterdir())):
        todo = "remove it, or name another --prefix"
        raise InstallError(f"{prefix} already exists", "it is not an empty folder", todo)
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
    """Run a function; report expected failures as messages, without a traceback."""
    try:
        run(*args)
    except InstallError as error:
        sys.exit(f"install_env: {error}")
    except OSError as error:
        refused = InstallError("cannot read or write a file", str(error), "make room on the disk, or get permission")
        sys.exit(f"install_env: {refused}")


def _say(text: str) -> None:
    print(f"install_env: {text}", flush=True)  # noqa: T201


def main() -> None:
    """Read the command line and install."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lock", type=Path, required=True, help="a lock in containers/dask-hpc/locks")
    parser.add_argument("--prefix", type=Path, required=True, help="where to install; an empty or new folder")
    parser.add_argument("--channel", type=Path, help="folder with the packages of the lock's channel")
    parser.add_argument("--locked", action="store_true", help="reject packages that are newer than the lock")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that partial files are removed
    args.prefix = Path.cwd() / args.prefix
    _reported(install_env, args)


if __name__ == "__main__":
    main()
