"""One mini-cluster for all processes of a test run: tests lease nodes of it, each with a partition of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import count as numbers
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from slurm_sim import _found, _health
from slurm_sim._claims import Book, Entry
from slurm_sim._node_names import node_number
from slurm_sim._pytest_lease import Lease, partition_of
from slurm_sim._pytest_markers import Place
from slurm_sim._slurm import empty_queue
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import SlurmSimError, SpecError, StartError

_ATTEMPTS = 3

_JOBS = rf"""
set -e
empty() {{
{empty_queue('"$1"')}}}
edit() {{ flock /etc/slurm sed --in-place --expression="/^PartitionName=$1 /d" /etc/slurm/slurm.conf; }}
exists() {{ scontrol show partition "$1" >/dev/null 2>&1; }}
"""
# In slurm.conf as well: `scontrol reconfigure` would take away a partition that is not.
_OPEN = (
    _JOBS
    + r"""
if [ -n "$3" ]; then empty "--nodelist=$3"; fi
limits=$(sinfo --noheader --partition=general --format='MaxTime=%l DefaultTime=%L')
edit "$1"
flock /etc/slurm sh -c 'echo "PartitionName=$1 Nodes=$2 $3" >>/etc/slurm/slurm.conf' - "$1" "$2" "$limits"
if exists "$1"; then how=update; else how=create; fi
exec scontrol $how partition="$1" nodes="$2" $limits state=up
"""
)
_CLOSE = (
    _JOBS
    + r"""
if exists "$1"; then empty "--partition=$1"; fi
empty "--nodelist=$2"
edit "$1"
if exists "$1"; then exec scontrol delete partition="$1"; fi
"""
)


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """The way in which workers share mini-clusters.

    Attributes:
        run: The name of the run of tests.
        most: The nodes that tests have at the same time; further tests wait.
        strict: Whether a test that needs more than `most` fails, and whether other sessions' tests count.
        notes: What the user is told at the end is added here.
    """

    run: str
    most: int
    strict: bool
    notes: list[str]


class Shared:
    """A mini-cluster that several processes lease nodes of.

    Args:
        sim: The mini-cluster. It starts when a test first needs it, and grows when tests need more nodes.
        how: How it is shared.
    """

    def __init__(self, sim: SlurmSim, how: Sharing) -> None:
        self.sim = sim
        self._how = how
        self._book = Book(sim.name)
        self._compared = False

    def lease(self, count: int, *, lasting: bool) -> Lease:
        """Return a lease of nodes that work and have no jobs, once so many are free.

        Args:
            count: The number of nodes.
            lasting: It outlives a test. Such a lease does not wait for others, or two processes could wait for each
                other: the mini-cluster grows instead.

        Raises:
            SpecError: More nodes than there may be.
            SlurmSimError: The mini-cluster cannot be started or mended.
        """
        if self._how.strict and count > self._how.most:
            raise SpecError(
                f"The test needs {count} nodes, and the shared mini-cluster has {self._how.most} at most.",
                todo=f"take --slurm-sim-max-nodes={count}.",
            )
        run = self._how.run
        lease = Lease(self.sim, claim=self._book.join(run), run=run, resize=self.resize, lasting=lasting)
        try:
            self.ready(lease, count)
        except BaseException:
            lease.leave(mended=not lease.nodes())
            raise
        return lease

    def ready(self, lease: Lease, count: int) -> None:
        """Give a lease its nodes, if it has none, and see that they work."""
        for attempt in range(1, _ATTEMPTS + 1):
            fresh = not lease.nodes()
            while not self._take(lease, count):
                time.sleep(0.1)  # the removal of a file sends no event
            try:
                lease.configuration = _health.restore(self.sim, lease.nodes(), suspect=lease.suspect)
                self._open(lease, lease.nodes() if fresh else [])
            except (SlurmSimError, TimeoutError) as error:
                reason = _health.reason(error)
                if attempt == _ATTEMPTS:
                    raise StartError(f"The shared mini-cluster {self.sim.name!r} cannot be mended.", reason) from None
                self._condemn(reason)
                if not lease.lasting:
                    lease.take([])  # or two tests would wait for each other to replace the mini-cluster
            else:
                lease.suspect = False
                return

    def release(self, lease: Lease) -> None:
        """Give the nodes of a lease back. Nodes that a failed test had, or that are broken, are mended later."""
        mended = False
        try:
            if not _health.ailments(self.sim.engine, lease.nodes()):
                if lease.suspect:  # its nodes may never tell that a job has ended
                    self._admin('scancel --partition="$1"', lease.partition)
                else:
                    self._admin(_CLOSE, lease.partition, ",".join(lease.nodes()))
                mended = not lease.suspect
                self._compare(lease)
        except (SlurmSimError, TimeoutError):
            mended = False
        finally:
            lease.leave(mended=mended)

    def resize(self, lease: Lease, count: int) -> None:
        """Give a lease more nodes, or fewer, at once: two tests that have nodes could wait for each other for ever."""
        had = lease.nodes()
        if count < len(had):
            self._open(lease, had[count:], nodes=had[:count])
            lease.take(had[:count])
        elif count > len(had):
            with self._book.locked():
                lease.take([*had, *self._choose(count - len(had))])
            fresh = [node for node in lease.nodes() if node not in had]
            _health.restore(self.sim, fresh, suspect=False)
            self._open(lease, fresh)

    def _open(self, lease: Lease, emptied: Sequence[str], nodes: Sequence[str] | None = None) -> None:
        """Make the lease's partition one of its nodes, with no jobs on those that are emptied."""
        listed = ",".join(nodes or lease.nodes())
        self._admin(_OPEN, lease.partition, listed, ",".join(emptied))

    def _admin(self, script: str, *arguments: str) -> None:
        self.sim.exec("sh", "-c", script, "admin", *arguments, on="slurmctld", user="root", timeout=_health.PATIENCE)

    def _take(self, lease: Lease, count: int) -> bool:
        """Choose the nodes of a lease, if it is its turn and enough are free. Return whether it has them."""
        with self._book.locked():
            others = {path: entry for path, entry in self._book.living().items() if path != lease.path}
            if not (lease.lasting or self._is_turn(lease, others, count)) or not self._works(others, count):
                return False
            for path, entry in self._book.dead().items():
                self._reclaim(path, entry)
            if not lease.nodes():
                lease.take(self._choose(count))
        return True

    def _is_turn(self, lease: Lease, others: Mapping[Path, Entry], count: int) -> bool:
        """Return whether so many nodes are free, and no earlier test waits for them."""
        counted = {path: entry for path, entry in others.items() if self._how.strict or entry.run == self._how.run}
        busy = sum(len(entry.nodes) for entry in counted.values() if entry.kind == "test")
        earlier = any(entry.kind == "waiting" and path < lease.path for path, entry in counted.items())
        return not earlier and (not busy or busy + count <= self._how.most)

    def _choose(self, count: int) -> list[str]:
        """Return nodes without a claim: the first ones, which may not be there yet."""
        taken = {node for entry in self._book.living().values() for node in entry.nodes}
        return list(islice((node for number in numbers(1) if (node := f"c{number}") not in taken), count))

    def _works(self, others: Mapping[Path, Entry], count: int) -> bool:
        """Start or replace the mini-cluster if that is necessary; not while tests run on one that is broken."""
        there = _found.find_all().get(self.sim.name)
        reason = self._condemned() if there else "it was gone"
        if there and not self._compared and (unlike := _found.unlike(there, self.sim.spec)):
            if others:
                raise StartError(
                    f"The kept mini-cluster {self.sim.name!r} is not like this session wants it.",
                    "; ".join(unlike),
                    "another session is using it: wait for its end, or leave out --slurm-sim-keep.",
                )
            reason = "; ".join(unlike)
        if reason and any(entry.kind == "test" and entry.nodes for entry in others.values()):
            return False
        if reason:
            if there or self._compared:
                self._how.notes.append(f"the shared {self.sim.name} was replaced: {reason}")
            self._start(others, count)
        self._compared = True
        return True

    def _start(self, others: Mapping[Path, Entry], count: int) -> None:
        """Start the mini-cluster anew, with the nodes and partitions of leases that outlive it."""
        self.sim.down()
        for path in (*self._book.dead(), self._book.condemned):
            path.unlink(missing_ok=True)
        nodes = max([count, *(node_number(node) for entry in others.values() for node in entry.nodes)])
        self.sim.spec = msgspec.structs.replace(self.sim.spec, nodes=nodes)
        self.sim.start()
        for path, entry in others.items():
            if entry.nodes:
                self._admin(_OPEN, partition_of(path), ",".join(entry.nodes), "")

    def _reclaim(self, path: Path, entry: Entry) -> None:
        """Put the nodes of a claim in order whose owner has crashed, or whose test has failed."""
        try:
            if entry.nodes:
                _health.restore(self.sim, entry.nodes, suspect=True)
                self._admin(_CLOSE, partition_of(path), ",".join(entry.nodes))
        except (SlurmSimError, TimeoutError) as error:
            self._condemn(_health.reason(error))
        path.unlink(missing_ok=True)

    def _compare(self, lease: Lease) -> None:
        """Condemn the mini-cluster if its configuration is not as it was when the lease began."""
        after = _health.configuration(self.sim)
        if after != lease.configuration:
            changed = _health.differences(lease.configuration, after)
            self._condemn(f"its configuration was changed: {'; '.join(changed[:3])}", before=lease.configuration)

    def _condemn(self, reason: str, *, before: str = "") -> None:
        self._book.condemned.write_text(f"{reason}\n{before}", encoding="utf-8")

    def _condemned(self) -> str:
        """Return why the mini-cluster has to be replaced; "" if it is as before, since another test was to blame."""
        try:
            reason, _, before = self._book.condemned.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return ""
        try:
            if before and _health.configuration(self.sim) == before:
                self._book.condemned.unlink(missing_ok=True)
                return ""
        except (SlurmSimError, TimeoutError):
            pass
        return reason


class Leases:
    """Leases by the place in the tests that they belong to: each ends with its place."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self._shared: dict[str, Shared] = {}
        self._leases: dict[tuple[str, str], Lease] = {}

    def __contains__(self, sim: SlurmSim) -> bool:
        return sim in self._leases.values()

    def sims(self) -> Iterable[SlurmSim]:
        """Return the mini-clusters that have been used."""
        return [shared.sim for shared in self._shared.values()]

    def get(self, node: Place, kind: str, sim: SlurmSim) -> Lease:
        """Return the lease of the nearest place around a node that has one, else a new one for the node."""
        for near in reversed(node.listchain()):
            if (near.nodeid, kind) in self._leases:
                return self._leases[near.nodeid, kind]
        if kind not in self._shared:
            self._shared[kind] = Shared(sim, self._sharing)
        shared = self._shared[kind]
        lease = shared.lease(sim.spec.nodes, lasting=not isinstance(node, pytest.Item))
        self._leases[node.nodeid, kind] = lease

        def end() -> None:
            shared.release(self._leases.pop((node.nodeid, kind)))

        node.addfinalizer(end)
        return lease

    def ready(self, lease: Lease) -> None:
        """See that the nodes of a lease work that earlier tests have had."""
        if lease.lasting:
            (shared,) = (shared for shared in self._shared.values() if shared.sim.name == lease.name)
            shared.ready(lease, len(lease.nodes()))
