"""Keep a number of worker jobs for as long as the work lasts: replace what ends, and let others retire in time.

- `cluster` is dask-jobqueue's cluster without its own replacement of workers, and its scheduler.
- `keeper` decides; it asks Slurm, submits, retires and gives up.
- `fate`, `lifetime`, `losses` and `pace` are its rules: why a job ended, when one retires, which task is to blame, and
  how often to ask Slurm.
"""
