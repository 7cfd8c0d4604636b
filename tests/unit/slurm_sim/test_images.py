"""The images that a mini-cluster runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import EngineError, SlurmSim
from slurm_sim._images import ensure
from tests.support.bridge_site import executable


def test_bare_nodes_use_bare_image(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """$SLURM_SIM_IMAGE does not change bare nodes; an image that is named explicitly does."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    assert SlurmSim(bare=True).spec.node_image == f"slurm-sim/bare:{versions['SLURM_VERSION']}"
    assert SlurmSim(bare=True, image="other").spec.login_image == "other"


def test_an_image_that_is_named_runs_everywhere_but_on_the_controller(
    versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument goes before the variable; the controller's image is always ours."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    for image, expected in ((None, "mine"), ("other", "other")):
        spec = SlurmSim(image=image).spec
        assert (spec.login_image, spec.node_image) == (expected, expected)
        assert spec.controller_image == f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}"


def test_jupyter_has_its_own_login_image(versions: dict[str, str]) -> None:
    """Nodes run what they run without it."""
    spec = SlurmSim(jupyter=True).spec
    assert spec.login_image == f"slurm-sim/jupyter:{versions['VERSION']}"
    assert spec.node_image == f"slurm-sim/node:{versions['VERSION']}"
    assert spec.controller_image == f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}"


@pytest.mark.parametrize("built", [True, False])
def test_the_default_is_what_has_been_built(
    built: bool, versions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment's image built, nodes run that; without it, plain Slurm."""
    monkeypatch.delenv("SLURM_SIM_IMAGE", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", f"#!/bin/sh\nexit {0 if built else 1}\n")
    spec = SlurmSim().spec
    plain = {f"slurm-sim/{role}:{versions['SLURM_VERSION']}" for role in ("login", "slurmd")}
    assert {spec.login_image, spec.node_image} == ({f"slurm-sim/node:{versions['VERSION']}"} if built else plain)


def test_a_foreign_image_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our own images can be built: a missing image of any other name is an error that names it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", '#!/bin/sh\n[ "$1" = version ]\n')
    for image in ("debian:13", "slurm-sim/other:1", "registry:5000/slurm-sim/node:1"):
        with pytest.raises(EngineError, match=image):
            ensure([image])


def test_nothing_is_built_if_every_image_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that exists is used as it is, also one that is not ours."""
    monkeypatch.setenv("PATH", str(tmp_path))
    executable(tmp_path / "docker", "#!/bin/sh\nexit 0\n")
    ensure(["debian:13", "slurm-sim/node:1"])
