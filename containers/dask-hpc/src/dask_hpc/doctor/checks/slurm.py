"""Slurm itself: whether it is there, answers, takes jobs, and runs them."""

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
            "no Slurm here: none of its commands is on the PATH",
            "nothing, for work on this machine; else run it on a login node, or start a mini-cluster: slurm-sim up",
        )
    if site.missing:
        return failure(f"not on the PATH: {' '.join(site.missing)}", "add Slurm's bin folder to PATH" + _launcher(site))
    answer = run("sinfo", "--noheader", "--summarize", "--format=%P %D")
    if answer.status != 0:
        return failure(f"the controller does not answer: {answer.said}", "see 'scontrol ping'; ask the administrators")
    said = run("sinfo", "--version").out.strip() or "of unknown version"
    partitions = [line.split() for line in answer.out.splitlines() if line.strip()]
    return ok(f"{said}; " + ", ".join(f"{words[0]} {words[-1]} nodes" for words in partitions[:6]))


def _launcher(site: Site) -> str:
    return ", or start the SIF by the launcher beside it: ./dask-hpc" if site.sif else ""


def submission(site: Site) -> Verdict | None:
    """Ask sbatch whether it would take a job."""
    if not site.slurm or "sbatch" in site.missing:
        return None
    bridge = site.environ.get("DASK_HPC_BRIDGE")
    how = "by the bridge of the launcher" if bridge else f"directly, {shutil.which('sbatch')}"
    where = [f"--partition={site.partition}"] if site.partition else []
    answer = would_take(*where, f"--chdir={Path.cwd()}")
    if answer.status != 0:
        return failure(
            f"{how}: {answer.said}", "name what the site asks for, such as an account: --account, SBATCH_ACCOUNT"
        )
    return ok(how)


def nodes(site: Site) -> Verdict | None:
    """Tell how many nodes have answered."""
    if not site.slurm or site.survey.quiet:
        return None
    survey = site.survey
    if survey.problem:
        return warning(
            f"none was asked: {survey.problem}",
            "what is said below is of this machine alone; try again later, or with --partition",
        )
    if survey.silent:
        return failure(f"no answer from {names(survey.silent)}", "see 'sinfo -R', and whether srun reaches them")
    most = f" (of more: {MOST_NODES} are asked)" if len(survey.nodes) == MOST_NODES else ""
    return ok(f"{names([one.node for one in survey.nodes])} answered{most}")
