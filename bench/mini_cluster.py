"""Measure how fast a mini-cluster starts, runs a command and stops."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report import Measurement, best_of, seconds
from slurm_sim import SlurmSim

_UP = {2: 2.0, 32: 6.0, 64: 12.0, 128: 22.0, 256: 50.0, 512: 120.0}
_DOWN = {2: 1.5, 128: 15.0}


def boots(sizes: tuple[int, ...]) -> Iterator[Measurement]:
    """Start mini-clusters of these sizes until they are ready (including the gate), and stop them."""
    for nodes in sizes:
        sim = SlurmSim(nodes=nodes)
        parts: dict[str, float] = {}
        try:
            whole = seconds(lambda: parts.update(sim.start()))  # noqa: B023
            yield Measurement(what=f"up, {nodes} nodes", value=whole, unit="s", most=_UP.get(nodes))
            for part, value in parts.items():
                yield Measurement(what=f"  of it: {part}", value=value, unit="s")
            yield from _srun(sim, nodes)
        finally:
            down = seconds(sim.down)
        yield Measurement(what=f"down, {nodes} nodes", value=down, unit="s", most=_DOWN.get(nodes))


def _srun(sim: SlurmSim, nodes: int) -> Iterator[Measurement]:
    names: list[set[str]] = []

    def hostnames() -> None:
        names.append(set(sim.exec("srun", f"-N{nodes}", "hostname").stdout.split()))

    took = best_of(3, lambda: seconds(hostnames))
    yield Measurement(what=f"srun hostname, {nodes} nodes", value=took, unit="s", most=0.3 if nodes == 2 else None)
    yield Measurement(what="  lines that came back", value=min(map(len, names)), unit="", least=nodes)
