"""`--on mpi`: a Dask cluster in one MPI job: submitted for the run, in the current step, or already running."""
