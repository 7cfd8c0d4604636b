"""`--on slurm`: a Dask cluster of Slurm jobs, and what is asked of Slurm."""
