"""Command line: `python -m containers.channel build | is-locked | pin-wheels | pin-debs | lock`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

from rich.console import Console

from containers.channel import environment, pin, solve
from containers.channel.conda import SUBDIR, write_channel
from containers.channel.errors import ChannelError
from containers.channel.python import python_package
from containers.channel.sources import Drift, fetch_debs, fetch_wheels, read_lock
from containers.channel.wheels import wheel_package

HERE = Path(__file__).parent
ASKED = "environment.yml"  # beside the locks of a user's own environment: the specs they were made from


def main() -> int:
    """Run a command; report expected failures as messages, without a traceback."""
    args = _parser().parse_args()
    args.locks = args.locks or _locks_of(getattr(args, "environment", environment.FILE))
    try:
        args.run(args)
    except ChannelError as error:
        _say(str(error), sys.stderr)
        return 1
    except OSError as error:
        _say(str(ChannelError("could not write", str(error), "free 500 MB on the disk")), sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m containers.channel", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("build", build, "fetch the sources and write the channel"),
        ("is-locked", is_locked, "exit with 0 if the locks match environment.yml, else with 3"),
        ("pin-wheels", pin_wheels, "renew wheels.txt, and the pinned wheels of our tools and of Jupyter"),
        ("pin-debs", pin_debs, "renew debs.lock from Debian's mirror"),
        ("lock", lock, "solve environment.yml against a channel and write the lock"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("--python", default=os.environ.get("PYTHON_VERSION", "3.13"), help="X.Y (%(default)s)")
        command.add_argument("--sources", type=Path, default=HERE, help="folder with debs.lock and tools.in")
        command.add_argument("--locks", type=Path, help="folder with wheels.txt and the locks")
        if name == "build":
            command.add_argument("--out", type=Path, required=True, help="folder of the channel")
            command.add_argument("--locked", action="store_true", help="reject Debian packages newer than debs.lock")
        if name in ("is-locked", "pin-wheels", "lock"):
            command.add_argument("--environment", type=_path, default=environment.FILE, help="environment.yml")
        if name == "pin-wheels":
            command.add_argument("--jupyter", type=Path, default=HERE.parent / "jupyter", help="folder with kernel.in")
            command.add_argument("--upgrade", action="store_true", help="pin the newest versions")
        if name == "is-locked":
            command.add_argument("channel", nargs="?", default="local", help="the channel's name")
        if name == "lock":
            command.add_argument("channel", help="folder of the local channel, a URL, or a name such as conda-forge")
            command.add_argument("--out", type=Path, help="lock file (default: CHANNEL-linux-64.lock in --locks)")
    return parser


def _path(text: str) -> Path:
    return Path(text).resolve()


def _locks_of(file: Path) -> Path:
    """Return the folder of an environment's locks: beside a user's own file, as in containers/environment.sh."""
    return solve.LOCKS if file == environment.FILE else file.with_suffix(".locks")


def build(args: argparse.Namespace) -> None:
    """Download and convert all packages, and write the channel, with drift.json if a Debian package is newer."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        debs, drift = fetch_debs(args.sources / "debs.lock", folder, locked=args.locked)
        wheels = fetch_wheels(args.locks / "wheels.txt", folder)
        fetched = time.monotonic()
        _say(f"fetched {len(wheels)} wheels and {len(debs)} Debian packages in {fetched - start:.1f} s")
        packages = [wheel_package(wheel, args.python) for wheel in wheels]
        pip = next((wheel for wheel in wheels if wheel.name.startswith("pip-")), None)
        packages.append(python_package(debs, args.python, pip))
        write_channel(args.out, packages)
    _record_drift(args.out, drift)
    _say(f"wrote {len(packages)} conda packages in {time.monotonic() - fetched:.1f} s")


def is_locked(args: argparse.Namespace) -> None:
    """Exit with 0 if the locks exist and match environment.yml, else with 3."""
    wanted = environment.own(args.environment)
    asked = args.locks / ASKED
    there = all((args.locks / name).exists() for name in (ASKED, f"{args.channel}-{SUBDIR}.lock"))
    if not there or environment.read(asked) != wanted:
        sys.exit(3)


def pin_wheels(args: argparse.Namespace) -> None:
    """Renew wheels.txt; for our own environment, also tools.txt and the wheels of Jupyter's image."""
    sources = args.sources
    jupyter = args.jupyter
    wheels = args.locks / "wheels.txt"
    renew = partial(pin.pin_wheels, python=args.python, upgrade=args.upgrade)
    wanted = environment.own(args.environment)
    args.locks.mkdir(parents=True, exist_ok=True)
    if args.environment != environment.FILE:
        environment.write(wanted, args.locks / ASKED)
        if not wheels.exists():  # start from our versions, so that common packages are the same
            wheels.write_text((solve.LOCKS / "wheels.txt").read_text())
        renew(wanted.requirements(), wheels, what=f"The wheels of {wanted.name}.")
        return
    renew(_asked(sources / "tools.in"), sources / "tools.txt", what="The builder's own tools.")
    renew(wanted.requirements(), wheels, what="The environment's wheels.")
    kernel = jupyter / "kernel.txt"
    renew(_asked(jupyter / "kernel.in"), kernel, what="The kernel's, over the environment.", over=wheels)
    renew(_asked(jupyter / "server.in"), jupyter / "server.txt", what="The server's, beside the kernel's.", over=kernel)


def _asked(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def pin_debs(args: argparse.Namespace) -> None:
    """Renew debs.lock."""
    lock = args.sources / "debs.lock"
    pin.pin_debs([deb.name for deb in read_lock(lock)], lock)


def lock(args: argparse.Namespace) -> None:
    """Write the environment's lock and show the changes."""
    wanted = environment.own(args.environment)
    if args.environment != environment.FILE:
        environment.write(wanted, args.locks / ASKED)
    solve.lock(args.channel, wanted, out=args.out, console=Console(), locks=args.locks)


def _record_drift(channel: Path, drift: list[Drift]) -> None:
    """Record for the installer, and print, which Debian packages are newer than the locks."""
    record = channel / "drift.json"
    record.unlink(missing_ok=True)
    if drift:
        record.write_text(json.dumps({"drift": [asdict(d) for d in drift]}, indent=1) + "\n")
        _say("drift: Debian's mirror is newer than debs.lock; the environment is marked as drifted")
    for d in drift:
        _say(f"  {d.package}: {d.locked} -> {d.installed}")


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    print(f"channel: {text}", file=stream, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # py-rattler's threads may still call Python, which sometimes crashes an ordinary exit
