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
  dask-hpc jobqueue-config --output -              look at it first
  dask-hpc jobqueue-config --partition gpu --force"""


@click.command("jobqueue-config", epilog=_EXAMPLES)
@click.option(
    "--output",
    type=LocalPath(),
    default=Path("~/.config/dask/jobqueue.yaml"),
    show_default=True,
    help="Where to write it; - is standard output.",
)
@click.option("--partition", help="Slurm partition. [default: $SBATCH_PARTITION, or Slurm's]")
@click.option("--no-job", is_flag=True, help="Ask Slurm alone: run nothing on the nodes.")
@click.option("--force", is_flag=True, help="Replace a file that differs.")
def jobqueue_config(output: Path, partition: str | None, no_job: bool, force: bool) -> None:
    """Write dask-jobqueue's settings for this site, so that SLURMCluster() needs no arguments.

    Every line has its reason above it. A file that is there and differs is not touched without --force.
    """
    site = here(os.environ, (), jobs=not no_job, partition=partition)
    screen = Screen(quiet_stdout=True)
    with screen.stage("asking Slurm and its nodes"):
        text = render(look(site, str(Path.home())))
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    file = output.expanduser()
    said = write(file, text, force=force)
    screen.note(f"{file} {said}")


def write(file: Path, text: str, *, force: bool) -> str:
    """Write a file whole or not at all, and return what was done.

    Raises:
        RequestError: there is another one, and `force` was not given; the message is the difference.
        ResultsError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8", errors="replace") if os.path.lexists(file) else None
        if before == text:
            return "is up to date"
        if before is not None and _says_something(before) and not force:
            raise RequestError(f"{file} is there already, and differs.", _difference(file, before, text), _TODO)
        _put(file, text, replace=before is not None)
    except OSError as error:
        if isinstance(error, FileExistsError) and os.path.lexists(file):
            raise RequestError(f"{file} has just been created by another process.", todo=_TODO) from error
        raise ResultsError(
            f"{file} cannot be written.", error.strerror or str(error), "name another --output."
        ) from error
    return "replaced" if before is not None else "written"


_TODO = "look at the difference; then --force replaces it, or --output FILE writes beside it."


def _says_something(text: str) -> bool:
    """Return whether a file contains settings: dask-jobqueue writes one of comments only at its first import."""
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
            partial.replace(file.resolve())  # a link stays one
        else:
            file.hardlink_to(partial)  # unlike a rename, it does not take another file's place
    finally:
        partial.unlink(missing_ok=True)
