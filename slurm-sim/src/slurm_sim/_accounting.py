"""Bring the reports of Slurm's accounting up to date."""

from __future__ import annotations

from slurm_sim import _found
from slurm_sim._engine import Engine
from slurm_sim._slurm import AWAIT_ACCOUNTING, AWAIT_CONTROLLER
from slurm_sim.errors import SpecError

# slurmdbd sums up whole hours, each when it is over. An end in the next hour includes this one, without marking it as
# done. A slurmctld that rereads its configuration recalculates fairshare at once.
_ROLL_UP = f"""set -e
{AWAIT_ACCOUNTING}sacctmgr --immediate --quiet rollup now-1day now+1hour
scontrol reconfigure
{AWAIT_CONTROLLER}"""


def require(engine: Engine, what: str) -> None:
    """Raise `SpecError` unless the mini-cluster has accounting, which `what` needs."""
    if not _found.find(engine.name).spec.accounting:
        seen = f"mini-cluster {engine.name!r} has no accounting"
        raise SpecError(f"{what} needs accounting.", seen, "start a mini-cluster with --accounting.")


def roll_up(engine: Engine) -> None:
    """Sum up what jobs have used until now; see `SlurmSim.roll_up`."""
    require(engine, "roll-up")
    engine.require("database", "slurmdbd", "slurmctld")
    engine.exec("sh", "-c", _ROLL_UP, on="slurmctld", user="root", timeout=120)
