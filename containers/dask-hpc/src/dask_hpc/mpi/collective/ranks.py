"""The client's side of a collective: find the ranks, give each its blocks, and return results or an error."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective.meeting import Meeting
from dask_hpc.mpi.collective.messages import Facts, Order, Rank
from dask_hpc.mpi.collective.part import facts, take_part

if TYPE_CHECKING:
    from distributed import Client, Future, Lock

_Block = tuple[int, ...]
_LOCK = "dask-hpc-collective"
_TAGS = 1 << 15  # number of tags that every MPI supports
_FIRST = 1000  # priority over all other tasks that wait for a worker


class Ranks:
    """The workers of a Dask cluster that MPI started, as the ranks of a communicator.

    Args:
        client: client of the cluster.
        entry: seconds within which all ranks must join; by then a worker's running tasks must have ended.
        timeout: seconds for a collective once all ranks have joined.
        grace: seconds for a rank to leave a stopped collective. A rank leaves in its next MPI call; if it stays in a
            call, or computes for longer than this, MPI is aborted and the job ends.

    Raises:
        CollectiveError: workers are not MPI processes, belong to several jobs, or must not call MPI in Dask's threads.
    """

    def __init__(self, client: Client, *, entry: float = 60, timeout: float = 600, grace: float = 60) -> None:
        self.client = client
        self.entry = entry
        self.timeout = timeout
        self.grace = grace
        self.members = members(client.run(facts))

    @property
    def size(self) -> int:
        """Number of ranks."""
        return len(self.members)

    def run(self, function: Callable[..., Any], *args: Any, array: Any = None) -> list[Future]:
        """Call `function(comm, blocks, *args)` on every rank at the same time, and return their results as futures.

        All ranks enter or none does; the ranks of `comm` are the workers, in the order of `MPI.COMM_WORLD`. A cluster
        runs one collective at a time, even with several clients.

        Args:
            function: runs in a thread of every worker; `comm` is an `InterruptibleComm`, see `mpi.collective.comm`.
            args: arguments, the same for all ranks; futures among them become their values.
            array: a Dask array, which is persisted first if necessary. `blocks` maps the index of each block that the
                rank's worker already holds to the block: no block moves.

        Returns:
            A finished future per rank, in rank order; the results stay on the workers.

        Raises:
            CollectiveError: a rank did not join, failed, took too long or was lost. All ranks have left the collective,
                and the next one can start, unless the message says that MPI was aborted.
        """
        owned = self._owned(array)
        with self._alone():
            orders = self._orders()
            with Meeting(self.client, self.members, orders) as meeting:
                futures = [
                    self._submit(rank.address, order, function=function, blocks=blocks, args=args)
                    for rank, order, blocks in zip(self.members, orders, owned, strict=True)
                ]
                meeting.hold(futures, entry=self.entry)
        return futures

    def _owned(self, array: Any) -> list[dict[_Block, Future]]:
        from distributed import futures_of, wait

        if array is None:
            return [{} for _ in self.members]
        array = self.client.persist(array)
        futures = {future.key: future for future in futures_of(array)}
        wait(list(futures.values()))
        owners = shares(self.client.who_has(array), [member.address for member in self.members])
        return [{key[1:]: futures[key] for key in keys} for keys in owners]

    def _alone(self) -> Lock:
        """Return the lock that makes a second collective wait."""
        from distributed import Lock

        return Lock(_LOCK, scheduler_rpc=self.client.scheduler, loop=self.client.loop)

    def _orders(self) -> list[Order]:
        run = f"dask-hpc-collective-{secrets.token_hex(8)}"
        tag = secrets.randbelow(_TAGS)
        ranks = tuple(member.rank for member in self.members)
        return [
            Order(
                run=run,
                tag=tag,
                key=f"{run}-rank-{rank}",
                ranks=ranks,
                # longer than the client waits, so that no rank has given up when the others enter
                entry=2 * self.entry,
                timeout=self.timeout,
                grace=self.grace,
            )
            for rank in ranks
        ]

    def _submit(
        self,
        address: str,
        order: Order,
        *,
        function: Callable[..., Any],
        blocks: Mapping[_Block, Future],
        args: Sequence[Any],
    ) -> Future:
        return self.client.submit(
            take_part,
            order,
            function=function,
            indices=list(blocks),
            blocks=list(blocks.values()),
            args=list(args),
            key=order.key,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
            priority=_FIRST,
        )


def members(found: Mapping[str, Facts]) -> list[Rank]:
    """Return the ranks in order from the workers' facts by address; raises `CollectiveError`."""
    seen = "\n".join(f"{address} on {one.host}: {one}" for address, one in sorted(found.items()))
    if not found:
        raise CollectiveError("A collective has no ranks: the Dask cluster has no workers.", todo="wait for workers.")
    if any(one.rank < 0 for one in found.values()):
        raise CollectiveError(
            "A collective needs workers that are MPI processes.",
            seen,
            "start the cluster with --on mpi, or with dask-mpi and --worker-class distributed.Worker: "
            "a nanny's worker is a child of the MPI process.",
        )
    if len({one.world for one in found.values()}) > 1 or len({one.rank for one in found.values()}) < len(found):
        raise CollectiveError("The workers belong to several MPI jobs.", seen, "use one job, or a cluster per job.")
    if not all(one.threads for one in found.values()):
        raise CollectiveError(
            "Dask's threads must not call MPI here: it was not started with THREAD_MULTIPLE.",
            seen,
            "do not set mpi4py.rc.threads or mpi4py.rc.thread_level, and use an MPI that supports THREAD_MULTIPLE.",
        )
    return sorted((Rank(one.rank, address, one.host) for address, one in found.items()), key=lambda rank: rank.rank)


def shares(who_has: Mapping[Any, Sequence[str]], addresses: Sequence[str]) -> list[list[Any]]:
    """Assign every key to a worker that holds it, preferring the one with the fewest keys so far.

    Raises:
        CollectiveError: no worker in `addresses` holds a key.
    """
    given: dict[str, list[Any]] = {address: [] for address in addresses}
    for key, holders in who_has.items():
        able = [address for address in addresses if address in holders]
        if not able:
            raise CollectiveError(f"No rank holds the block {key}.", f"Held by: {', '.join(holders) or 'no worker'}")
        given[min(able, key=lambda address: len(given[address]))].append(key)
    return list(given.values())
