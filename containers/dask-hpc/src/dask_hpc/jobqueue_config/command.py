"""The command `dask-hpc jobqueue-config`."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path

import click

from dask_hpc.doctor.site import here
from dask_hpc.errors import RequestError, ResultsError
from dask_hpc.jobqueue_config.look import look
from dask_hpc.jobqueue_config.settings import render
from dask_hpc.paths import LocalPath
from dask_hpc.screen import Screen

_EXAMPLES = """\b
Examples:
  dask-hpc jobqueue-config
  dask-hpc jobqueue-config --output -              print the file
  dask-hpc jobqueue-config --partition gpu --force"""


@click.command("jobqueue-config", epilog=_EXAMPLES)
@click.option(
    "--output",
    type=LocalPath(),
    default=Path("~/.config/dask/jobqueue.yaml"),
    show_default=True,
    help="File to write; - for standard output.",
)
@click.option("--partition", help="Slurm partition. [default: $SBATCH_PARTITION, or Slurm's]")
@click.option("--no-job", is_flag=True, help="Query only Slurm: run nothing on the nodes.")
@click.option("--force", is_flag=True, help="Replace an existing file that differs.")
def jobqueue_config(output: Path, partition: str | None, no_job: bool, force: bool) -> None:
    """Write dask-jobqueue's settings for this site, so that SLURMCluster() needs no arguments.

    Each line has its reason above it. An existing file that differs is replaced only with --force.
    """
    site = here(os.environ, (), jobs=not no_job, partition=partition)
    screen = Screen(quiet_stdout=True)
    with screen.stage("querying Slurm and its nodes"):
        text = render(look(site, str(Path.home())))
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    file = output.expanduser()
    said = write(file, text, force=force)
    screen.note(f"{file} {said}")


def write(file: Path, text: str, *, force: bool) -> str:
    """Write a file completely or not at all, and return what was done.

    Raises:
        RequestError: the file exists and differs, and `force` is false; the message has the difference.
        ResultsError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8", errors="replace") if os.path.lexists(file) else None
        if before == text:
            return "is up to date"
        if before is not None and _says_something(before) and not force:
            raise RequestError(f"{file} exists and differs.", _difference(file, before, text), _TODO)
        _put(file, text, replace=before is not None)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(file):
            raise RequestError(f"{file} has just been created by another process.", todo=_TODO) from error
        raise ResultsError(
            f"{file} cannot be written.", error.strerror or str(error), "choose another --output."
        ) from error
    return "replaced" if before is not None else "written"


_TODO = "check the difference, then replace the file with --force, or write another with --output FILE."


def _says_something(text: str) -> bool:
    """Return whether a file contains settings; on first import dask-jobqueue writes one with only comments."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def _difference(file: Path, before: str, text: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), str(file), "this site", lineterm="", n=1)
    return "\n".join(lines)


def _put(file: Path, text: str, *, replace: bool) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        partial.chmod(0o644)
        if replace:
            partial.replace(file.resolve())  # keeps a symbolic link
        else:
            file.hardlink_to(partial)  # unlike a rename, it does not replace a file
    finally:
        partial.unlink(missing_ok=True)
