"""`dask-hpc doctor`: what a run needs of this machine and of Slurm, looked at before anything depends on it.

`site` says where we are, `survey` asks every idle node in one short job (or the nodes of the allocation that we are
in), and each module of `checks` has a few functions that take a `Site` and return a `Verdict`. `examine` runs them side
by side.
"""
