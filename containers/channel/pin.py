"""Pin the channel's sources: wheels.txt and tools.txt from requirements, debs.lock from Debian's mirror."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import unquote

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from containers.channel.errors import ChannelError
from containers.channel.sources import newest

# The base image has glibc 2.41: newer wheels do not run on it.
GLIBC_MINOR = 41
DEBS_HEADER = "# Debian's Python. Written by `make lock`: name, version, architecture, sha256.\n"
WHEELS_HEADER = "# {what} Written by `make lock`: one wheel each, for CPython {python} on Linux, x86_64.\n"


def pin_wheels(
    requirements: list[str], lock: Path, *, python: str, what: str, upgrade: bool, over: Path | None = None
) -> None:
    """Resolve the requirements and write the best wheel for each. Versions stay, unless `upgrade`.

    Args:
        requirements: In PyPI's terms.
        lock: Lock file to read and rewrite.
        python: Version of Python, X.Y.
        what: First sentence of the lock's header.
        upgrade: Pin the newest versions.
        over: Lock of the packages below: their versions are fixed, and they are not written again.
    """
    there = _pinned(over) if over else {}
    fixed = [f"{name}=={version}" for name, version in there.items()]
    known = [] if upgrade else [f"{name}=={version}" for name, version in _pinned(lock).items()]
    resolved = tomllib.loads(_resolve(requirements, preferred=[*known, *fixed], fixed=fixed, python=python))
    lines = []
    for package in sorted((p for p in resolved["packages"] if p["name"] not in there), key=lambda p: p["name"]):
        rank, sha256 = min((_rank(_file(w), python), w["hashes"]["sha256"]) for w in package["wheels"])
        if rank == sys.maxsize:
            seen = ", ".join(_file(w) for w in package["wheels"])
            raise ChannelError(
                f"no compatible wheel of {package['name']}", seen, "set another version in environment.yml"
            )
        lines.append(f"{package['name']}=={package['version']} --hash=sha256:{sha256}\n")
    lock.write_text(WHEELS_HEADER.format(what=what, python=python) + "".join(lines))


def pin_debs(names: list[str], lock: Path) -> None:
    """Write the newest version and sha256 of each Debian package; apt's index must be fresh."""
    debs = [newest(name) for name in names]
    lines = [f"{deb.name} {deb.version} {deb.architecture} {deb.sha256}\n" for deb in debs]
    lock.write_text(DEBS_HEADER + "".join(lines))


def _pinned(lock: Path) -> dict[str, str]:
    """Return {name: version} of every package in a lock, or nothing if the lock does not exist."""
    lines = lock.read_text().splitlines() if lock.exists() else []
    return dict(line.split()[0].split("==") for line in lines if "==" in line)


def _resolve(requirements: list[str], *, preferred: list[str], fixed: list[str], python: str) -> str:
    """Return uv's resolution, as pylock.toml. It keeps fixed versions, and preferred ones if it can."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--format", "pylock.toml", "--only-binary", ":all:"]
    command += ["--python", sys.executable]  # else uv runs every Python on the machine to find its version
    command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_40", "-"]
    for constraints in (preferred, fixed):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(constraints))
            file.flush()
            renewed = [*command, "--constraints", file.name]
            done = subprocess.run(renewed, input="\n".join(requirements), capture_output=True, text=True)
        if not done.returncode:
            return done.stdout
    raise ChannelError(
        "no compatible set of wheels",
        done.stderr.strip(),
        "check that PyPI is reachable, or change environment.yml",
    )


def _file(wheel: dict[str, str]) -> str:
    """Return the file name of a wheel on an index or in a folder."""
    return unquote((wheel.get("url") or wheel["path"]).rpartition("/")[2])


def _rank(file: str, python: str) -> int:
    """Return the rank of a wheel in pip's own order; 0 is best."""
    version = tuple(int(part) for part in python.split("."))
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC_MINOR, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    interpreter = f"cp{''.join(python.split('.'))}"
    order: list[Tag] = [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]
    return min((order.index(tag) for tag in parse_wheel_filename(file)[3] if tag in order), default=sys.maxsize)
