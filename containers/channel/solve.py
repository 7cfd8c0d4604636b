"""Solve environment.yml against a channel, and write the lock: every package with its URL and sha256."""

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
# Where the local channel is mounted during installation. A lock needs absolute URLs.
MOUNT_POINT = "file:///channel/"
# The base image's platform, regardless of the machine that solves.
BASE_IMAGE = (("__unix", "0", "0"), ("__linux", "5.10", "0"), ("__glibc", "2.41", "0"), ("__archspec", "1", "x86_64"))


def lock(channel: str, environment: Environment, *, out: Path | None, console: Console, locks: Path = LOCKS) -> Path:
    """Lock an environment for a channel, show the changes, and return the lock's path.

    Args:
        channel: Folder of the local channel, a URL, or a name such as `conda-forge`.
        environment: The environment to solve.
        out: Lock file. Default: the usual name in `locks`.
        console: Where to print the table of changes.
        locks: Folder of the environment's locks.
    """
    folder = Path(channel)
    local = (folder / SUBDIR / "repodata.json").exists()
    url = folder.resolve().as_uri() + "/" if local else channel
    out = out or locks / f"{'local' if local else _name(channel)}-{SUBDIR}.lock"
    specs = environment.conda_specs()
    if local:  # all packages: the wheels were resolved with their extras, which conda's metadata cannot express
        specs += sorted(_names(folder) - environment.specs.keys() - environment.pypi.keys())
    records = asyncio.run(_solved(url, specs))
    for record in records:
        record.indexed_timestamp = None  # depends on the server, not on the package
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
        raise ChannelError(f"no compatible set of packages in {url}", str(error), "change environment.yml") from None
    except (GatewayError, FetchRepoDataError, InvalidChannelError) as error:
        raise ChannelError(f"cannot read the channel {url}", str(error), "check that it is reachable") from None
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
    """Return {package: (version and build, sha256)} of a lock, or nothing if the lock does not exist."""
    if not path.exists():
        return {}
    environment = LockFile.from_path(path).default_environment()
    records = environment.conda_repodata_records().get(SUBDIR, []) if environment else []
    return {r.name.normalized: (f"{r.version} {r.build}", (r.sha256 or b"").hex()) for r in records}


def _show(
    before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]], *, out: Path, console: Console
) -> None:
    table = Table("package", "old", "new", title=f"{out.name}: changes")
    for name in sorted(before.keys() | after.keys()):
        old = before.get(name, ("", ""))
        new = after.get(name, ("", ""))
        if old != new:
            rebuilt = f" (sha256 {new[1][:8]}…)" if old[0] == new[0] else ""
            table.add_row(name, old[0] or "–", (new[0] or "–") + rebuilt)
    if table.row_count:
        console.print(table)
    else:
        console.print(f"{out.name}: no changes, {len(after)} packages")


def _name(channel: str) -> str:
    return re.sub(r"[^\w.-]", "", channel.rstrip("/").rpartition("/")[2]) or "channel"
