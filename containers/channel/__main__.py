"""The command line: `python -m containers.channel build | is-locked | pin-wheels | pin-debs | lock`."""

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
ASKED = "environment.yml"  # beside the locks of a user's own environment: what they are of


def main() -> int:
    """Run a command; a failure that a person can act on is a message, not a traceback."""
    args = _parser().parse_args()
    args.locks = args.locks or _locks_of(getattr(args, "environment", environment.FILE))
    try:
        args.run(args)
    except ChannelError as error:
        _say(str(error), sys.stderr)
        return 1
    except OSError as error:
        _say(str(ChannelError("could not write", str(error), "make room on the disk (500 MB)")), sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m containers.channel", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("build", build, "fetch the sources and write the channel"),
        ("is-locked", is_locked, "end with 0 if the locks are those of environment.yml"),
        ("pin-wheels", pin_wheels, "renew wheels.txt from environment.yml, and our tools' and Jupyter's from theirs"),
        ("pin-debs", pin_debs, "renew debs.lock from Debian's mirror"),
        ("lock", lock, "solve environment.yml against a channel and write the environment's lock"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("--python", default=os.environ.get("PYTHON_VERSION", "3.13"), help="X.Y (%(default)s)")
        command.add_argument("--sources", type=Path, default=HERE, help="folder of debs.lock and tools.in")
        command.add_argument("--locks", type=Path, help="folder of wheels.txt and the locks")
        if name == "build":
            command.add_argument("--out", type=Path, required=True, help="folder of the channel")
            command.add_argument("--locked", action="store_true", help="stop if Debian's mirror has moved on")
        if name in ("is-locked", "pin-wheels", "lock"):
            command.add_argument("--environment", type=_path, default=environment.FILE, help="environment.yml")
        if name == "pin-wheels":
            command.add_argument("--jupyter", type=Path, default=HERE.parent / "jupyter", help="folder of kernel.in")
            command.add_argument("--upgrade", action="store_true", help="take the newest versions")
        if name == "is-locked":
            command.add_argument("channel", nargs="?", default="local", help="the channel's name")
        if name == "lock":
            command.add_argument("channel", help="folder of the local channel, a URL, or a name such as conda-forge")
            command.add_argument("--out", type=Path, help="the lock (default: CHANNEL-linux-64.lock in --locks)")
    return parser


def _path(text: str) -> Path:
    return Path(text).resolve()


def _locks_of(file: Path) -> Path:
    """The folder of an environment's locks; a user's own lie beside its file, as containers/environment.sh knows."""
    return solve.LOCKS if file == environment.FILE else file.with_suffix(".locks")


def build(args: argparse.Namespace) -> None:
    """Fetch, convert, write: the channel, and drift.json if a Debian package is not the locked one."""
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
    """End with 0 if the locks are there, and are those of environment.yml; else with 3."""
    wanted = environment.own(args.environment)
    asked = args.locks / ASKED
    there = all((args.locks / name).exists() for name in (ASKED, f"{args.channel}-{SUBDIR}.lock"))
    if not there or environment.read(asked) != wanted:
        sys.exit(3)


def pin_wheels(args: argparse.Namespace) -> None:
    """Renew wheels.txt; of our own environment, also tools.txt, and what Jupyter's image has over that."""
    sources = args.sources
    jupyter = args.jupyter
    wheels = args.locks / "wheels.txt"
    renew = partial(pin.pin_wheels, python=args.python, upgrade=args.upgrade)
    wanted = environment.own(args.environment)
    args.locks.mkdir(parents=True, exist_ok=True)
    if args.environment != environment.FILE:
        environment.write(wanted, args.locks / ASKED)
        if not wheels.exists():  # what both have, they have alike
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
    """Write the environment's lock, and show what changed."""
    wanted = environment.own(args.environment)
    if args.environment != environment.FILE:
        environment.write(wanted, args.locks / ASKED)
    solve.lock(args.channel, wanted, out=args.out, console=Console(), locks=args.locks)


def _record_drift(channel: Path, drift: list[Drift]) -> None:
    """Tell the installer, and a person, that what is made of Debian's packages is newer than the locks."""
    record = channel / "drift.json"
    record.unlink(missing_ok=True)
    if drift:
        record.write_text(json.dumps({"drift": [asdict(d) for d in drift]}, indent=1) + "\n")
        _say("drift: Debian's mirror has moved on since debs.lock; the environment is marked as drifted")
    for d in drift:
        _say(f"  {d.package}: {d.locked} -> {d.installed}")


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    print(f"channel: {text}", file=stream, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # py-rattler's threads may still call Python: an ordinary exit now and then crashes under them
