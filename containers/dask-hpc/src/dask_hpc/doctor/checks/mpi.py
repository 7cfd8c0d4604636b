"""Check MPI under Slurm: PMIx on both sides, and one rank per task."""

from __future__ import annotations

import re
import sys

import msgspec

from dask_hpc import processes
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, ok, warning
from dask_hpc.mpi.launch import launch
from dask_hpc.processes import Answer
from dask_hpc.slurm.environment import plain
from dask_hpc.slurm.srun import on, srun

_CHECK = ("-m", "dask_hpc.mpi", "--json")


class _World(msgspec.Struct):
    size: int


def pmix(site: Site) -> Verdict | None:
    """Compare Slurm's PMIx with this environment's."""
    if not site.slurm or "srun" in site.missing:
        return None
    answer = srun("--mpi=list", timeout=15, environ=site.environ)
    if answer.status != 0:
        return failure(f"srun --mpi=list: {answer.said}", "ask the administrators")
    versions = pmix_versions(answer.out + answer.err)
    if not versions:
        return failure(
            "Slurm has no PMIx, which Open MPI 5 needs to find its ranks",
            "start ranks with mpirun in an allocation (in the SIF, on one node); ask for Slurm's pmix plugin",
        )
    code = "from mpi4py import MPI; from dask_hpc.mpi.check import pmix_version; print(pmix_version())"
    alone = processes.run(sys.executable, "-c", code, environ=plain(site.environ))
    ours = alone.out.strip() if alone.status == 0 else f"unknown ({alone.said})"
    return ok(f"Slurm has {' '.join(versions)}, this environment {ours}: use srun --mpi=pmix")


def pmix_versions(listing: str) -> list[str]:
    """Return the values of --mpi for PMIx in the output of srun --mpi=list."""
    return sorted(set(re.findall(r"\bpmix(?:_v\d+)?\b(?! plugin)", listing)))


def fences(site: Site) -> Verdict | None:
    """Check that MPI_Init can rely on Slurm's fences, at which ranks on several nodes wait for each other.

    With any type but `ring`, ranks on one node may pass before those on another arrive (seen with Slurm 24.11.5). A
    message to a rank that cannot receive it yet crashes in mca_pml_ob1_recv_frag_callback_match.
    """
    if not site.slurm or "scontrol" in site.missing:
        return None
    fence = site.environ.get("SLURM_PMIX_FENCE") or site.config.get("PMIxCollFence", "")
    if not fence:  # an older Slurm, which does not show it
        return None
    if fence == "ring":
        return ok("ring")
    return warning(
        f"{fence.strip('()')}: MPI_Init on several nodes may crash",
        "export SLURM_PMIX_FENCE=ring before srun, as our scripts do; or ask for PMIxCollFence=ring in mpi.conf",
    )


def ranks(site: Site) -> Verdict | None:
    """Start ranks and count them; in a step of several tasks, count the tasks as ranks."""
    found = launch(site.environ)
    if found and found.tasks != 1:
        return _verdict(
            processes.run(sys.executable, *_CHECK, timeout=60), f"{found.by} of {found.tasks or 'unknown'} tasks"
        )
    if not site.slurm or not site.survey.nodes:
        return None
    chosen = [one.node for one in site.survey.nodes][:2]
    size = [*on(chosen), f"--ntasks={max(2, len(chosen))}"]
    arguments = [*site.survey.options, *size, "--mpi=pmix", *site.node_python, *_CHECK]
    return _verdict(srun(*arguments, timeout=60, environ=site.environ), f"srun --mpi=pmix on {' '.join(chosen)}")


def _verdict(answer: Answer, how: str) -> Verdict:
    if answer.status == 0:
        seen = [msgspec.json.decode(line, type=_World) for line in answer.out.splitlines() if line.startswith("{")]
        return ok(f"{how}: {seen[0].size} ranks, one per task" if seen else f"{how}: one rank per task")
    what = {line.partition(": ")[0]: line.partition(": ")[2] for line in answer.err.splitlines()}
    if "MPI" in what:
        return failure(f"{how}: {what['MPI']} {what.get('Cause', '')}", what.get("What to do", ""))
    if "Unable to allocate" in answer.err:
        return warning(f"{how}: no node became idle", "try again later")
    return failure(f"{how}: {answer.said}", "try 'python -m dask_hpc.mpi' under srun, and 'srun --mpi=list'")
