"""A workload that computes until it is stopped, for tests that stop it."""

from __future__ import annotations

from slurm_sim import SlurmSim

_PROGRAM = '''
import pathlib

import numpy as np


def main(client):
    """Compute until stopped; every worker creates a file once it computes."""
    home = pathlib.Path.home()

    def compute(number):
        (home / f"computing-{number}").touch()
        while True:  # mostly without the GIL, like real tasks
            np.linalg.eigvals(np.random.default_rng(1).random((600, 600)))

    addresses = client.nthreads()
    tasks = [client.submit(compute, n, workers=[one], pure=False) for n, one in enumerate(addresses)]
    return client.gather(tasks)
'''


def install(sim: SlurmSim) -> str:
    """Copy the workload to the user's home; return the shell command that runs it, without `--on …`."""
    sim.exec("sh", "-c", "rm -f computing-*; mkdir -p endless && cat >endless/endless.py", stdin=_PROGRAM)
    return "DASK_HPC_WORKLOADS=~/endless dask-hpc run endless"


AT_WORK = 'until [ "$(ls ~ | grep -c ^computing-)" = {workers} ]; do sleep 0.1; done'
"""Shell code that waits until every worker computes."""
