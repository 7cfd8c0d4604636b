"""Download the channel's sources, and check them against the committed hashes.

PyPI keeps wheels forever. Debian's mirrors keep only the newest build of a package. If it is newer than debs.lock, use
it, since Debian has signed it, and report it as drift; with `locked`, fail instead.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from containers.channel.errors import ChannelError


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A Debian package, as listed in debs.lock or in the mirror's signed index."""

    name: str
    version: str
    architecture: str
    sha256: str


@dataclass(frozen=True)
class Drift:
    """A Debian package whose locked version is no longer on the mirror."""

    package: str
    locked: str
    installed: str


def fetch_wheels(requirements: Path, folder: Path) -> list[Path]:
    """Download every wheel of a file of hashed requirements."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ChannelError("could not fetch the wheels", _pip_reason(done.stderr), _pip_advice(done.stderr))
    return sorted(folder.glob("*.whl"))


def fetch_debs(lock: Path, folder: Path, *, locked: bool) -> tuple[list[Path], list[Drift]]:
    """Download every Debian package of the lock, or its newer build; return the files and the drift."""
    wanted = read_lock(lock)
    chosen = [_choose(deb) for deb in wanted]
    drift = [
        Drift(old.name, old.version, new.version)
        for old, new in zip(wanted, chosen, strict=True)
        if new.version != old.version
    ]
    if drift and locked:
        raise ChannelError(
            "Debian's mirror no longer has the versions in debs.lock, and LOCKED=1 accepts no others",
            "; ".join(f"{d.package} {d.locked} -> {d.installed}" for d in drift),
            "renew the lock with `make lock`, or build without LOCKED=1: the environment is then marked as drifted",
        )
    return [_download(deb, folder) for deb in chosen], drift


def read_lock(path: Path) -> list[Deb]:
    """Read debs.lock: name, version, architecture and sha256, one package per line."""
    lines = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    for fields in lines:
        if len(fields) != 4 or not re.fullmatch("[0-9a-f]{64}", fields[3]):
            raise ChannelError(f"{path.name} is damaged", " ".join(fields), "renew it with `make lock`")
    return [
        Deb(name=name, version=version, architecture=architecture, sha256=sha256)
        for name, version, architecture, sha256 in lines
    ]


def newest(name: str) -> Deb:
    """Return the version that apt would install now."""
    return _known(name, "--no-all-versions")[0]


def _choose(deb: Deb) -> Deb:
    """Return the locked package if the mirror still has it, else the newest."""
    same = [known for known in _known(deb.name, "--all-versions") if known.version == deb.version]
    if not same:
        return newest(deb.name)
    if same[0].sha256 != deb.sha256:
        raise ChannelError(
            f"the mirror's {deb.name} {deb.version} differs from the locked one",
            f"sha256 {same[0].sha256}, locked {deb.sha256}",
            "do not use this mirror; if debs.lock is wrong, renew it with `make lock`",
        )
    return deb


def _known(name: str, which: str) -> list[Deb]:
    """Return the entries for a name in apt's index, whose signature apt has checked."""
    found = subprocess.run(["apt-cache", "show", which, name], capture_output=True, text=True)
    stanzas = [Parser().parsestr(text) for text in found.stdout.split("\n\n") if "SHA256:" in text]
    if not stanzas:
        raise ChannelError(
            f"Debian package {name} not found",
            found.stderr.strip().partition("\n")[0] or "an empty index",
            "check that `apt-get update` reaches Debian's mirror, and that the base has the suite in versions.env",
        )
    return [Deb(name=name, version=s["Version"], architecture=s["Architecture"], sha256=s["SHA256"]) for s in stanzas]


def _download(deb: Deb, folder: Path) -> Path:
    command = ["apt-get", "download", "--quiet", "-o", "APT::Sandbox::User=root", f"{deb.name}={deb.version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ChannelError(
            f"could not download {deb.name} {deb.version}",
            " ".join(done.stderr.split()),
            "check that Debian's mirror is reachable and that the disk is not full",
        )
    path = next(folder.glob(f"{deb.name}_*.deb"))
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != deb.sha256:
        raise ChannelError(
            f"{path.name} has the wrong hash",
            f"sha256 {seen}, expected {deb.sha256}",
            "build again; if this persists, do not use this mirror",
        )
    return path


def _pip_reason(stderr: str) -> str:
    """Return the cause of a failure from pip's output."""
    network = re.findall(r"connection broken by '(.*?)':? /", stderr)
    hashes = re.findall(r"^\s+(?:Expected sha256|Got).*$|^\s+\S+ from \S+.*:$", stderr, re.MULTILINE)
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines()
    return "\n         ".join([*network[-1:], *(h.strip() for h in hashes), *errors[:1]]) or "no message from pip"


def _pip_advice(stderr: str) -> str:
    if "No space left" in stderr:
        return "free 200 MB on the disk, for the wheels and the packages made from them"
    if "DO NOT MATCH THE HASHES" in stderr:
        return "do not use this index; if wheels.txt is wrong, renew it with `make lock`"
    return "check that a build can reach PyPI, or the index in your pip settings"
