"""`dask-hpc jobqueue-config`: a `jobqueue.yaml` for this site, after which `SLURMCluster()` needs no arguments.

`look` asks Slurm and the nodes, `settings` decides and gives a reason for each line, `command` writes the file.
"""
