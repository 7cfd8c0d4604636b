"""A real Slurm cluster in Docker Compose, up in seconds.

>>> from slurm_sim import SlurmSim
>>> with SlurmSim(nodes=2) as sim:
...     sim.exec("sinfo").stdout
...     job = sim.submit("job.sbatch")
...     job.wait(timeout=60)
...     sim.scale(4)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurm_sim._docker import Completed
    from slurm_sim._jupyter import Jupyter
    from slurm_sim._record import JobRecord
    from slurm_sim._rest import Rest
    from slurm_sim.cluster import SlurmSim
    from slurm_sim.errors import (
        CommandError,
        EngineError,
        JobError,
        JobTimeoutError,
        NotRunningError,
        SlurmSimError,
        SpecError,
        StartError,
    )
    from slurm_sim.faults import Fault
    from slurm_sim.job import Job
    from slurm_sim.spec import Spec

__all__ = [
    "CommandError",
    "Completed",
    "EngineError",
    "Fault",
    "Job",
    "JobError",
    "JobRecord",
    "JobTimeoutError",
    "Jupyter",
    "NotRunningError",
    "Rest",
    "SlurmSim",
    "SlurmSimError",
    "Spec",
    "SpecError",
    "StartError",
]

_MODULES = {
    "Completed": "_docker",
    "Fault": "faults",
    "Job": "job",
    "JobRecord": "_record",
    "Jupyter": "_jupyter",
    "Rest": "_rest",
    "SlurmSim": "cluster",
    "Spec": "spec",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, and only then: the command must handle Ctrl-C before it imports anything slow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
