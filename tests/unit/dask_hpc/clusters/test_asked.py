"""What a user has asked for, by whichever way."""

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


def test_the_variables_that_sites_have_users_set_become_part_of_the_plan() -> None:
    """Account, partition, QOS and reservation, each with its source."""
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


def test_an_option_goes_before_the_variable() -> None:
    """Ours, or one for sbatch."""
    assert given(VARIABLES, account="mine").options.account == "mine"
    seen = given(VARIABLES, "-A mine", "--time=2:00:00", "-c 4")
    assert (seen.options.account, seen.options.walltime, seen.options.cores) == ("mine", 7200, 4)
    assert seen.sources["cores"] == "--sbatch-option=--cpus-per-task=4"
    assert seen.sbatch == []


def test_a_value_that_cannot_be_planned_with_is_refused() -> None:
    """The error names our own option."""
    with pytest.raises(RequestError, match="--cores"):
        given(None, "--cpus-per-task=many")


@pytest.mark.parametrize(
    "name",
    OPTIONS,
)
def test_slurms_commands_do_not_see_options_in_variables(name: str) -> None:
    """Neither what a user has set, nor what describes the job that this runs in."""
    assert plain({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["SLURM_CONF", "SLURM_PMIX_FENCE", "SLURM_UMASK", "PMIX_MCA_gds", "DASK_CONFIG"])
def test_what_a_site_needs_stays(name: str) -> None:
    """Where Slurm is, and how its plugins work."""
    assert plain({name: "x"}) == {name: "x"}
