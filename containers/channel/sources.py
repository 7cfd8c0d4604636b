"""Fetches what the channel is built from, and checks it against the committed hashes.

Wheels stay on their registry for ever. Debian's mirrors keep only the newest build of a package: when one has moved on
since debs.lock, the newer one, which Debian signed, is taken and named as drift; or nothing is, if `locked`.
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
    """A Debian package, as debs.lock and the mirror's signed index know it."""

    name: str
    version: str
    architecture: str
    sha256: str


@dataclass(frozen=True)
class Drift:
    """A Debian package whose locked version the mirror no longer has."""

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
    """Download every Debian package of the lock, or its successor, and say what drifted."""
    wanted = read_lock(lock)
    chosen = [_choose(deb) for deb in wanted]
    drift = [
        Drift(old.name, old.version, new.version)
        for old, new in zip(wanted, chosen, strict=True)
        if new.version != old.version
    ]
    if drift and locked:
        raise ChannelError(
            "Debian's mirror no longer has what debs.lock names, and LOCKED=1 allows nothing else",
            "; ".join(f"{d.package} {d.locked} -> {d.installed}" for d in drift),
            "renew the lock with `make lock`, or build without LOCKED=1: the environment is then marked as drifted",
        )
    return [_download(deb, folder) for deb in chosen], drift


def read_lock(path: Path) -> list[Deb]:
    """Read debs.lock: name, version, architecture and sha256, one package a line."""
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
    """The locked package if the mirror still has it, else the newest."""
    same = [known for known in _known(deb.name, "--all-versions") if known.version == deb.version]
    if not same:
        return newest(deb.name)
    if same[0].sha256 != deb.sha256:
        raise ChannelError(
            f"the mirror's {deb.name} {deb.version} is not the one that was locked",
            f"sha256 {same[0].sha256}, locked {deb.sha256}",
            "do not use this mirror; if debs.lock is what is wrong, renew it with `make lock`",
        )
    return deb


def _known(name: str, which: str) -> list[Deb]:
    """Return the entry of apt's index for a name. Apt checked the index's signature when it fetched it."""
    found = subprocess.run(["apt-cache", "show", which, name], capture_output=True, text=True)
    stanzas = [Parser().parsestr(text) for text in found.stdout.split("\n\n") if "SHA256:" in text]
    if not stanzas:
        raise ChannelError(
            f"Debian has no package {name}",
            found.stderr.strip().partition("\n")[0] or "an empty index",
            "see that `apt-get update` reaches Debian's mirror, and that the base is the suite of versions.env",
        )
    return [Deb(name=name, version=s["Version"], architecture=s["Architecture"], sha256=s["SHA256"]) for s in stanzas]


def _download(deb: Deb, folder: Path) -> Path:
    command = ["apt-get", "download", "--quiet", "-o", "APT::Sandbox::User=root", f"{deb.name}={deb.version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ChannelError(
            f"could not download {deb.name} {deb.version}",
            " ".join(done.stderr.split()),
            "see that Debian's mirror can be reached and that the disk is not full",
        )
    path = next(folder.glob(f"{deb.name}_*.deb"))
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != deb.sha256:
        raise ChannelError(
            f"{path.name} is not what it should be",
            f"sha256 {seen}, should be {deb.sha256}",
            "build again; if it stays, do not use this mirror",
        )
    return path


def _pip_reason(stderr: str) -> str:
    """Return the cause of a failure from pip's retries and errors."""
    network = re.findall(r"connection broken by '(.*?)':? /", stderr)
    hashes = re.findall(r"^\s+(?:Expected sha256|Got).*$|^\s+\S+ from \S+.*:$", stderr, re.MULTILINE)
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines()
    return "\n         ".join([*network[-1:], *(h.strip() for h in hashes), *errors[:1]]) or "pip said nothing"


def _pip_advice(stderr: str) -> str:
    if "No space left" in stderr:
        return "make room on the disk: the wheels and what is built of them take 200 MB"
    if "DO NOT MATCH THE HASHES" in stderr:
        return "do not use this index; if wheels.txt is what is wrong, renew it with `make lock`"
    return "see that PyPI, or the index of your pip settings, can be reached from a build"
