"""The images that a mini-cluster runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import EngineError, SlurmSim, _files
from slurm_sim._images import ensure
from tests.support.bridge_site import executable


def test_bare_nodes_use_bare_image(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """$SLURM_SIM_IMAGE does not change bare nodes; an explicit image does."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    assert SlurmSim(bare=True).spec.node_image == f"slurm-sim/bare:{versions['SLURM_VERSION']}"
    assert SlurmSim(bare=True, image="other").spec.login_image == "other"


def test_given_image_is_used_except_for_controller(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument overrides the variable; the controller's image is always ours."""
    monkeypatch.setenv("SLURM_SIM_IMAGE", "mine")
    for image, expected in ((None, "mine"), ("other", "other")):
        spec = SlurmSim(image=image).spec
        assert (spec.login_image, spec.node_image) == (expected, expected)
        assert spec.controller_image == f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}"


def test_jupyter_has_its_own_login_image(versions: dict[str, str]) -> None:
    """JupyterLab changes the login node's image only."""
    spec = SlurmSim(jupyter=True).spec
    assert spec.login_image == f"slurm-sim/jupyter:{versions['VERSION']}"
    assert spec.node_image == f"slurm-sim/node:{versions['VERSION']}"
    assert spec.controller_image == f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}"


@pytest.mark.parametrize("built", [True, False])
def test_default_is_node_image_if_built(
    built: bool, versions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes run the environment's image if it has been built, else plain Slurm."""
    monkeypatch.delenv("SLURM_SIM_IMAGE", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "docker", f"#!/bin/sh\nexit {0 if built else 1}\n")
    spec = SlurmSim().spec
    plain = {f"slurm-sim/{role}:{versions['SLURM_VERSION']}" for role in ("login", "slurmd")}
    assert {spec.login_image, spec.node_image} == ({f"slurm-sim/node:{versions['VERSION']}"} if built else plain)


class Build:
    """A fake engine with some images, and a build script that records its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers").mkdir()
        (folder / "Makefile").touch()
        executable(
            folder / "docker",
            f'#!/bin/sh\necho "$*" >>{folder}/asked\n[ "$1" = version ] || grep -qx "$5" {folder}/has\n',
        )
        self.has()
        self.script("")

    def has(self, *images: str) -> None:
        """Set the engine's images."""
        (self.folder / "has").write_text("".join(f"{image}\n" for image in images))

    def script(self, text: str) -> None:
        """Add commands to the build script."""
        head = f'#!/bin/sh\necho "$*" >{self.folder}/built\necho "$DASK_HPC_CACHE" >{self.folder}/cache\n'
        executable(self.folder / "containers" / "bake.sh", f"{head}cat >>{self.folder}/built\n{text}\n")

    def built(self) -> str | None:
        """Return the targets that were built, or None."""
        file = self.folder / "built"
        return file.read_text().strip() if file.exists() else None


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Return a checkout with a fake engine and build."""
    monkeypatch.setattr(_files, "root", lambda: tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Build(tmp_path)


@pytest.mark.parametrize("image", ["debian:13", "slurm-sim/other:1", "registry:5000/slurm-sim/node:1", "node:1"])
def test_rejects_missing_foreign_image(build: Build, image: str) -> None:
    """Only our images can be built: any other missing image is an error that names it."""
    with pytest.raises(EngineError, match=image):
        ensure([image])
    assert build.built() is None


def test_builds_missing_images_once(build: Build) -> None:
    """Missing images are built by role, existing ones are not, and the build's cache is in the checkout."""
    roles = ("slurmctld", "login", "slurmd", "node", "bare", "jupyter")
    build.has("slurm-sim/login:24.11")
    ensure([f"slurm-sim/{role}:24.11" for role in (*roles, "node")])
    assert build.built() == "slurmctld slurmd node bare jupyter"
    assert (build.folder / "cache").read_text() == f"{build.folder}/.cache\n"
    asked = (build.folder / "asked").read_text().splitlines()
    assert asked[0].startswith("version ")
    assert "image inspect --format - slurm-sim/login:24.11" in asked


def test_builds_nothing_if_every_image_exists(build: Build) -> None:
    """An existing image is used as it is, even one that is not ours."""
    build.has("debian:13", "slurm-sim/node:1")
    ensure(["debian:13", "slurm-sim/node:1"])
    assert build.built() is None


def test_failed_build_shows_its_last_lines(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """The error has the last eight lines; with `verbose`, none, since all were printed."""
    build.script("seq 1 20 >&2; exit 1")
    with pytest.raises(EngineError, match=r"slurm-sim/node:1, slurm-sim/bare:1") as caught:
        ensure(["slurm-sim/node:1", "slurm-sim/bare:1"])
    assert caught.value.seen.splitlines() == [str(number) for number in range(13, 21)]
    assert capfd.readouterr().err == ""
    with pytest.raises(EngineError) as caught:
        ensure(["slurm-sim/node:1"], verbose=True)
    assert caught.value.seen == ""
    assert capfd.readouterr().err.splitlines() == [str(number) for number in range(1, 21)]


def test_wheel_uses_cache_of_user(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed wheel, whose folder may not be writable, uses $XDG_CACHE_HOME or ~/.cache."""
    (build.folder / "Makefile").unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    ensure(["slurm-sim/node:1"])
    assert (build.folder / "cache").read_text() == "/caches/slurm-sim\n"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    ensure(["slurm-sim/node:1"])
    assert (build.folder / "cache").read_text() == "/home/me/.cache/slurm-sim\n"
