"""Run all workloads one after the other, each where it can run, and summarise them in a table and a page."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import msgspec

from dask_hpc.clusters import BACKENDS, backend
from dask_hpc.errors import DaskHpcError, RequestError, ResultsError
from dask_hpc.screen import Screen
from dask_hpc.stop import Stopped, stopping_cleanly
from dask_hpc.tutorial import discovery
from dask_hpc.tutorial.report.overview import Entry
from dask_hpc.tutorial.results import Result
from dask_hpc.tutorial.store import shown
from dask_hpc.tutorial.workload import DEFAULT_SIZE, Workload

_PATIENCE = 120  # seconds for a stopped workload to cancel its jobs
_VERDICTS = {0: "ok", 2: "refused"}  # by exit status
NOT_HERE = "not here"


@dataclass(frozen=True)
class Order:
    """A request for all workloads: preferred backend, size for workloads that have it, options by backend."""

    on: str
    size: str
    root: Path
    options: Mapping[str, Sequence[str]]


def run_all(order: Order, *, json: bool) -> int:
    """Run every workload that can run here; return 0 if all succeed and all checks hold, else 1.

    Args:
        order: the request for all workloads.
        json: print all verdicts as JSON on standard output, and the table on standard error.

    Raises:
        RequestError: no workload has that size.
        ResultsError: the overview cannot be written.
    """
    screen = Screen(quiet_stdout=json)
    started = datetime.now(UTC)
    files = discovery.available()
    _refuse_unknown_size(order.size, files)
    with stopping_cleanly():
        entries = [
            _one(name, file, order=order, screen=screen, counted=f"{number} of {len(files)}")
            for number, (name, file) in enumerate(files.items(), 1)
        ]
    _table(entries, screen)
    if json:
        screen.json(msgspec.json.encode([_summary(entry) for entry in entries]))
    _overview(order.root, entries, started=started, screen=screen)
    return 0 if all(entry.verdict in ("ok", NOT_HERE) for entry in entries) else 1


def _refuse_unknown_size(size: str, files: Mapping[str, Path]) -> None:
    known = {DEFAULT_SIZE}
    for file in files.values():
        with suppress(DaskHpcError):  # a workload that cannot be loaded is reported in its turn
            known |= discovery.load(file).checks.sizes.keys()
    if size not in known:
        raise RequestError(f"Unknown size {size!r}.", f"Available: {', '.join(sorted(known))}.")


def _one(name: str, file: Path, *, order: Order, screen: Screen, counted: str) -> Entry:
    try:
        workload = discovery.load(file)
        on = where(workload, order.on)
    except DaskHpcError as error:
        entry = Entry(name, discovery.summary(file), order.on, "failed", 0.0, why=error.message)
    else:
        with screen.stage(f"{name} on {on} ({counted})"):
            entry = _tried(workload, on, order)
    screen.verdict(entry.verdict, f"{name} on {entry.on}, {entry.seconds:.1f} s")
    if entry.why:
        screen.warn(f"{name}: {entry.why}")
    return entry


def _tried(workload: Workload, on: str, order: Order) -> Entry:
    if order.on == "local" and on != "local" and not shutil.which("sbatch"):
        why = f"It runs on {on} only, and Slurm was not found."
        return Entry(workload.name, workload.summary, on, NOT_HERE, 0.0, why=why)
    start = perf_counter()
    done, said = _run(workload, on, order)
    result = _result(done.stdout)
    verdict = _VERDICTS.get(done.returncode, "failed")
    why = "" if result else _last_lines(said)
    return Entry(workload.name, workload.summary, on, verdict, perf_counter() - start, result, why)


def where(workload: Workload, on: str) -> str:
    """Return the backend for a workload: `on` if supported, else MPI, else this machine."""
    able = workload.checks.backends or frozenset(BACKENDS)
    if backend(on).kind in able:
        return on
    for name in ("mpi", "local", *sorted(able)):
        if name in able and name in BACKENDS:
            return name
    raise RequestError(f"{workload.name} runs on {', '.join(sorted(able))} only, which this dask-hpc does not support.")


def _run(workload: Workload, on: str, order: Order) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """Run a workload in its own process, isolated from the others; return the process and its standard error."""
    size = ["--size", order.size] if order.size in workload.checks.sizes else []
    command = [sys.executable, "-m", "dask_hpc", "run", workload.name, "--on", on, *size, "--json"]
    command += ["--results", str(order.root), *order.options.get(on, ())]
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        # its own session: Ctrl-C reaches only this program, which passes it on once
        process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)
        try:
            process.wait()
        except Stopped:
            process.terminate()
            process.wait(_PATIENCE)
            raise
        for file in (errors, output):
            file.seek(0)
        said = errors.read().decode(errors="replace")
        return subprocess.CompletedProcess(command, process.returncode, output.read()), said


def _result(output: bytes) -> Result | None:
    """Return the result, which is the last line: the workload may print others before it."""
    lines = output.strip().splitlines()
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(lines[-1], type=Result) if lines else None
    return None


def _last_lines(text: str, most: int = 12) -> str:
    """Return the error message from its start, or the last lines if none is found."""
    lines = text.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(("Error:", "Usage:", "Traceback"))]
    return "\n".join(lines[starts[-1] :] if starts else lines[-most:]) or "No output."


def _table(entries: Sequence[Entry], screen: Screen) -> None:
    rows = [
        (entry.workload, entry.on, entry.verdict, _checks(entry.result), f"{entry.seconds:.1f} s") for entry in entries
    ]
    total = sum(entry.seconds for entry in entries)
    screen.table(
        f"{sum(entry.verdict == 'ok' for entry in entries)} of {len(entries)} workloads are ok, in {total:.0f} s",
        ("workload", "on", "verdict", "checks passed", "time"),
        rows,
        align="right",
    )
    for entry in entries:
        for check in entry.result.checks if entry.result else ():
            if not check.ok:
                screen.verdict("failed", f"{entry.workload}: {check.name}: {check.detail}")


def _checks(result: Result | None) -> str:
    return f"{sum(check.ok for check in result.checks)} of {len(result.checks)}" if result else "-"


def _summary(entry: Entry) -> dict[str, object]:
    return {
        "workload": entry.workload,
        "on": entry.on,
        "verdict": entry.verdict,
        "seconds": round(entry.seconds, 3),
        "folder": entry.result.folder if entry.result else None,
        "why": entry.why,
    }


def _overview(root: Path, entries: Sequence[Entry], *, started: datetime, screen: Screen) -> None:
    from dask_hpc.tutorial.report.overview import write_overview

    file = root.absolute() / "index.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_overview(file, entries, started=started.isoformat())
    except OSError as error:
        raise ResultsError(
            f"The overview {file} cannot be written.", str(error), "choose another folder with --results."
        ) from error
    screen.note(f"overview: {shown(file)}")
