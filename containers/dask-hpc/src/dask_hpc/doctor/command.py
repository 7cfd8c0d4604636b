"""The command `dask-hpc doctor`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import click
import msgspec

from dask_hpc.doctor.checks import CHECKS
from dask_hpc.doctor.examine import examine
from dask_hpc.doctor.site import Site, here
from dask_hpc.doctor.verdict import Finding, Status
from dask_hpc.mpi.launch import launch
from dask_hpc.paths import LocalPath
from dask_hpc.screen import Mark, Screen
from dask_hpc.stop import stopping_cleanly

_MOST_FAILURES = 100
_PIPE_WIDTH = 160  # most verdicts fit on one line
_TROUBLES: tuple[Status, ...] = ("failure", "warning")
_COLOURS: dict[Status, str] = {"ok": "green", "warning": "yellow", "failure": "red"}
_EXAMPLES = """\b
Examples:
  dask-hpc doctor
  dask-hpc doctor --folder /scratch/$USER     check one more folder
  dask-hpc doctor --no-job                    check only this machine
  srun -n 4 dask-hpc doctor                   check that the tasks become four ranks
  dask-hpc doctor --json | jq '.checks[] | select(.status != "ok")'"""


@click.command(epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
@click.option("--no-job", is_flag=True, help="Check only this machine: run nothing on the nodes.")
@click.option("--partition", help="Slurm partition to check. [default: $SBATCH_PARTITION, or Slurm's]")
@click.option(
    "--folder", "folders", multiple=True, type=LocalPath(), help="One more folder that must be shared; repeatable."
)
def doctor(as_json: bool, no_job: bool, partition: str | None, folders: tuple[Path, ...]) -> None:
    """Check what a run needs, on a login node, in an allocation or on a laptop.

    On a login node, a job of one second checks every idle node; in an allocation, a step checks its nodes. The exit
    status is the number of failed checks.
    """
    site = here(os.environ, folders, jobs=not no_job, partition=partition)
    found = launch()
    if found and not found.first:
        examine(site, {"MPI ranks": CHECKS["MPI ranks"]})  # MPI starts on all ranks or none; the first reports
        sys.exit(0)
    screen = Screen(quiet_stdout=as_json, pipe_width=_PIPE_WIDTH)
    with stopping_cleanly(), screen.stage("checking this machine and the nodes"):
        findings = examine(site)
    failures = sum(finding.status == "failure" for finding in findings)
    if as_json:
        screen.json(msgspec.json.encode({"place": site.place, "failures": failures, "checks": findings}))
    else:
        _show(screen, site, findings)
    sys.stdout.flush()
    os._exit(min(failures, _MOST_FAILURES))  # a check that hangs in a system call must not block the exit


def _show(screen: Screen, site: Site, findings: list[Finding]) -> None:
    where = "in an allocation" if site.place == "allocation" else f"on a {site.place}"
    rows = [(one.check, _mark(one.status), one.seen, one.todo) for one in findings]
    screen.table(f"dask-hpc doctor {where}", ("check", "", "found", "what to do"), rows)
    counts = Counter(one.status for one in findings)
    words = [f"{counts[status]} {status}{'s' if counts[status] != 1 else ''}" for status in _TROUBLES]
    screen.note(f"{', '.join(words)}, {counts['ok']} ok")


def _mark(status: Status) -> Mark:
    return Mark("ok" if status == "ok" else status.upper(), _COLOURS[status])
