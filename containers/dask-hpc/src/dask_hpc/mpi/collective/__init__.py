"""MPI collectives in Dask tasks, on data that Dask holds: all ranks enter or none does, and no error hangs.

::

    from dask_hpc.collective import Ranks

    def total(comm, blocks):
        mine = sum(block.sum() for block in blocks.values())
        return comm.allreduce(mine)

    ranks = Ranks(client)  # on a Dask cluster that MPI started
    results = ranks.run(total, array=x)  # one future per rank; the results stay on the workers

Guarantees:

- No rank enters before all are present. If one does not join in time, the collective ends, and the error names it.
- If a rank raises, is lost or takes too long, the collective ends: the other ranks leave in their next MPI call, the
  client's error has the first rank's error as its cause, and then the next collective can start.
- If a rank cannot leave, because a call blocks inside MPI, MPI is aborted after `grace` seconds: the job's log has the
  reason, and the client gets an error.
- If the client exits or is killed, no rank keeps waiting.
- Dask never runs a rank's task on another worker, twice, or from an earlier result.
"""
