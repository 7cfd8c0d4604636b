"""Bare mini-clusters: what is over compose.yaml, and what Compose is handed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from slurm_sim import SlurmSim, Spec, SpecError
from slurm_sim._compose import project, spec_label

SPEC = Spec(
    name="s", nodes=2, cpus_per_node=1, memory_mb=64, controller_image="a", login_image="b", node_image="b", bare=True
)


@pytest.fixture
def text(root: Path) -> str:
    """bare.yaml as it is written."""
    return (root / "compose/bare.yaml").read_text(encoding="utf-8")


def generated(spec: Spec) -> tuple[list[str], dict[str, Any]]:
    """The files that Compose is handed, and the services of the one that is written for this mini-cluster."""
    with project(spec, ["c1", "c2"]) as compose:
        *files, own = [Path(file) for file in compose.compose_file_name]
        written = own.read_text(encoding="utf-8").replace("!reset ", "")
    return [file.name for file in files], json.loads(written)["services"]


def test_nothing_is_gained_but_what_apptainer_needs(text: str) -> None:
    """No capability, no privilege, and every option with its reason."""
    assert not re.search(r"cap_add|privileged|SYS_ADMIN|seccomp.unconfined", text)
    options = [line for line in text.splitlines() if re.match(r"\s+- ", line)]
    assert options
    assert all("# " in line for line in options)


def test_both_roles_need_the_same(text: str) -> None:
    """Login node and compute node have the same options, and start by the same entrypoint."""
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"login", "bare-slurmd"}
    assert len({str((s["security_opt"], s["devices"], s["entrypoint"][0])) for s in services.values()}) == 1


def test_the_seccomp_profile_denies_and_says_why(root: Path) -> None:
    """It is what Docker's own denies, but for namespaces and mounts, in the words that runc knows."""
    profile = json.loads((root / "compose/seccomp-userns.json").read_text(encoding="utf-8"))
    (rule,) = profile["syscalls"]
    assert rule["action"] == "SCMP_ACT_ERRNO"
    assert "namespaces" in rule["comment"]
    assert rule["names"] == sorted(set(rule["names"]))
    assert not {"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot"} & set(rule["names"])
    assert {"bpf", "keyctl", "kexec_load", "init_module", "open_by_handle_at"} <= set(rule["names"])


def test_nodes_follow_the_bare_pattern() -> None:
    """Every node is made after the bare one; without a SIF nothing is shared."""
    files, services = generated(SPEC)
    assert files == ["compose.yaml", "bare.yaml"]
    assert set(services) == {"c1", "c2"}
    assert {service["extends"]["service"] for service in services.values()} == {"bare-slurmd"}
    assert not [service for service in services.values() if "volumes" in service]


def test_the_sif_is_shared_read_only() -> None:
    """Login node and nodes find it in /shared under its name; nothing of its path is read as a variable."""
    _, services = generated(msgspec.structs.replace(SPEC, sif="/data/$HOME/my env.sif"))
    assert set(services) == {"login", "c1", "c2"}
    for service in services.values():
        (volume,) = service["volumes"]
        assert (volume["source"], volume["target"]) == ("/data/$$HOME/my env.sif", "/shared/my env.sif")
        assert volume["read_only"]


def test_other_mini_clusters_have_none_of_it() -> None:
    """Without `bare`, compose.yaml alone."""
    files, services = generated(msgspec.structs.replace(SPEC, bare=False))
    assert files == ["compose.yaml"]
    assert {service["extends"]["service"] for service in services.values()} == {"slurmd"}


def test_the_label_remembers(tmp_path: Path) -> None:
    """`attach` and `scale` find out what it is made of; a label of an older version is read, too."""
    spec = msgspec.structs.replace(SPEC, sif="/x.sif")
    assert msgspec.json.decode(spec_label(spec), type=Spec) == spec
    older = {name: value for name, value in msgspec.to_builtins(spec).items() if name not in ("bare", "sif")}
    assert not msgspec.json.decode(json.dumps(older), type=Spec).bare


def test_bare_nodes_run_the_bare_image(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever $SLURM_SIM_IMAGE says; an image that is named goes first."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    assert SlurmSim(bare=True).spec.node_image == f"slurm-sim/bare:{versions['SLURM_VERSION']}"
    assert SlurmSim(bare=True, image="other").spec.login_image == "other"


def test_a_sif_without_bare_nodes_is_refused(tmp_path: Path) -> None:
    """The message says what to ask for."""
    with pytest.raises(SpecError, match="only bare nodes") as refused:
        SlurmSim(sif=tmp_path / "x.sif")
    assert "--bare" in refused.value.hint


def test_a_sif_that_is_missing_is_named(tmp_path: Path) -> None:
    """So is what makes one."""
    with pytest.raises(SpecError, match=r"cannot read the SIF .*x\.sif") as refused:
        SlurmSim(bare=True, sif=tmp_path / "x.sif")
    assert "make sif" in refused.value.hint
