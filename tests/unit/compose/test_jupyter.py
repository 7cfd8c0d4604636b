"""JupyterLab on the login node: what is over compose.yaml, what Compose is handed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slurm_sim import SlurmSim, SpecError
from slurm_sim._compose import project


@pytest.fixture
def login(root: Path) -> dict[str, Any]:
    """What jupyter.yaml says of the login node."""
    loaded = yaml.safe_load((root / "compose/jupyter.yaml").read_text(encoding="utf-8"))
    assert list(loaded["services"]) == ["login"]
    service: dict[str, Any] = loaded["services"]["login"]
    return service


def test_only_loopback_is_published_and_nothing_is_gained(login: dict[str, Any]) -> None:
    """One port of the engine's choice on 127.0.0.1, and no capability, volume or variable."""
    assert set(login) == {"entrypoint", "ports", "healthcheck"}
    assert login["ports"] == ["127.0.0.1::8888"]


def test_it_comes_over_the_same_mini_cluster() -> None:
    """Compose gets one file more, and the nodes are what they are without it."""
    spec = SlurmSim(nodes=1, jupyter=True).spec
    with project(spec, ["c1"]) as compose:
        *files, own = [Path(file) for file in compose.compose_file_name]
        written = own.read_text(encoding="utf-8")
    assert [file.name for file in files] == ["compose.yaml", "jupyter.yaml"]
    assert f'"file": "{files[0]}", "service": "slurmd"' in written
    assert spec.login_image.startswith("slurm-sim/jupyter:")
    assert spec.node_image.startswith("slurm-sim/node:")


def test_bare_nodes_have_none() -> None:
    """A mini-cluster whose nodes have nothing to run cannot have it, and the message says so."""
    with pytest.raises(SpecError, match="bare nodes have no JupyterLab") as refused:
        SlurmSim(bare=True, jupyter=True)
    assert "--bare" in refused.value.hint


def test_another_image_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login node's image is JupyterLab's own: another one, given by either way, is refused."""
    with pytest.raises(SpecError, match="the image mine"):
        SlurmSim(image="mine", jupyter=True)
    monkeypatch.setenv("SLURM_SIM_IMAGE", "theirs")
    with pytest.raises(SpecError, match="the image theirs"):
        SlurmSim(jupyter=True)


def test_the_token_is_where_nobody_else_looks(root: Path) -> None:
    """The entrypoint writes it for its user alone, and hands it on by the file's name, not in a variable."""
    text = (root / "containers/jupyter/files/usr/local/sbin/jupyter-entrypoint").read_text(encoding="utf-8")
    assert "umask 077" in text
    assert "JUPYTER_TOKEN_FILE=" in text
    assert "JUPYTER_TOKEN=" not in text
