"""A test's part of a shared mini-cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from slurm_sim import _scaling, faults
from slurm_sim._claims import Claim, Entry
from slurm_sim._engine import Engine
from slurm_sim._health import LEASE
from slurm_sim._node_names import node_number
from slurm_sim.cluster import SlurmSim
from slurm_sim.config import DEFAULT_GROUP
from slurm_sim.errors import NotRunningError, SpecError

_COMMANDS = ("SALLOC", "SBATCH", "SCANCEL", "SINFO", "SLURM", "SLURM_SIM", "SQUEUE")  # SLURM_SIM: see cli_filter.lua
_OF_ALL = {faults.Fault.CONTROLLER_LOST, faults.Fault.CONTROLLER_RESTARTED}


def partition_of(claim: Path) -> str:
    """Return the name of the partition that belongs to a claim."""
    return LEASE + claim.name.rpartition("-")[2]


class LeasedEngine(Engine):
    """The login node, the controller and the leased nodes of a shared mini-cluster.

    Slurm's commands use the lease's partition unless told otherwise.
    """

    def __init__(self, name: str, partition: str, services: Sequence[str]) -> None:
        super().__init__(name, env={f"{command}_PARTITION": partition for command in _COMMANDS})
        self.leased: list[str] = []
        self._services = services

    def nodes(self) -> list[str]:
        """Return the leased nodes, in order."""
        return list(self.leased)

    def container(self, service: str) -> str:
        """Return the name of a service's container. Raises `NotRunningError` for other tests' nodes."""
        own = [*self._services, *self.leased]
        if service not in own:
            raise NotRunningError(
                f"{service!r} does not belong to this test in the shared mini-cluster {self.name!r}.",
                ", ".join(own),
                "use one of these; nodes() returns the test's nodes.",
            )
        return super().container(service)


class Lease(SlurmSim):
    """One test's nodes in a shared mini-cluster: its commands see and use only these.

    Methods of `SlurmSim` that would change the mini-cluster for other tests raise `SpecError`.

    Args:
        sim: The shared mini-cluster.
        claim: Its claim on nodes.
        run: The test run that it belongs to.
        resize: Called by `scale`.
        lasting: Whether it outlives a test.
    """

    engine: LeasedEngine

    def __init__(
        self, sim: SlurmSim, *, claim: Claim, run: str, resize: Callable[[Lease, int], None], lasting: bool
    ) -> None:
        self.spec = sim.spec
        self.engine = LeasedEngine(sim.name, partition_of(claim.path), sim.spec.services)
        self.lasting = lasting
        self.suspect = False
        self.configuration = ""
        self._claim = claim
        self._run = run
        self._resize = resize

    @property
    def path(self) -> Path:
        """The file of its claim."""
        return self._claim.path

    @property
    def partition(self) -> str:
        """The partition that its commands use."""
        return partition_of(self.path)

    def take(self, nodes: Sequence[str]) -> None:
        """Claim these nodes."""
        self.engine.leased = sorted(nodes, key=node_number)
        self._claim.write(Entry(self._run, "lasting" if self.lasting else "test", self.engine.leased))

    def leave(self, *, mended: bool) -> None:
        """Release the nodes; if they are not mended, the next test that needs nodes repairs them first."""
        if mended:
            self._claim.drop()
        else:
            self._claim.abandon()

    def scale(self, nodes: int | None = None, **groups: int) -> None:
        """Lease more nodes, or release the last ones."""
        wanted = _scaling.wanted(self.spec, nodes, groups)
        self._resize(self, wanted[DEFAULT_GROUP])

    def fault(self, kind: faults.Fault | str, *targets: str) -> None:
        """Break one of the test's nodes, or repair it. Raises `SpecError` for faults of the controller."""
        fault = faults.Fault.parse(kind)
        if fault in _OF_ALL:
            self._refuse(f"The fault {fault.value}")
        super().fault(fault, *targets)

    def start(self, *, timeout: float | None = None) -> NoReturn:  # noqa: ARG002
        """Raise `SpecError`: it is already running."""
        self._refuse("start()")

    def down(self) -> NoReturn:
        """Raise `SpecError`: other tests use it."""
        self._refuse("down()")

    def _refuse(self, what: str) -> NoReturn:
        raise SpecError(
            f"{what} would affect all tests on the shared mini-cluster {self.name!r}.",
            todo='give the test its own mini-cluster: @pytest.mark.slurm_sim(scope="function").',
        )
