"""All that this package knows of Slurm.

`commands` runs Slurm's commands in an environment that `environment` cleans. `nodes`, `jobs` and `accounts` read their
answers. `sbatch` has the options of job scripts, `srun` runs short steps, and `allocation` tells what Slurm gave to the
process that this is.
"""
