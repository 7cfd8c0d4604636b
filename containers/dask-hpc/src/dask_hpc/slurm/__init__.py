"""The interface to Slurm.

`commands` runs Slurm's commands in an environment that `environment` cleans. `nodes`, `jobs` and `accounts` read their
answers. `sbatch` has the options of job scripts, `srun` runs short steps, and `allocation` reads the resources of this
process's job.
"""
