"""`dask-hpc jobqueue-config`: write a `jobqueue.yaml` for this site, so that `SLURMCluster()` needs no arguments.

`look` queries Slurm and the nodes, `settings` chooses each value and gives its reason, `command` writes the file.
"""
