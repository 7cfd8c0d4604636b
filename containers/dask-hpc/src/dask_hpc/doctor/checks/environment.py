"""Identify the environment, and check that nodes have the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, names, ok, warning
from dask_hpc.identity import environment, release, share_folder

_LARGE = 1_000_000  # bytes: only the size of a SIF is compared, since a hundred nodes would read it at once


def lock(_site: Site) -> Verdict:
    """Return the release, and the lock that the environment was installed from."""
    identity = environment()
    this = release()
    if identity.lock_sha256 is None:
        return warning(
            "not an installed environment: its packages are not locked",
            "for reproducible results, run it in the image or the SIF",
        )
    seen = f"dask-hpc {this.version} ({this.revision}), lock {identity.lock_sha256[:12]}"
    if identity.drifted:
        return warning(
            f"{seen}, drifted: {_drift()}",
            "'make lock && make images' locks the new versions; with LOCKED=1 a build stops instead",
        )
    return ok(seen)


def own_packages(_site: Site) -> Verdict | None:
    """Return the packages added to the locked ones, and warn about packages that replace them."""
    found = environment()
    where = found.venv or "PYTHONPATH or a home folder"
    if found.replaced:
        others = ", ".join(f"{name} {version}" for name, version in found.replaced.items())
        return warning(
            f"not the locked version, from {where}: {others}",
            "uninstall it there, or install the locked version: results may differ from the locked environment's",
        )
    if found.added:
        return ok(f"{_listed(found.added)} from {where}")
    return ok(f"none in {where}") if found.venv else None


def _listed(packages: dict[str, str], most: int = 4) -> str:
    shown = [f"{name} {version}" for name, version in packages.items()][:most]
    more = f" and {len(packages) - most} more" if len(packages) > most else ""
    return ", ".join(shown) + more


def _drift() -> str:
    try:
        found = msgspec.json.decode((share_folder() / "env.json").read_bytes(), type=_Drift).drift
    except (OSError, msgspec.MsgspecError):
        found = []
    said = [f"{one.package} {one.locked} -> {one.installed}" for one in found[:3]]
    return ", ".join(said) or "a package is newer than the lock says"


class _Drifted(msgspec.Struct):
    package: str | None = None
    locked: str | None = None
    installed: str | None = None


class _Drift(msgspec.Struct):
    drift: list[_Drifted] = []


def on_nodes(site: Site) -> Verdict | None:
    """Compare the environment here with that on every node."""
    reports = site.survey.nodes
    if not reports:
        return None
    what = "the SIF" if site.sif else "this environment"
    here = site.sif.path if site.sif else str(site.mark)
    absent = [one.node for one in reports if not one.mark]
    if absent:
        return failure(f"{what} not found on {names(absent)} ({here})", "put it at the same path on all nodes")
    # the SIF may be invisible from inside; then nodes are compared with each other
    ours = fingerprint(site.mark) or reports[0].mark
    others = [one.node for one in reports if one.mark != ours]
    if others:
        return failure(f"different on {names(others)} than here ({here})", "install the same everywhere")
    return ok(f"the same on {_count(len(reports))}")


def _count(nodes: int) -> str:
    return f"{nodes} node{'s' if nodes != 1 else ''}"


def fingerprint(file: Path) -> str:
    """Return a file's fingerprint, as nodes compute it: the size of a large file, else its SHA-256; '' if missing."""
    try:
        size = file.stat().st_size
        return str(size) if size > _LARGE else hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
