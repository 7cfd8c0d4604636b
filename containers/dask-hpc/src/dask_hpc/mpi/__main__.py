"""`python -m dask_hpc.mpi`: the check of the world by itself."""

from dask_hpc.mpi.check import main

if __name__ == "__main__":
    main()
