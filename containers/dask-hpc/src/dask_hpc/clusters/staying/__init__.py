"""A Dask cluster that stays: its scheduler is a Slurm job, and programs attach to it by its name.

::

    folder.py    ~/.dask-hpc/clusters/NAME: request, address, credentials, logs
    state.py     whether a cluster starts, runs or has ended, and why
    start.py     submit the scheduler's job, or keep the scheduler on the login node, and wait for it
    serve.py     what that job runs: the scheduler, and the keeper of the worker jobs
    attach.py    connect to it: from a script, and for the commands
    backend.py   `--on NAME`
    relay.py     the dashboard, by way of the login node
    command.py   `dask-hpc cluster`
"""
