"""A workload that computes until it is ended, for tests of how that goes."""

from __future__ import annotations

from slurm_sim import SlurmSim

_PROGRAM = '''
import pathlib

import numpy as np


def main(client):
    """Compute until it is ended; every worker leaves a file once it computes."""
    home = pathlib.Path.home()

    def compute(number):
        (home / f"computing-{number}").touch()
        while True:  # most of it without Python's lock, as real tasks do
            np.linalg.eigvals(np.random.default_rng(1).random((600, 600)))

    addresses = client.nthreads()
    tasks = [client.submit(compute, n, workers=[one], pure=False) for n, one in enumerate(addresses)]
    return client.gather(tasks)
'''


def install(sim: SlurmSim) -> str:
    """Put it into the user's home; return the shell's words that run it: behind them comes `--on …`."""
    sim.exec("sh", "-c", "rm -f computing-*; mkdir -p endless && cat >endless/endless.py", stdin=_PROGRAM)
    return "DASK_HPC_WORKLOADS=~/endless dask-hpc run endless"


AT_WORK = 'until [ "$(ls ~ | grep -c ^computing-)" = {workers} ]; do sleep 0.1; done'
"""The shell's words that wait until every worker computes."""
