"""A real Slurm cluster in Docker Compose, up in seconds.

>>> from slurm_sim import SlurmSim
>>> with SlurmSim(nodes=2) as sim:
...     sim.exec("sinfo").stdout
...     job = sim.submit("job.sbatch")
...     job.wait(timeout=60)
...     sim.scale(4)
"""

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
from slurm_sim.job import Job, JobRecord
from slurm_sim.running import Completed
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
    "NotRunningError",
    "SlurmSim",
    "SlurmSimError",
    "Spec",
    "SpecError",
    "StartError",
]
