"""Run collectives that work and that fail under srun, on real ranks of a mini-cluster; print the results as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def whole(comm: Any, blocks: Any) -> dict[str, Any]:
    """Return a rank's view: its ranks, its blocks, and the sum over all ranks."""
    from mpi4py import MPI

    mine = sum(float(block.sum()) for block in blocks.values())
    return {
        "rank": comm.rank,
        "size": comm.size,
        "world": MPI.COMM_WORLD.rank,
        "blocks": sorted(blocks),
        "sum": comm.allreduce(mine),
        "hosts": comm.allgather(os.uname().nodename),
    }


def calls(comm: Any, blocks: Any) -> list[Any]:
    """Check the result of each of the communicator's interruptible calls."""
    import numpy as np

    rank = comm.rank
    size = comm.size
    right = (rank + 1) % size
    left = (rank - 1) % size
    one = np.array([rank])
    all_ = np.empty(size, dtype=int)
    got = np.array([-1])
    comm.Allgather(one, all_)
    comm.Sendrecv(one, right, 7, got, left, 7)
    seen: list[Any] = [list(all_) == list(range(size)), int(got[0]) == left]
    if rank == 0:
        comm.Send(np.array([42]), size - 1)
        comm.Ssend(np.array([43]), size - 1)
    if rank == size - 1:
        from mpi4py import MPI

        status = MPI.Status()
        comm.Recv(got, 0, status=status)
        seen += [int(got[0]) == 42, status.source == 0]
        comm.Recv(got, 0)
        seen.append(int(got[0]) == 43)
    seen.append(comm.bcast({"from": rank}, root=1) == {"from": 1})
    seen.append(comm.gather(rank * 2, root=1) == ([2 * other for other in range(size)] if rank == 1 else None))
    seen.append(comm.allreduce(rank) == sum(range(size)))
    comm.wait(comm.Ibarrier())
    comm.barrier()
    return [bool(one) for one in seen]


def failing(comm: Any, blocks: Any, when: int) -> None:
    """Raise on one rank after some steps, while the others wait for it in the next step."""
    for step in range(1000):
        if comm.rank == 1 and step == when:
            raise ValueError(f"no luck in step {step}")
        comm.allreduce(step)


def blocking(comm: Any, blocks: Any) -> None:
    """Raise on one rank, while the others are in one of mpi4py's own calls."""
    from mpi4py import MPI

    if comm.rank == 1:
        raise ValueError("no luck")
    MPI.Intracomm(comm).Barrier()


def endless(comm: Any, blocks: Any) -> None:
    """Wait on rank 0 for a message that is never sent."""
    import numpy as np

    if comm.rank == 0:
        comm.Recv(np.zeros(1), comm.size - 1)


def waiting(comm: Any, blocks: Any) -> None:
    """Log an event on every rank, and wait for a message that is never sent."""
    import numpy as np
    from distributed import get_worker

    get_worker().log_event("waiting", comm.rank)
    comm.Recv(np.zeros(1), (comm.rank + 1) % comm.size)


def killed(comm: Any, blocks: Any) -> None:
    """Kill the process of one rank."""
    if comm.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    comm.barrier()


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    """Return a collective's error, and its time in seconds."""
    from dask_hpc.collective import CollectiveError

    start = time.monotonic()
    try:
        call()
    except CollectiveError as error:
        cause = f"{type(error.__cause__).__name__}: {error.__cause__}"
        return {"error": error.message, "cause": cause, "seconds": time.monotonic() - start}
    return {"error": None, "seconds": time.monotonic() - start}


def several(client: Any) -> dict[str, Any]:
    """Run good and bad collectives, one after the other, on the same ranks."""
    import dask.array as da
    from distributed import Event

    from dask_hpc.collective import Ranks

    ranks = Ranks(client, entry=60, timeout=60, grace=60)
    array = da.ones((40, 40), chunks=10).persist()
    results = ranks.run(whole, array=array)
    told: dict[str, Any] = {"members": [[one.rank, one.host] for one in ranks.members]}
    told["holders"] = [client.who_has(result)[result.key] for result in results]
    told["addresses"] = [one.address for one in ranks.members]
    told["whole"] = client.gather(results)
    told["calls"] = client.gather(ranks.run(calls))
    told["failing"] = [outcome(partial(ranks.run, failing, when)) for when in (0, 17)]
    told["endless"] = outcome(lambda: Ranks(client, entry=60, timeout=3, grace=60).run(endless))
    free = Event("free", client=client)
    busy = client.submit(lambda: Event("free").wait(), workers=[ranks.members[1].address], pure=False)
    while not client.processing()[ranks.members[1].address]:
        time.sleep(0.05)
    told["missing"] = outcome(lambda: Ranks(client, entry=4, timeout=60, grace=60).run(whole))
    free.set()
    busy.result()
    told["after"] = len(client.gather(ranks.run(whole)))
    told["two"] = both(client, ranks)
    return told


def both(client: Any, ranks: Any) -> list[int]:
    """Start two collectives at the same time from two threads: one runs after the other."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(lambda: len(client.gather(ranks.run(whole)))) for _ in range(2)]
        return [call.result() for call in calls]


def last(client: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """Run one collective after which MPI may be unusable."""
    from dask_hpc.collective import Ranks

    return outcome(lambda: Ranks(client, entry=60, timeout=60, grace=2).run(function))


def abandoned(client: Any) -> dict[str, Any]:
    """Kill this client, from outside the cluster, while its ranks wait for each other."""
    from threading import Thread

    from dask_hpc.collective import Ranks

    ranks = Ranks(client, entry=60)
    Thread(target=ranks.run, args=(waiting,), daemon=True).start()
    while len(client.get_events("waiting")) < len(ranks.members):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def attached(client: Any) -> dict[str, Any]:
    """Run a collective from a client that is not a rank."""
    from dask_hpc.collective import Ranks

    told: dict[str, Any] = outcome(lambda: client.gather(Ranks(client, entry=60).run(whole)))
    return told | {"mpi": "mpi4py.MPI" in sys.modules}


def connect(scheduler_file: str | None) -> Any:
    """Become a rank of a new cluster, or join a running one; return the client, on the rank that has one."""
    from distributed import Client

    if scheduler_file:
        client = Client(scheduler_file=scheduler_file)
        client.wait_for_workers(int(sys.argv[3]), timeout=60)
        return client
    from dask_mpi import initialize
    from mpi4py import MPI

    initialize(dashboard=False, memory_limit="300MB", local_directory="/tmp")
    client = Client()
    client.wait_for_workers(MPI.COMM_WORLD.size - 2, timeout=60)
    return client


def main() -> None:
    """Run one case: CASE [SCHEDULER_FILE WORKERS]."""
    case = globals()[sys.argv[1]]
    client = connect(sys.argv[2] if len(sys.argv) > 2 else None)
    told = case(client) if case in (several, attached, abandoned) else last(client, case)
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
