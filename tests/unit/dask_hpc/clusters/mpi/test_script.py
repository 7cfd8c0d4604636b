"""The job script of a dask-mpi cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.mpi.script import job_script
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.mpi.folder import Folder
from dask_hpc.sif import Sif
from tests.support.requests import mpi_request

FOLDER = Folder(Path("/home/me/.dask-hpc/one.mpi"))


def script(image: Sif | None = None, **given: Any) -> str:
    return job_script(mpi_request(**given), ClusterOptions(**given), name="one", folder=FOLDER, image=image)


def test_script_requests_what_was_planned() -> None:
    """The script is one job with one step, which ends if a rank dies; it names the private folder, not its secrets."""
    text = script(threads=2, walltime=60, account="me", sbatch_option=("--qos=debug",))
    for line in ("nodes=2", "ntasks-per-node=2", "cpus-per-task=2", "mem=4000M", "time=00:01:00", "qos=debug"):
        assert f"#SBATCH --{line}\n" in text
    assert "#SBATCH --no-requeue\n" in text
    step = f"srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=2 {sys.executable} -m dask_hpc.mpi.rank"
    assert f"exec {step}" in text
    assert f"--folder {FOLDER.path}" in text
    assert "--interface" not in text
    assert "--interface ib0" in script(interface="ib0")


def test_script_checks_every_node_for_sif() -> None:
    """In a SIF, each rank's shell reports what its node lacks, and PMIx's variables pass into the SIF."""
    text = script(Sif("/shared/dask hpc.sif", "apptainer", ("/data",)))
    assert "exec srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1 bash -c '" in text
    for word in ("apptainer not found on PATH", "${!PMIX_*}", "${!SLURM_*}", "/data", "dask hpc.sif"):
        assert word in text


def directives(text: str) -> dict[str, str]:
    """Return {option: value} from the script's #SBATCH lines."""
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH --")]
    return dict(line.partition("=")[::2] for line in lines)


def test_directives_match_plan() -> None:
    """The #SBATCH lines are the planned options, with the job's own logs, and an account only if one is given."""
    seen = directives(script(partition="batch"))
    assert seen == {
        "job-name": "one",
        "output": "/home/me/.dask-hpc/one/one-%j.out",
        "error": "/home/me/.dask-hpc/one/one-%j.err",
        "partition": "batch",
        "nodes": "2",
        "ntasks-per-node": "4",
        "cpus-per-task": "1",
        "mem": "4000M",
        "time": "00:10:00",
        "no-requeue": "",
    }
    assert directives(script(account="me"))["account"] == "me"


def test_user_option_overrides_ours() -> None:
    """A user's option replaces ours, and ours that it excludes; its value is quoted for sbatch."""
    seen = directives(script(sbatch_option=("--mem-per-cpu=500M", "--requeue", "--comment=two words")))
    assert seen["mem-per-cpu"] == "500M"
    assert "requeue" in seen
    assert not {"mem", "no-requeue"} & set(seen)
    assert '#SBATCH "--comment=two words"\n' in script(sbatch_option=("--comment=two words",))


@pytest.mark.parametrize("image", [None, Sif("/x.sif", "apptainer")])
def test_bash_stops_at_first_error(image: Sif | None) -> None:
    """The job's shell and each rank's shell stop at the first error; PMIx's fence is set before srun."""
    lines = script(image).splitlines()
    assert lines[0] == "#!/bin/bash"
    started = next(number for number, line in enumerate(lines) if line.startswith("exec srun "))
    assert "set -eu" in lines[:started]
    assert any(line.startswith("export SLURM_PMIX_FENCE=ring") for line in lines[:started])
    assert image is None or "bash -c 'set -eu" in lines[started]


def test_passes_dashboard_and_local_directory_to_ranks() -> None:
    """Ranks get both options; a folder with a blank stays one word."""
    text = script(local_directory="/local disk", dashboard="0.0.0.0:1")
    assert "--dashboard-address 0.0.0.0:1 --local-directory '/local disk'" in text


def test_binds_folders_into_sif() -> None:
    """Folders that Apptainer does not mount by itself are bound, and the configuration must be readable."""
    text = script(Sif("/x.sif", "apptainer"), local_directory="/local")
    assert f"--bind /local,{FOLDER.path}" in text
    assert f"/x.sif {FOLDER.config}" in text
    assert "--nv" not in text
    assert "--nv" in script(Sif("/x.sif", "apptainer"), sbatch_option=("--gpus=1",))
