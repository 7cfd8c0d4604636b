"""MPI collectives in Dask tasks, on data that Dask holds: all ranks enter or none does, and an error is not a hang.

::

    from dask_hpc.collective import Ranks

    def total(comm, blocks):
        mine = sum(block.sum() for block in blocks.values())
        return comm.allreduce(mine)

    ranks = Ranks(client)  # of a Dask cluster that MPI has started
    results = ranks.run(total, array=x)  # a future for each rank; they stay on the workers

What is guaranteed:

- No rank enters before all are there. One that does not come in time ends it for all, with its name.
- A rank that raises, is lost or takes too long ends it for all: the others leave in their next call of MPI, the error
  of the first is the cause of the one that the client gets, and then the next collective can start.
- A rank that cannot leave, because it is in a call that blocks in MPI itself, is not waited for forever: after `grace`
  seconds MPI is aborted, the reason is in the job's log, and the client gets an error.
- A client that goes away, killed even, leaves no rank waiting.
- Dask never runs a rank's task elsewhere, twice, or out of an earlier result.
"""
