"""The leases that one process of a test run has in shared mini-clusters."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from slurm_sim._pytest_lease import Lease
from slurm_sim._pytest_shared import Shared, Sharing
from slurm_sim.cluster import SlurmSim


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

    def get(self, node: pytest.Item | pytest.Collector, kind: str, sim: SlurmSim) -> Lease:
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
