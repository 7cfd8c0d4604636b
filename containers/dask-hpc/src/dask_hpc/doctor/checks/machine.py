"""Check the operating system's resources, here and on the nodes."""

from __future__ import annotations

import os
import resource
import shutil
import sys

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, names, ok, warning
from dask_hpc.processes import run

_SHM = 64 << 20  # bytes: the default of a container
_FILES = 1024  # a scheduler opens several per worker
_HERE = "this machine"


def shared_memory(site: Site) -> Verdict:
    """Return the size of /dev/shm, through which MPI ranks on one node communicate."""
    try:
        here = os.statvfs("/dev/shm")  # noqa: S108 (the mount, not a file in it)
    except OSError as error:
        return failure(
            f"not available: {error.strerror}", "have it mounted: MPI ranks on one node communicate through it"
        )
    sizes = {_HERE: here.f_blocks * here.f_frsize} | _of_nodes(site, "shm")
    least = min(sizes, key=lambda node: sizes[node])
    seen = f"{sizes[least] >> 20} MiB on {least}"
    if sizes[least] <= _SHM:
        return warning(seen, "in a container, enlarge it (docker run --shm-size=1g): large MPI messages need it")
    return ok(seen + (", or more elsewhere" if len(sizes) > 1 else ""))


def open_files(site: Site) -> Verdict:
    """Return the number of files and connections that a process may have open."""
    limits = {_HERE: resource.getrlimit(resource.RLIMIT_NOFILE)[0]} | _of_nodes(site, "files")
    least = min(limits, key=lambda node: limits[node])
    seen = f"{limits[least]} on {least}"
    if limits[least] < _FILES:
        return failure(seen, f"first run 'ulimit -n {_FILES}' or more: a scheduler opens several files per worker")
    return ok(seen + (", or more elsewhere" if len(limits) > 1 else ""))


def _of_nodes(site: Site, what: str) -> dict[str, int]:
    reports = site.survey.nodes if site.slurm else []
    return {one.node: value for one in reports if (value := getattr(one, what)) is not None}


def namespaces(site: Site) -> Verdict:
    """Check that Apptainer can run: it needs user namespaces, unless it is installed setuid."""
    if site.sif:
        without = [one.node for one in site.survey.nodes if not one.apptainer] if site.slurm else []
        if without:
            return failure(
                f"apptainer not found on {names(without)}", "have it installed there: workers run in the SIF too"
            )
        return ok("Apptainer runs here" + (", and is on all nodes that were checked" if site.survey.nodes else ""))
    allowed = _allowed_here()
    command = shutil.which("apptainer") or shutil.which("singularity")
    if allowed or not command:
        return ok("allowed" if allowed else "not allowed here, but only Apptainer needs them, which is not on PATH")
    return warning(
        f"not allowed here, and {command} needs them unless it is installed setuid",
        "see sysctl user.max_user_namespaces; kernel.unprivileged_userns_clone or AppArmor may also forbid them",
    )


def _allowed_here() -> bool:
    # in another process, since it cannot be undone
    code = "import os; os.unshare(os.CLONE_NEWUSER)"
    return run(sys.executable, "-ISc", code, timeout=10).status == 0
