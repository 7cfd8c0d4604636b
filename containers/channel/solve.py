"""Solves environment.yml against a channel, and writes the lock: every package, its sha256, and where it lies."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from rattler import BuildString, Channel, Gateway, GenericVirtualPackage, PackageName, RepoDataRecord, Version, solve
from rattler.exceptions import FetchRepoDataError, GatewayError, InvalidChannelError, SolverError
from rattler.lock import LockChannel, LockFile, LockPlatform
from rich.console import Console
from rich.table import Table

from containers.channel.conda import SUBDIR
from containers.channel.environment import Environment
from containers.channel.errors import ChannelError

LOCKS = Path(__file__).parents[1] / "dask-hpc" / "locks"
# Where the local channel lies while it is installed. A lock knows absolute places only.
MOUNT_POINT = "file:///channel/"
# What the base image is, whatever the machine that solves.
BASE_IMAGE = (("__unix", "0", "0"), ("__linux", "5.10", "0"), ("__glibc", "2.41", "0"), ("__archspec", "1", "x86_64"))


def lock(channel: str, environment: Environment, *, out: Path | None, console: Console, locks: Path = LOCKS) -> Path:
    """Lock an environment for a channel, and show what changed; return the lock.

    Args:
        channel: a folder (the local channel), a URL, or a name such as `conda-forge`.
        environment: what is asked for.
        out: the lock, if it is not to have the usual name in `locks`.
        console: where the table goes.
        locks: the folder of the environment's locks.
    """
    folder = Path(channel)
    local = (folder / SUBDIR / "repodata.json").exists()
    url = folder.resolve().as_uri() + "/" if local else channel
    out = out or locks / f"{'local' if local else _name(channel)}-{SUBDIR}.lock"
    specs = environment.conda_specs()
    if local:  # all of it: wheels were resolved together, extras included, of which a conda package knows nothing
        specs += sorted(_names(folder) - environment.specs.keys() - environment.pypi.keys())
    records = asyncio.run(_solved(url, specs))
    for record in records:
        record.indexed_timestamp = None  # when a server indexed it says nothing about the package
        if local:
            record.url = record.url.replace(url, MOUNT_POINT, 1)
            record.channel = MOUNT_POINT
    before = _locked(out)
    _write(out, MOUNT_POINT if local else Channel(channel).base_url, records)
    _show(before, _locked(out), out=out, console=console)
    return out


def _names(channel: Path) -> set[str]:
    repodata = json.loads((channel / SUBDIR / "repodata.json").read_text())
    return {str(entry["name"]) for entry in repodata["packages.conda"].values()}


async def _solved(url: str, specs: list[str]) -> list[RepoDataRecord]:
    base = [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, version, build in BASE_IMAGE
    ]
    try:
        records = await solve(
            [Channel(url)], specs, platforms=[SUBDIR, "noarch"], virtual_packages=base, gateway=Gateway()
        )
    except SolverError as error:
        raise ChannelError(f"no set of packages of {url} fits", str(error), "change environment.yml") from None
    except (GatewayError, FetchRepoDataError, InvalidChannelError) as error:
        raise ChannelError(f"cannot read the channel {url}", str(error), "see that it can be reached") from None
    return sorted(records, key=lambda record: record.name.normalized)


def _write(out: Path, channel: str, records: list[RepoDataRecord]) -> None:
    platform = LockPlatform(SUBDIR)
    file = LockFile([platform])
    file.set_channels("default", [LockChannel(channel)])
    for record in records:
        file.add_conda_package("default", platform, record)
    out.parent.mkdir(parents=True, exist_ok=True)
    file.to_path(out)


def _locked(path: Path) -> dict[str, tuple[str, str]]:
    """{package: (version and build, sha256)} of a lock; nothing if it is not there."""
    if not path.exists():
        return {}
    environment = LockFile.from_path(path).default_environment()
    records = environment.conda_repodata_records().get(SUBDIR, []) if environment else []
    return {r.name.normalized: (f"{r.version} {r.build}", (r.sha256 or b"").hex()) for r in records}


def _show(
    before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]], *, out: Path, console: Console
) -> None:
    table = Table("package", "old", "new", title=f"{out.name}: what changed")
    for name in sorted(before.keys() | after.keys()):
        old = before.get(name, ("", ""))
        new = after.get(name, ("", ""))
        if old != new:
            rebuilt = f" (sha256 {new[1][:8]}…)" if old[0] == new[0] else ""
            table.add_row(name, old[0] or "–", (new[0] or "–") + rebuilt)
    if table.row_count:
        console.print(table)
    else:
        console.print(f"{out.name}: nothing changed, {len(after)} packages")


def _name(channel: str) -> str:
    return re.sub(r"[^\w.-]", "", channel.rstrip("/").rpartition("/")[2]) or "channel"
