"""Share one mini-cluster among all processes of a test run: tests lease its nodes, each with its own partition."""

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
from slurm_sim.config import DEFAULT_GROUP
from slurm_sim.errors import SlurmSimError, SpecError, StartError

_ATTEMPTS = 3

_JOBS = rf"""
set -e
empty() {{
{empty_queue('"$1"')}}}
edit() {{ flock /etc/slurm sed --in-place --expression="/^PartitionName=$1 /d" /etc/slurm/slurm.conf; }}
exists() {{ scontrol show partition "$1" >/dev/null 2>&1; }}
"""
# Also in slurm.conf: `scontrol reconfigure` would remove a partition that is not.
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
    """Settings of the workers that share mini-clusters.

    Attributes:
        run: Name of the test run.
        most: Maximum number of nodes that tests lease at the same time; other tests wait.
        strict: Whether a test that needs more than `most` fails, and whether other sessions' tests count.
        notes: List for messages to the user at the end of the run.
    """

    run: str
    most: int
    strict: bool
    notes: list[str]


class Shared:
    """A mini-cluster whose nodes several processes lease.

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
        """Return a lease of working nodes without jobs, once enough are free.

        Args:
            count: Number of nodes.
            lasting: Whether it outlives a test. Such a lease does not wait, since two processes could wait for each
                other: the mini-cluster grows instead.

        Raises:
            SpecError: The test needs more nodes than allowed.
            SlurmSimError: The mini-cluster cannot be started or repaired.
        """
        if self._how.strict and count > self._how.most:
            raise SpecError(
                f"The test needs {count} nodes, but the shared mini-cluster is limited to {self._how.most}.",
                todo=f"use --slurm-sim-max-nodes={count}.",
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
        """Give a lease its nodes, if it has none, and make sure that they work."""
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
                    raise StartError(f"The shared mini-cluster {self.sim.name!r} cannot be repaired.", reason) from None
                self._condemn(reason)
                if not lease.lasting:
                    lease.take([])  # or two tests would wait for each other to replace the mini-cluster
            else:
                lease.suspect = False
                return

    def release(self, lease: Lease) -> None:
        """Release the nodes of a lease. Broken nodes, and those of a failed test, are repaired later."""
        mended = False
        try:
            if not _health.ailments(self.sim, lease.nodes()):
                if lease.suspect:  # its nodes may never report that a job has ended
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
        """Resize a lease at once: if it waited, two tests that have nodes could wait for each other forever."""
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
        """Set the nodes of the lease's partition, and cancel all jobs on the emptied ones."""
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
        """Return whether this number of nodes is free, and no earlier test waits for them."""
        counted = {path: entry for path, entry in others.items() if self._how.strict or entry.run == self._how.run}
        busy = sum(len(entry.nodes) for entry in counted.values() if entry.kind == "test")
        earlier = any(entry.kind == "waiting" and path < lease.path for path, entry in counted.items())
        return not earlier and (not busy or busy + count <= self._how.most)

    def _choose(self, count: int) -> list[str]:
        """Return the first nodes without a claim; they may not exist yet."""
        taken = {node for entry in self._book.living().values() for node in entry.nodes}
        return list(islice((node for number in numbers(1) if (node := f"{DEFAULT_GROUP}{number}") not in taken), count))

    def _works(self, others: Mapping[Path, Entry], count: int) -> bool:
        """Start or replace the mini-cluster if necessary, but not while tests run on a broken one."""
        there = _found.find_all().get(self.sim.name)
        reason = self._condemned() if there else "it was removed"
        if there and not self._compared and (unlike := _found.unlike(there, self.sim.spec)):
            if others:
                raise StartError(
                    f"The kept mini-cluster {self.sim.name!r} does not have this session's settings.",
                    "; ".join(unlike),
                    "wait for the end of the other session that uses it, or leave out --slurm-sim-keep.",
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
        """Start the mini-cluster again, with the nodes and partitions of existing leases."""
        self.sim.down()
        for path in (*self._book.dead(), self._book.condemned):
            path.unlink(missing_ok=True)
        nodes = max([count, *(node_number(node) for entry in others.values() for node in entry.nodes)])
        self.sim.spec = self.sim.spec.resized({DEFAULT_GROUP: nodes})
        self.sim.start()
        for path, entry in others.items():
            if entry.nodes:
                self._admin(_OPEN, partition_of(path), ",".join(entry.nodes), "")

    def _reclaim(self, path: Path, entry: Entry) -> None:
        """Repair the nodes of a claim whose owner has crashed or whose test has failed."""
        try:
            if entry.nodes:
                _health.restore(self.sim, entry.nodes, suspect=True)
                self._admin(_CLOSE, partition_of(path), ",".join(entry.nodes))
        except (SlurmSimError, TimeoutError) as error:
            self._condemn(_health.reason(error))
        path.unlink(missing_ok=True)

    def _compare(self, lease: Lease) -> None:
        """Condemn the mini-cluster if its configuration has changed since the lease began."""
        after = _health.configuration(self.sim)
        if after != lease.configuration:
            changed = _health.differences(lease.configuration, after)
            self._condemn(f"its configuration was changed: {'; '.join(changed[:3])}", before=lease.configuration)

    def _condemn(self, reason: str, *, before: str = "") -> None:
        self._book.condemned.write_text(f"{reason}\n{before}", encoding="utf-8")

    def _condemned(self) -> str:
        """Return why the mini-cluster must be replaced; "" if another test has undone its change meanwhile."""
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
    """Leases by their place in the tests; each ends with its place."""

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
        """Make sure that the nodes of a lease still work after earlier tests."""
        if lease.lasting:
            (shared,) = (shared for shared in self._shared.values() if shared.sim.name == lease.name)
            shared.ready(lease, len(lease.nodes()))
