"""The client's side of a collective: who the ranks are, what each gets, and one of two ends."""

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
_TAGS = 1 << 15  # every MPI has at least so many
_FIRST = 1000  # priority: before whatever else waits for a worker


class Ranks:
    """The workers of a Dask cluster that MPI has started, as the ranks of a communicator.

    Args:
        client: connected to the cluster.
        entry: seconds that the ranks have to come together, in which a worker's running tasks must end.
        timeout: seconds for a collective, from then on.
        grace: seconds that a rank has to leave a collective that was stopped. It notices in its next call of MPI; if
            it does not come out of one, or computes for longer than this, MPI is aborted and the job ends.

    Raises:
        CollectiveError: workers are no MPI processes, are of different jobs, or must not call MPI from Dask's threads.
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
        """Call `function(comm, blocks, *args)` on every rank at once, and return what each gave back.

        Either all ranks enter or none does; the ranks of `comm` are the workers, in the order of `MPI.COMM_WORLD`.
        One collective runs at a time on a cluster, whichever client asks.

        Args:
            function: runs in a thread of every worker. Its `comm` is an `InterruptibleComm`, see `mpi.collective.comm`.
            args: the same for all ranks; futures among them become their values.
            array: a Dask array, which is persisted if it is not yet. `blocks` has, by their index, those blocks that
                are on the rank's worker already: nothing moves.

        Returns:
            A future for each rank, in their order, finished: the results stay on the workers until they are asked for.

        Raises:
            CollectiveError: a rank did not come, failed, took too long or was lost. No rank is in the collective any
                more, and the next one can start, unless the message says that MPI was aborted.
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
        """Return what keeps a second collective out meanwhile."""
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
                # longer than the client waits, so that none has given up when the others are let in
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
    """Return the ranks in order, out of what the workers say by their addresses; or raise `CollectiveError`."""
    seen = "\n".join(f"{address} on {one.host}: {one}" for address, one in sorted(found.items()))
    if not found:
        raise CollectiveError("A collective has no ranks: the Dask cluster has no workers.", todo="wait for them.")
    if any(one.rank < 0 for one in found.values()):
        raise CollectiveError(
            "A collective needs workers that are MPI processes.",
            seen,
            "start the cluster by MPI, with --on mpi or dask-mpi, and with --worker-class distributed.Worker: "
            "a Nanny's worker is a child of the MPI process.",
        )
    if len({one.world for one in found.values()}) > 1 or len({one.rank for one in found.values()}) < len(found):
        raise CollectiveError("The workers are of several MPI jobs.", seen, "use one job, or a cluster for each.")
    if not all(one.threads for one in found.values()):
        raise CollectiveError(
            "MPI must not be called from Dask's threads here: it was not started with THREAD_MULTIPLE.",
            seen,
            "do not set mpi4py.rc.threads or mpi4py.rc.thread_level, and take an MPI that supports it.",
        )
    return sorted((Rank(one.rank, address, one.host) for address, one in found.items()), key=lambda rank: rank.rank)


def shares(who_has: Mapping[Any, Sequence[str]], addresses: Sequence[str]) -> list[list[Any]]:
    """Give every key to one of the workers that hold it, to that with the fewest so far.

    Raises:
        CollectiveError: none of these holds a key.
    """
    given: dict[str, list[Any]] = {address: [] for address in addresses}
    for key, holders in who_has.items():
        able = [address for address in addresses if address in holders]
        if not able:
            raise CollectiveError(f"The block {key} is on no rank.", f"on: {', '.join(holders) or 'no worker at all'}")
        given[min(able, key=lambda address: len(given[address]))].append(key)
    return list(given.values())
