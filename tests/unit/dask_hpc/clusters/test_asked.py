"""The user's requests, from options and variables."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.clusters.asked import Asked, asked
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import RequestError
from dask_hpc.slurm.environment import CHOICES, plain

VARIABLES = {"SBATCH_ACCOUNT": "chem", "SBATCH_PARTITION": "long", "SBATCH_QOS": "high", "SBATCH_RESERVATION": "class"}


OPTIONS = [
    "SBATCH_JOB_NAME",
    "SBATCH_PARTITION",
    "SALLOC_QOS",
    "SQUEUE_STATES",
    "SINFO_FORMAT",
    "SCANCEL_STATE",
    "SLURM_JOB_ID",
    "SLURM_MEM_PER_CPU",
    "SLURM_CLUSTERS",
    "PMIX_RANK",
    "PMI_FD",
    "OMPI_COMM_WORLD_SIZE",
]


def given(environ: dict[str, str] | None = None, *sbatch: str, **options: Any) -> Asked:
    return asked(ClusterOptions(sbatch_option=sbatch, **options), environ or {}, {"cpus-per-task": "cores"})


def test_reads_variables_of_sbatch() -> None:
    """Account, partition, QOS and reservation from variables are planned, each with its source."""
    seen = given(VARIABLES)
    assert {name: seen.placement[name] for name in CHOICES} == {
        "account": "chem",
        "partition": "long",
        "qos": "high",
        "reservation": "class",
    }
    assert seen.sources["qos"] == "$SBATCH_QOS"
    assert ("reservation", "class", "$SBATCH_RESERVATION") in seen.rows()
    assert [str(option) for option in seen.place()] == ["--account=chem", "--reservation=class", "--qos=high"]


def test_option_overrides_variable() -> None:
    """Our option, or one for sbatch, overrides a variable."""
    assert given(VARIABLES, account="mine").options.account == "mine"
    seen = given(VARIABLES, "-A mine", "--time=2:00:00", "-c 4")
    assert (seen.options.account, seen.options.walltime, seen.options.cores) == ("mine", 7200, 4)
    assert seen.sources["cores"] == "--sbatch-option=--cpus-per-task=4"
    assert seen.sbatch == []


def test_rejects_invalid_value_of_sbatch_option() -> None:
    """For an invalid value in `--sbatch-option`, the error names our option."""
    with pytest.raises(RequestError, match="--cores"):
        given(None, "--cpus-per-task=many")


@pytest.mark.parametrize(
    "name",
    OPTIONS,
)
def test_hides_option_variables_from_slurm_commands(name: str) -> None:
    """Variables with options or about the surrounding job are removed for Slurm's commands."""
    assert plain({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["SLURM_CONF", "SLURM_PMIX_FENCE", "SLURM_UMASK", "PMIX_MCA_gds", "DASK_CONFIG"])
def test_keeps_site_variables(name: str) -> None:
    """Variables that locate Slurm or configure its plugins are kept."""
    assert plain({name: "x"}) == {name: "x"}
