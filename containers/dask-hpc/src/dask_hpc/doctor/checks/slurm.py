"""Check Slurm itself: that it is installed, answers, accepts jobs and runs them."""

from __future__ import annotations

import shutil
from pathlib import Path

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, names, ok, warning
from dask_hpc.slurm.commands import run, would_take
from dask_hpc.slurm.srun import MOST_NODES


def version(site: Site) -> Verdict:
    """Return Slurm's version, if its controller answers."""
    if not site.slurm:
        return warning(
            "Slurm not found: none of its commands is on PATH",
            "not needed for work on this machine; else run it on a login node, or start a mini-cluster: slurm-sim up",
        )
    if site.missing:
        return failure(f"not on PATH: {' '.join(site.missing)}", "add Slurm's bin folder to PATH" + _launcher(site))
    answer = run("sinfo", "--noheader", "--summarize", "--format=%P %D")
    if answer.status != 0:
        return failure(f"the controller does not answer: {answer.said}", "see 'scontrol ping'; ask the administrators")
    said = run("sinfo", "--version").out.strip() or "unknown version"
    partitions = [line.split() for line in answer.out.splitlines() if line.strip()]
    return ok(f"{said}; " + ", ".join(f"{words[0]} {words[-1]} nodes" for words in partitions[:6]))


def _launcher(site: Site) -> str:
    return ", or start the SIF with the launcher beside it: ./dask-hpc" if site.sif else ""


def submission(site: Site) -> Verdict | None:
    """Ask sbatch whether it would accept a job."""
    if not site.slurm or "sbatch" in site.missing:
        return None
    bridge = site.environ.get("DASK_HPC_BRIDGE")
    how = "through the launcher's bridge" if bridge else f"directly, {shutil.which('sbatch')}"
    where = [f"--partition={site.partition}"] if site.partition else []
    answer = would_take(*where, f"--chdir={Path.cwd()}")
    if answer.status != 0:
        return failure(
            f"{how}: {answer.said}", "set what the site requires, such as an account: --account, SBATCH_ACCOUNT"
        )
    return ok(how)


def nodes(site: Site) -> Verdict | None:
    """Check that all nodes answered."""
    if not site.slurm or site.survey.quiet:
        return None
    survey = site.survey
    if survey.problem:
        return warning(
            f"not checked: {survey.problem}",
            "the checks below are of this machine only; try again later, or with --partition",
        )
    if survey.silent:
        return failure(f"no answer from {names(survey.silent)}", "see 'sinfo -R', and check that srun reaches them")
    most = f" (at most {MOST_NODES} are checked)" if len(survey.nodes) == MOST_NODES else ""
    return ok(f"{names([one.node for one in survey.nodes])} answered{most}")
