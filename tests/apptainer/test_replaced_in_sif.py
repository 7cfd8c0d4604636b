"""Jobs whose workers run in the SIF are replaced like others, through the launcher outside the SIF."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.kept import right_answers
from tests.support.launcher import COMMAND, install, left

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("walltime", "event", "said"),
    [
        ("00:10:00", "scancel $(squeue -h -t running -o %A | head -n 1)", "was cancelled; job [0-9]+ takes its place"),
        ("00:01:00", "true", "retires before its wall time ends; job [0-9]+ takes its place"),
    ],
    ids=["cancelled", "wall-time"],
)
def test_job_is_replaced(bare: SlurmSim, shared: str, walltime: str, event: str, said: str) -> None:
    """A cancelled job, and one that comes to its end, is replaced by one in the same SIF."""
    install(bare)
    launcher = f"env DASK_HPC_SIF={shared} {COMMAND} exec python"
    with right_answers(bare, python=launcher, walltime=walltime) as running:
        bare.exec("sh", "-c", event)
        running.until_said(said)
    assert left(bare) == ""
