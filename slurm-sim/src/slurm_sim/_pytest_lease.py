"""A test's part of a shared mini-cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from slurm_sim import faults
from slurm_sim._claims import Claim, Entry
from slurm_sim._health import LEASE
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import NotRunningError, SpecError
from slurm_sim.running import Completed
from slurm_sim.spec import MAX_NODES, check_count

_COMMANDS = ("SALLOC", "SBATCH", "SCANCEL", "SINFO", "SLURM", "SLURM_SIM", "SQUEUE")  # SLURM_SIM: see cli_filter.lua
_OF_ALL = {faults.Fault.CONTROLLER_LOST, faults.Fault.CONTROLLER_RESTARTED}


def partition_of(claim: Path) -> str:
    """Return the name of the partition that belongs to a claim."""
    return LEASE + claim.name.rpartition("-")[2]


class Lease(SlurmSim):
    """The nodes that one test has in a shared mini-cluster: its commands see and use these only.

    Methods of `SlurmSim` that would change the mini-cluster for other tests raise `SpecError`.

    Args:
        sim: The shared mini-cluster.
        claim: The entry in the book of those who have nodes.
        run: The run of tests that it belongs to.
        resize: Called by `scale`.
        lasting: It outlives a test.
    """

    def __init__(
        self, sim: SlurmSim, claim: Claim, run: str, resize: Callable[[Lease, int], None], *, lasting: bool
    ) -> None:
        self.spec, self._verbose = sim.spec, False
        self._claim, self._run, self._resize, self.lasting = claim, run, resize, lasting
        self._leased: list[str] = []
        self.suspect = False
        self.configuration = ""

    @property
    def path(self) -> Path:
        """The file of its claim."""
        return self._claim.path

    @property
    def partition(self) -> str:
        """The partition that its commands use."""
        return partition_of(self.path)

    def nodes(self) -> list[str]:
        """The test's nodes, in order."""
        return list(self._leased)

    def take(self, nodes: Sequence[str]) -> None:
        """Enter these nodes in the book."""
        self._leased = sorted(nodes, key=lambda node: int(node[1:]))
        self._claim.write(Entry(self._run, "lasting" if self.lasting else "test", self._leased))

    def leave(self, *, mended: bool) -> None:
        """Give the nodes back; unless they are mended, the next test that needs nodes mends them first."""
        if mended:
            self._claim.drop()
        else:
            self._claim.abandon()

    def container(self, service: str) -> str:
        """The name that the engine knows a service's container by."""
        own = ["login", "slurmctld", *self._leased]
        if service not in own:
            raise NotRunningError(
                f"{service!r} does not belong to this test in the shared mini-cluster {self.name!r}",
                seen=", ".join(own),
                hint="use one of these; nodes() returns the test's nodes",
            )
        return super().container(service)

    def exec(self, *command: str, env: Mapping[str, str] | None = None, **how: Any) -> Completed:
        """Runs a command as `SlurmSim.exec` does. Slurm's commands use the test's partition unless told otherwise."""
        own = {f"{command}_PARTITION": self.partition for command in _COMMANDS}
        return super().exec(*command, env={**own, **(env or {})}, **how)

    def scale(self, nodes: int) -> None:
        """Takes more nodes, or gives the last ones back."""
        self._resize(self, check_count("nodes", nodes, MAX_NODES))

    def fault(self, kind: faults.Fault | str, *targets: str) -> None:
        """Breaks one of the test's nodes, or mends it. Raises `SpecError` for faults of the controller."""
        fault = faults.Fault.parse(kind)
        if fault in _OF_ALL:
            self._refuse(f"the fault {fault.value}")
        super().fault(fault, *targets)

    def start(self, *, timeout: float | None = None) -> NoReturn:  # noqa: ARG002
        """Raises `SpecError`: it runs already."""
        self._refuse("start()")

    def down(self) -> NoReturn:
        """Raises `SpecError`: other tests use it."""
        self._refuse("down()")

    def _refuse(self, what: str) -> NoReturn:
        raise SpecError(
            f"{what} would affect all tests on the shared mini-cluster {self.name!r}",
            hint='@pytest.mark.slurm_sim(scope="function") starts a mini-cluster for the test alone',
        )
