"""Make a run's result, load it from `result.json`, and print it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dask_hpc.clusters.facts import ClusterFacts, Value
from dask_hpc.errors import ResultsError, WorkloadError
from dask_hpc.identity import Identity
from dask_hpc.tutorial.pictures import Picture

if TYPE_CHECKING:
    from dask_hpc.screen import Screen

SCHEMA = 2


class Check(msgspec.Struct, frozen=True):
    """A condition on the result, and whether it holds."""

    name: str
    ok: bool
    detail: str = ""


class Table(msgspec.Struct, frozen=True):
    """A workload's numbers as a table: column headings, and rows of text."""

    columns: list[str] = []
    rows: list[list[str]] = []


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one run: times in seconds, `started` in UTC, `size` as given with --size."""

    schema: int = SCHEMA
    workload: str
    summary: str
    started: str
    ok: bool
    size: str
    parameters: dict[str, Value | list[Value]]
    values: dict[str, Value]
    timings: dict[str, float]
    checks: list[Check]
    table: Table
    notes: list[str]
    pictures: list[Picture]
    cluster: ClusterFacts
    environment: Identity
    versions: dict[str, str]
    folder: str


class _Schema(msgspec.Struct):
    schema: int


def make(**fields: object) -> Result:
    """Make a result, with NumPy's numbers and arrays converted to Python's.

    Raises:
        WorkloadError: a value cannot be written to `result.json` and read back.
    """
    try:
        plain = msgspec.json.encode({"schema": SCHEMA} | fields, enc_hook=_plain)
        return msgspec.json.decode(plain, type=Result)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        todo = "return plain numbers and strings, see dask_hpc.tutorial.Outcome."
        raise WorkloadError(f"The result of {fields['workload']} cannot be stored.", str(error), todo) from error


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if convert := getattr(value, "tolist", None):  # NumPy's
        plain: object = convert()
        return plain
    raise TypeError(f"a {type(value).__name__} is not a number, string or array")


def load(file: Path) -> Result:
    """Load a stored result; raise `ResultsError` if the file is not a result or has another schema."""
    try:
        content = file.read_bytes()
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema == SCHEMA:
            return msgspec.json.decode(content, type=Result)
    except (OSError, msgspec.MsgspecError) as error:
        raise ResultsError(f"{file} is not a result.", str(error)) from error
    todo = "run the workload again, or read the file with the dask-hpc that wrote it."
    raise ResultsError(f"{file} has schema {schema}; this dask-hpc reads {SCHEMA}.", todo=todo)


def show(result: Result, screen: Screen) -> None:
    """Print a run: its parameters and cluster in the title, its table, its notes, its checks."""
    parameters = ", ".join(f"{name} {value}" for name, value in result.parameters.items())
    screen.table(f"{result.workload}: {parameters}", result.table.columns, result.table.rows, align="right")
    for note in result.notes:
        screen.note(note)
    cluster = result.cluster
    screen.note(
        f"on {cluster.kind}: {cluster.workers} workers, {cluster.threads} threads, nodes {' '.join(cluster.nodes)}"
        + (f", jobs {' '.join(job.id for job in cluster.jobs)}" if cluster.jobs else "")
        + (", TLS" if cluster.tls else "")
    )
    for check in result.checks:
        detail = f": {check.detail}" if check.detail else ""
        screen.verdict("ok" if check.ok else "failed", check.name + detail)
