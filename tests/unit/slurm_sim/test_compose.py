"""The Compose project of a mini-cluster: its files, its nodes, and the label that stores its spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from slurm_sim import SlurmSim, Spec
from slurm_sim._compose import project, spec_label

SPEC = Spec(
    name="s", nodes=2, cpus_per_node=1, memory_mb=64, controller_image="a", login_image="b", node_image="b", bare=True
)


def generated(spec: Spec) -> tuple[list[str], dict[str, Any]]:
    """Return the names of Compose's files, and the services of the generated one."""
    with project(spec, ["c1", "c2"]) as compose:
        *files, own = [Path(file) for file in compose.compose_file_name]
        written = own.read_text(encoding="utf-8").replace("!reset ", "")
    return [file.name for file in files], json.loads(written)["services"]


def test_nodes_extend_bare_pattern() -> None:
    """Every bare node extends the bare service; without a SIF nothing is shared."""
    files, services = generated(SPEC)
    assert files == ["compose.yaml", "bare.yaml"]
    assert set(services) == {"c1", "c2"}
    assert {service["extends"]["service"] for service in services.values()} == {"bare-slurmd"}
    assert not [service for service in services.values() if "volumes" in service]


def test_shares_sif_read_only() -> None:
    """Login node and nodes find the SIF in /shared under its name; its path is not expanded."""
    _, services = generated(msgspec.structs.replace(SPEC, sif="/data/$HOME/my env.sif"))
    assert set(services) == {"login", "c1", "c2"}
    for service in services.values():
        (volume,) = service["volumes"]
        assert (volume["source"], volume["target"]) == ("/data/$$HOME/my env.sif", "/shared/my env.sif")
        assert volume["read_only"]


def test_plain_nodes_extend_plain_pattern() -> None:
    """Without `bare`, only compose.yaml is used."""
    files, services = generated(msgspec.structs.replace(SPEC, bare=False))
    assert files == ["compose.yaml"]
    assert {service["extends"]["service"] for service in services.values()} == {"slurmd"}


def test_label_restores_spec(tmp_path: Path) -> None:
    """The spec is read back from its label, also from a label of an older version."""
    spec = msgspec.structs.replace(SPEC, sif="/x.sif")
    assert msgspec.json.decode(spec_label(spec), type=Spec) == spec
    older = {name: value for name, value in msgspec.to_builtins(spec).items() if name not in ("bare", "sif")}
    assert not msgspec.json.decode(json.dumps(older), type=Spec).bare


def test_jupyter_adds_one_file() -> None:
    """JupyterLab adds one Compose file, and leaves the nodes as they are."""
    spec = SlurmSim(nodes=1, jupyter=True).spec
    with project(spec, ["c1"]) as compose:
        *files, own = [Path(file) for file in compose.compose_file_name]
        written = own.read_text(encoding="utf-8")
    assert [file.name for file in files] == ["compose.yaml", "jupyter.yaml"]
    assert f'"file": "{files[0]}", "service": "slurmd"' in written
    assert spec.login_image.startswith("slurm-sim/jupyter:")
    assert spec.node_image.startswith("slurm-sim/node:")
