"""Show tables, notes and progress to the user; with --json, all of them go to standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

_PAUSE = 0.5  # seconds between two queries to the scheduler
_PIPE_WIDTH = 110


@dataclass(frozen=True)
class Mark:
    """A coloured cell of a table."""

    text: str
    colour: str


class Screen:
    """Output for the user, on a terminal or in a pipe.

    Args:
        quiet_stdout: keep standard output free for JSON.
        pipe_width: characters per line if the output is not a terminal.
    """

    def __init__(self, *, quiet_stdout: bool = False, pipe_width: int = _PIPE_WIDTH) -> None:
        self._err = _console(pipe_width, stderr=True)
        self._out = self._err if quiet_stdout else _console(pipe_width, stderr=False)

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Show a spinner with a text on a terminal; print nothing in a pipe."""
        if not self._err.is_terminal:
            yield
            return
        with self._err.status(escape(text)):
            yield

    @contextmanager
    def progress(self, text: str, tasks: Callable[[], tuple[int, int]]) -> Iterator[None]:
        """Show a progress bar on a terminal; `tasks` is called regularly, and returns finished and total tasks."""
        if not self._err.is_terminal:
            yield
            return
        told = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), "tasks", TimeElapsedColumn())
        over = threading.Event()
        with Progress(SpinnerColumn(), *told, console=self._err, transient=True) as bar:
            shown = bar.add_task(escape(text), total=None)
            asking = threading.Thread(target=_ask, args=(bar, shown, tasks, over), name="progress", daemon=True)
            asking.start()
            try:
                yield
            finally:
                over.set()
                asking.join(timeout=2)

    def json(self, content: bytes) -> None:
        """Print JSON for programs on standard output."""
        try:
            click.echo(content)
        except BrokenPipeError:
            _nobody_reads()

    def note(self, text: str) -> None:
        """Print one line."""
        self._out.print(escape(text), soft_wrap=True, highlight=False)

    def say(self, text: str) -> None:
        """Print one line about what is happening on standard error, above a progress bar if there is one."""
        self._err.print(escape(text), soft_wrap=True, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self._err.print(f"[yellow]Warning:[/] {escape(text)}", soft_wrap=True, highlight=False)

    def text(self, title: str, content: str) -> None:
        """Print a text unchanged, under a title."""
        self._out.print(f"[bold]{escape(title)}[/]")
        self._out.print(content.rstrip() + "\n", soft_wrap=True, highlight=False, markup=False)

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Mark]], *, align: str = "left"
    ) -> None:
        """Print a table; `align` applies to all columns except the first."""
        table = Table()
        for number, column in enumerate(columns):
            justify = "right" if number and align == "right" else "left"
            table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for row in rows:
            table.add_row(*map(_cell, row))
        self._out.print(f"[bold]{escape(title)}[/]", soft_wrap=True, highlight=False)
        self._out.print(table)

    def verdict(self, word: str, text: str) -> None:
        """Print one line that begins with an outcome, such as ok or failed."""
        colour = {"ok": "green", "failed": "red", "refused": "red"}.get(word, "yellow")
        mark = f"[{colour}]{word.upper() if colour == 'red' else word}[/]{' ' * (6 - len(word))}"
        self._out.print(f"{mark} {escape(text)}", soft_wrap=True, highlight=False)


class _Console(Console):
    """A console that continues without its reader: `dask-hpc run … | head` still keeps its result."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _nobody_reads()


def _nobody_reads() -> None:
    """Discard further standard output, including what Python flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _ask(bar: Progress, shown: TaskID, tasks: Callable[[], tuple[int, int]], over: threading.Event) -> None:
    while not over.wait(_PAUSE):
        try:
            done, total = tasks()
        except Exception:  # noqa: BLE001 (the run itself reports a lost scheduler)
            return
        bar.update(shown, completed=done, total=total or None)


def _cell(cell: str | Mark) -> str:
    return f"[{cell.colour}]{escape(cell.text)}[/]" if isinstance(cell, Mark) else escape(cell)


def _console(pipe_width: int, *, stderr: bool) -> Console:
    console = _Console(stderr=stderr)
    if not console.is_terminal:
        console.width = pipe_width
    return console
