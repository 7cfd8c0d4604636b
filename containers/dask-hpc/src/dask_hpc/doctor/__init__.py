"""`dask-hpc doctor`: check what a run needs from this machine and from Slurm.

`site` detects where doctor runs. `survey` queries every idle node in one short job, or the nodes of the current
allocation. The modules of `checks` have functions that take a `Site` and return a `Verdict`; `examine` runs them side
by side.
"""
