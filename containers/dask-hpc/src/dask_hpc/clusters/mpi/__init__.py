"""`--on mpi`: a Dask cluster in one MPI job, as a job of its own, in a step, or one that is there already."""
