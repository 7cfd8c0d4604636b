"""Check folders that the login node and all nodes must share for job scripts, credentials and results."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.survey import NodeReport
from dask_hpc.doctor.verdict import Verdict, failure, names, ok

_SAID = {"absent": "does not exist on", "elsewhere": "is another folder on", "unwritable": "is not writable on"}


def folders(site: Site) -> Verdict:
    """Check that every folder is writable here and shared with the nodes."""
    refused = [f"{folder}: {error}" for folder in site.folders if (error := _refusal(folder))]
    if refused:
        return failure("; ".join(refused), "work in another folder, or make that one writable and free some space")
    if not site.slurm:
        return ok(f"writable: {' '.join(map(str, site.folders))}")
    return judge(site.folders, site.survey.nodes)


def judge(wanted: Sequence[Path], nodes: Sequence[NodeReport]) -> Verdict:
    """Return the verdict on folders that are writable here, from the nodes' reports."""
    listed = " ".join(map(str, wanted))
    if not nodes:
        return ok(f"writable here: {listed}; nodes were not checked")
    faults = []
    for folder in map(str, wanted):
        for state, words in _SAID.items():
            there = [one.node for one in nodes if one.folders.get(folder) == state]
            faults += [f"{folder} {words} {names(there)}"] if there else []
    if not faults:
        return ok(f"{listed} on {names([one.node for one in nodes])}")
    return failure(
        "not shared: " + "; ".join(faults),
        "start from a folder on the shared file system, and put --results and --log-directory there",
    )


def _refusal(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    # our own name: a signal while `tempfile` creates a file would leave it behind
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
