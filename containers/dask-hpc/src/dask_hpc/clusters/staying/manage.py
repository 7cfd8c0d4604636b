"""Show, scale and end a cluster that stays, for the commands."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from dask_hpc import sif
from dask_hpc.clusters.staying.folder import ClusterFolder, Request
from dask_hpc.clusters.staying.start import jobs_of, remove, tail
from dask_hpc.clusters.staying.state import look
from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs as slurm
from dask_hpc.units import format_walltime

_ENDING = 90.0  # seconds for a cluster to end by itself
_TMP = Path("/tmp")  # noqa: S108 (the owner of the folder in it is checked; not $TMPDIR, which ssh may not set)
_QUICK = 3.0  # seconds for a scheduler to answer while several are listed

Details = dict[str, Any]


def summary(folder: ClusterFolder) -> Details:
    """Return what `list` shows of a cluster."""
    found = details(folder, timeout=_QUICK)
    return {key: found[key] for key in ("name", "state", "where", "workers") if key in found}


def details(folder: ClusterFolder, timeout: float = 10.0) -> Details:
    """Return what `status` shows: the state, and what the scheduler says if it runs."""
    state = look(folder)
    found: Details = {"name": folder.name, "state": state.kind, "where": state.text}
    if state.details:
        found["details"] = state.details
    if state.job and state.job.left is not None:
        found["left"] = state.job.left
    if state.kind != "running":
        return found
    from dask_hpc.clusters.staying.attach import ask

    try:
        said: Details = ask(folder, "dask_hpc_status", timeout=timeout)
    except ClusterError as error:
        said = {"state": "silent", "details": error.message}
    return found | said


def show(found: Details, screen: Screen) -> None:
    """Show the details."""
    from dask.utils import format_bytes

    rows = [("state", found["state"]), ("scheduler", found["where"])]
    if "left" in found:
        rows.append(("time left", format_walltime(found["left"])))
    if "target" in found:
        fewest, most = found["target"]
        tasks = ", ".join(f"{count} {state}" for state, count in sorted(found["tasks"].items()))
        rows += [
            ("jobs asked for", f"{fewest}" if fewest == most else f"{fewest}-{most}"),
            ("workers", f"{found['workers']}, with {found['threads']} threads"),
            ("tasks", tasks or "none"),
            ("results in memory", format_bytes(found["memory"])),
            ("published", ", ".join(found["published"]) or "nothing"),
            ("clients", str(found["clients"])),
            ("idle for", format_walltime(round(found["idle"]))),
        ]
    screen.table(f"Dask cluster {found['name']}", ("", "value"), rows)
    if found.get("details"):
        screen.note(found["details"])
    if found.get("jobs"):
        jobs = [
            (job["id"], job["state"], job["node"], str(job["workers"]), _left(job["left"])) for job in found["jobs"]
        ]
        screen.table("Worker jobs", ("job", "state", "node", "workers", "time left"), jobs)


def _left(seconds: int) -> str:
    return format_walltime(max(0, seconds)) if seconds != -1 else ""


def logs(folder: ClusterFolder, lines: int) -> str:
    """Return the end of the scheduler's log and of the worker jobs' logs."""
    request = folder.request()
    place = request.options.log_directory if request and request.options.log_directory else folder.logs
    workers = slurm.log_tails(place, lines) if any(place.glob("*.err")) else ""
    return "\n".join(filter(None, [f"{folder.log}:", tail(folder.log, lines) or "(empty)", workers]))


def scale(folder: ClusterFolder, fewest: int, most: int) -> None:
    """Keep this number of jobs from now on."""
    from dask_hpc.clusters.staying.attach import ask

    ask(folder, "dask_hpc_scale", fewest=fewest, most=most)


def stop(folder: ClusterFolder) -> None:
    """End a cluster, and wait until nothing of it is left, also if it has ended already or does not answer."""
    from dask_hpc.clusters.staying.attach import ask

    request = folder.request()
    names = jobs_of(folder, request)
    with suppress(ClusterError):
        ask(folder, "dask_hpc_stop")
        deadline = monotonic() + _ENDING
        while folder.exists and not folder.end() and monotonic() < deadline:
            sleep(0.1)  # a shared file system sends no notice
    if request and request.host:
        _end_here(folder, request)
    remove(folder, request)
    for name in names:
        slurm.wait_until_gone(name)


def _end_here(folder: ClusterFolder, request: Request) -> None:
    """End a scheduler on this login node that has not ended by itself."""
    address = folder.address()
    if address is None or look(folder).over:
        return
    if request.host != socket.gethostname():
        raise ClusterError(
            f"The Dask cluster {folder.name!r} does not answer.",
            f"Its scheduler is process {address.pid} on {request.host}.",
            f"run this command on {request.host}.",
        )
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(address.pid, signal.SIGTERM)
    deadline = monotonic() + _ENDING
    while not look(folder).over:
        if monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(address.pid, signal.SIGKILL)
            return
        sleep(0.1)  # it is not a child of this process


def refuse_without_dashboard(folder: ClusterFolder) -> None:
    """Raise `ClusterError` if the cluster does not run."""
    from dask_hpc.clusters.staying.attach import running

    running(folder)


def dashboard_socket(folder: ClusterFolder) -> Path:
    """Return the path of the socket, on this machine, from which ssh forwards a dashboard."""
    return _TMP / f"dask-hpc-{os.geteuid()}.relay" / f"{folder.name}.sock"


def relay_dashboard(folder: ClusterFolder) -> None:
    """Forward connections from that socket to the dashboard until this process is ended."""
    from dask_hpc.clusters.staying import relay
    from dask_hpc.clusters.staying.attach import running, security_of

    address = running(folder)
    path = dashboard_socket(folder)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.stat().st_uid != os.geteuid() or path.parent.is_symlink():
        raise ClusterError(
            "The dashboard cannot be forwarded.",
            f"{path.parent} belongs to another user.",
            "ask the administrators to remove it.",
        )
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    screen = Screen()
    for signum in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    try:
        asyncio.run(
            relay.serve(
                path,
                address.dashboard,
                security_of(folder),
                ready=lambda: screen.note("The dashboard is forwarded until you end this with Ctrl-C."),
            )
        )
    except KeyboardInterrupt:
        return
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def this_command() -> list[str]:
    """Return the words that start this program on this machine."""
    if sif.current() and (launcher := os.environ.get("DASK_HPC_LAUNCHER")):
        return [launcher]
    found = shutil.which("dask-hpc")
    return [found] if found else [sys.executable, "-m", "dask_hpc"]
