"""`--on slurm`: a Dask cluster of Slurm jobs."""
