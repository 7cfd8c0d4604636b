"""Folders that the login node and all nodes must share: job scripts, credentials and results go through them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.survey import NodeReport
from dask_hpc.doctor.verdict import Verdict, failure, names, ok

_SAID = {"absent": "is not on", "elsewhere": "is another folder on", "unwritable": "cannot be written on"}


def folders(site: Site) -> Verdict:
    """Write in every folder here, and see from each node what was written."""
    refused = [f"{folder}: {error}" for folder in site.folders if (error := _refusal(folder))]
    if refused:
        return failure("; ".join(refused), "work in another folder, or make room and rights in that one")
    if not site.slurm:
        return ok(f"{' '.join(map(str, site.folders))} can be written")
    return judge(site.folders, site.survey.nodes)


def judge(wanted: Sequence[Path], nodes: Sequence[NodeReport]) -> Verdict:
    """Return what the nodes say of folders that can be written here."""
    listed = " ".join(map(str, wanted))
    if not nodes:
        return ok(f"{listed} can be written here; nodes were not asked")
    faults = []
    for folder in map(str, wanted):
        for state, words in _SAID.items():
            there = [one.node for one in nodes if one.folders.get(folder) == state]
            faults += [f"{folder} {words} {names(there)}"] if there else []
    if not faults:
        return ok(f"{listed} on {names([one.node for one in nodes])}")
    return failure(
        "not shared: " + "; ".join(faults),
        "start from a folder on the shared file system, and let --results and --log-directory be there",
    )


def _refusal(folder: Path) -> str:
    if not folder.is_dir():
        return "is not there"
    # by a name of our own: a signal that came while `tempfile` makes one would leave the file
    probe = folder / f".dask-hpc-doctor-{secrets.token_hex(4)}"
    try:
        with probe.open("xb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return ""
