"""What a person sees: tables, notes and progress. With --json all of it goes to standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dask_hpc.results import Result

__all__ = ["Screen"]

_PIPE_WIDTH = 110  # where there is no terminal whose width could be asked for


class Screen:
    """Where output goes.

    Args:
        quiet_stdout: keep standard output free, for a program that reads the JSON there.
    """

    def __init__(self, *, quiet_stdout: bool = False) -> None:
        self._err = _console(stderr=True)
        self._out = self._err if quiet_stdout else _console(stderr=False)

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Show that something is under way, on a terminal; say nothing in a pipe."""
        if not self._err.is_terminal:
            yield
            return
        with self._err.status(escape(text)):
            yield

    def note(self, text: str) -> None:
        """Print one line."""
        self._out.print(escape(text), soft_wrap=True, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning, on standard error."""
        self._err.print(f"[yellow]Warning:[/] {escape(text)}", soft_wrap=True, highlight=False)

    def text(self, title: str, content: str) -> None:
        """Print a text as it is, under a title."""
        self._out.print(f"[bold]{escape(title)}[/]")
        self._out.print(content.rstrip() + "\n", soft_wrap=True, highlight=False, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], align: str = "left") -> None:
        """Print a table; `align` is that of all columns but the first."""
        table = Table()
        for number, column in enumerate(columns):
            justify = "right" if number and align == "right" else "left"
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for row in rows:
            table.add_row(*map(escape, row))
        self._out.print(f"[bold]{escape(title)}[/]", soft_wrap=True, highlight=False)
        self._out.print(table)

    def result(self, result: Result, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a run: its parameters and cluster in the title, its table, its checks."""
        parameters = ", ".join(f"{name} {value}" for name, value in result.parameters.items())
        self.table(f"{result.workload}: {parameters}", columns, rows, align="right")
        cluster = result.cluster
        self.note(
            f"on {cluster.kind}: {cluster.workers} workers, {cluster.threads} threads, nodes {' '.join(cluster.nodes)}"
            + (f", jobs {' '.join(job.id for job in cluster.jobs)}" if cluster.jobs else "")
            + (", TLS" if cluster.tls else "")
        )
        for check in result.checks:
            mark = "[green]ok[/]    " if check.ok else "[red]FAILED[/]"
            self._out.print(f"{mark} {escape(check.name)}: {escape(check.detail)}", soft_wrap=True, highlight=False)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console
