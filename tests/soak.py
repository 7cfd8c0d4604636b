"""`make soak`: run tests repeatedly on a busy machine, and report the unreliable ones."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep this many cores busy inside the context."""
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def failures(junit: Path) -> list[str]:
    """Return the tests that failed or could not be set up, from pytest's report in JUnit format."""
    cases = ElementTree.parse(junit).iter("testcase")
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return [f"{case.get('classname')}::{case.get('name')}" for case in bad]


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
    epilog="Example: make soak ROUNDS=5 ARGS='tests/cluster/test_exec.py -k timeout'",
)
@click.option("--rounds", default=20, show_default=True, help="Number of runs.")
@click.option("--load", "processes", default=2, show_default=True, help="Number of processes that keep cores busy.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(rounds: int, processes: int, arguments: tuple[str, ...]) -> None:
    """Run pytest with ARGUMENTS several times on a busy machine; fail if any test failed in any round.

    Without ARGUMENTS, run the tests with the marker `soak`: those that must pass on a busy machine, and those that take
    too long for `make test`.
    """
    found: Counter[str] = Counter()
    broken = 0
    with load(processes), tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = Path(folder) / "report.xml"
        for number in range(1, rounds + 1):
            command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *(arguments or ("-m", "soak"))]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output from pytest"
            click.echo(f"round {number} of {rounds}: {last}", err=True)
            found.update(failures(report) if report.is_file() else [])
            if done.returncode:
                broken += 1
                click.echo(done.stdout)
            report.unlink(missing_ok=True)
    if found:
        table = Table("test", "failed")
        for test, times in found.most_common():
            table.add_row(test, f"{times} of {rounds}")
        console = Console()
        console.width = console.width if console.is_terminal else 1000  # in a pipe, do not truncate names
        console.print(table)
    click.echo(f"{broken} of {rounds} rounds failed")
    raise SystemExit(broken > 0)


if __name__ == "__main__":
    main()
