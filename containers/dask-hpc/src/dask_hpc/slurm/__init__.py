"""Everything that this package knows of Slurm: its commands, nodes and jobs, and what it gives to a job."""
