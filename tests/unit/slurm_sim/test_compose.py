"""The Compose project of a mini-cluster: its files, its nodes and the label that stores its spec."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slurm_sim import SlurmSim, SlurmSimError, Spec
from slurm_sim._compose import Project, project
from slurm_sim._found import SPEC_LABEL, spec_label
from slurm_sim._size import timeouts
from slurm_sim._slurm_conf import conf_lines
from tests.support.bridge_site import executable
from tests.support.compose import parsed
from tests.support.specs import spec
from tests.support.waiting import until

SPEC = spec(bare=True)


def generated(one: Spec) -> tuple[list[str], dict[str, Any]]:
    """Return the names of Compose's files, and the login node and the nodes of the generated one."""
    compose = project(one, ["c1", "c2"])
    *files, own = compose.compose_file_name
    assert own == "-"
    services = whole(compose)["services"]
    there = {name: services[name] for name in services if name != "slurmctld"}
    if there.get("login", {}).keys() == {"entrypoint"}:
        del there["login"]
    return [Path(file).name for file in files], there


def whole(compose: Project) -> dict[str, Any]:
    """Return the generated file."""
    read: dict[str, Any] = json.loads(compose.nodes.replace("!reset ", ""))
    return read


def test_nodes_extend_bare_pattern() -> None:
    """Every bare node extends the bare service; without a SIF, no volume is added."""
    files, services = generated(SPEC)
    assert files == ["compose.yaml", "bare.yaml"]
    assert set(services) == {"c1", "c2"}
    assert {service["extends"]["service"] for service in services.values()} == {"bare-slurmd"}
    assert not [service for service in services.values() if "volumes" in service]


def test_shares_sif_read_only() -> None:
    """Login node and nodes mount /shared read-only; the controller, which fills it, mounts it writable."""
    shared = msgspec.structs.replace(SPEC, sif="/data/$HOME/my env.sif")
    _, services = generated(shared)
    assert set(services) == {"login", "c1", "c2"}
    assert [service["volumes"] for service in services.values()] == [["shared:/shared:ro"]] * 3
    assert whole(project(shared, []))["services"]["slurmctld"]["volumes"] == ["shared:/shared"]
    assert whole(project(shared, []))["volumes"]["shared"]["labels"].keys() == {SPEC_LABEL}
    assert not whole(project(SPEC, []))["volumes"]


def test_mounts_no_file_of_this_host(root: Path) -> None:
    """All volumes are the engine's, which may be on another host, and Slurm's configuration is passed as text."""
    compose = project(msgspec.structs.replace(SPEC, sif="/x.sif"), ["c1"])
    own = whole(compose)
    assert not any("file" in config for config in own["configs"].values())
    for file in (root / "slurm-sim/etc").glob("*.*"):
        assert own["configs"][file.name.replace(".", "-")]["content"].replace("$$", "$") == file.read_text()
    files = [parsed(path.read_text()) for path in root.glob("compose/*.yaml")]
    for service in [one for file in (own, *files) for one in file["services"].values()]:
        assert all(volume[0] not in "./~$" for volume in service.get("volumes", []))


def test_plain_nodes_extend_plain_pattern() -> None:
    """Without `bare`, only compose.yaml is used."""
    files, services = generated(msgspec.structs.replace(SPEC, bare=False))
    assert files == ["compose.yaml"]
    assert {service["extends"]["service"] for service in services.values()} == {"slurmd"}


def test_label_restores_spec(tmp_path: Path) -> None:
    """The spec is restored from its label, even from a label of an older version."""
    one = msgspec.structs.replace(SPEC, sif="/x.sif")
    assert msgspec.json.decode(spec_label(one), type=Spec) == one
    older = {name: value for name, value in msgspec.to_builtins(one).items() if name not in ("bare", "sif")}
    assert not msgspec.json.decode(json.dumps(older), type=Spec).bare


def test_jupyter_adds_one_file() -> None:
    """JupyterLab adds one Compose file, and leaves the nodes as they are."""
    one = SlurmSim(nodes=1, jupyter=True).spec
    compose = project(one, ["c1"])
    files = [Path(file) for file in compose.compose_file_name[:-1]]
    assert [file.name for file in files] == ["compose.yaml", "jupyter.yaml"]
    assert f'"file": "{files[0]}", "service": "slurmd"' in compose.nodes
    assert one.login_image.startswith("slurm-sim/jupyter:")
    assert one.node_image.startswith("slurm-sim/node:")


def test_environment_has_size_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of compose.yaml is set, and the user's COMPOSE_… variables are left out."""
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "other")
    monkeypatch.setenv("KEPT", "1")
    compose = project(spec(cpus=3, memory=128, node_image="c"), ["c1"])
    given = compose._environment()
    assert not [name for name in given if name.startswith("COMPOSE_")]
    assert given["KEPT"] == "1"
    ours = {name.removeprefix("SLURM_SIM_"): value for name, value in given.items() if name.startswith("SLURM_SIM_")}
    ours.pop("NAME", None)
    assert json.loads(ours.pop("SPEC"))["nodes"]["c"]["cpus"] == 3
    roles = {name: image for name, image in ours.items() if image.startswith("slurm-sim/")}
    assert roles.keys() == {"DATABASE_IMAGE", "SLURMDBD_IMAGE", "SLURMRESTD_IMAGE"}
    sizes = {"CONF": "", "ACCOUNTS": "", "USERS": "", "TIMEOUTS": conf_lines(timeouts(2))}
    assert ours == {"CONTROLLER_IMAGE": "a", "LOGIN_IMAGE": "b", "NODE_IMAGE": "c"} | sizes | roles
    node = whole(compose)["services"]["c1"]["environment"]
    assert node == {"SLURM_SIM_NODE": "CPUs=3 RealMemory=128 Feature=compute"}


def test_environment_sets_every_variable_of_compose_files(root: Path) -> None:
    """No variable of the Compose files is taken from the user's environment."""
    asked = set(re.findall(r"\$\{(SLURM_SIM_\w+)", "".join(file.read_text() for file in root.glob("compose/*.yaml"))))
    assert asked <= project(SPEC, ["c1"])._environment().keys()


def test_project_name_is_name_of_mini_cluster() -> None:
    """The command line has the name first, and then the files."""
    compose = project(SPEC, ["c1"])
    command = compose.compose_command_property
    assert command[:4] == ["docker", "compose", "--project-name", "s"]
    assert [command[number + 1] for number, word in enumerate(command) if word == "-f"] == compose.compose_file_name


def test_hostname_of_node_is_its_name() -> None:
    """A node's hostname is its name, and it does not inherit the pattern's profile, which never starts."""
    text = project(SPEC, ["c1", "c2"]).nodes
    assert text.count('"profiles": !reset []') == 2
    _, services = generated(msgspec.structs.replace(SPEC, bare=False))
    assert {name: service["hostname"] for name, service in services.items()} == {"c1": "c1", "c2": "c2"}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path for a fake `docker` command."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "docker"


def test_failure_shows_errors_of_compose(engine: Path) -> None:
    """The error shows the last five lines with an error, or the last lines if none has one."""
    errors = "".join(f"Error {number}\\n" for number in range(7))
    for said, seen in ((f"pulling\\n{errors}done\\n", "Error 2\nError 3\nError 4\nError 5\nError 6"), ("no\\n", "no")):
        executable(engine, f"#!/bin/sh\nprintf '{said}' >&2\nexit 1\n")
        with pytest.raises(SlurmSimError) as caught:
            project(SPEC, []).up()
        assert caught.value.seen == seen


def test_starts_only_named_services(engine: Path) -> None:
    """Running containers are never recreated; the nodes are read from standard input, and no file is left."""
    executable(engine, f'#!/bin/sh\necho "$@" >{engine.parent}/called\ncat >{engine.parent}/read\n')
    project(SPEC, ["c3"]).up("c3")
    read = json.loads((engine.parent / "read").read_text().replace("!reset ", ""))["services"]
    assert read.keys() == {"c3", "login", "slurmctld"}  # parts of the file that do not start them
    called = (engine.parent / "called").read_text().split()
    assert called[-5:] == ["up", "--detach", "--no-recreate", "--quiet-pull", "c3"]


INTERRUPTED = """
import signal, sys
from slurm_sim import _compose
from slurm_sim._signals import interrupted_once
from tests.support.specs import spec

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored if tests run in the background
_compose._PATIENCE = float(sys.argv[1])
try:
    with interrupted_once():
        _compose.project(spec(), []).up()
except KeyboardInterrupt:
    print("interrupted")
"""


def interrupted_up(patience: float) -> str:
    """Run Compose from another Python process, never from pytest: the test's `docker` sends its parent SIGINT.

    Args:
        patience: Seconds until Compose is killed.

    Returns:
        The output of the Python process.
    """
    words = [sys.executable, "-c", INTERRUPTED, str(patience)]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


def test_interrupted_compose_finishes_first(engine: Path) -> None:
    """Compose runs to its end, even after a second Ctrl-C."""
    done = engine.parent / "done"
    executable(engine, f"#!/bin/sh\nfor _ in 1 2 3; do kill -INT $PPID; sleep 0.1; done\ntouch {done}\n")
    assert interrupted_up(patience=30) == "interrupted\n"
    assert done.exists()


def test_interrupted_compose_that_hangs_ends_with_its_processes(engine: Path) -> None:
    """If Compose does not end, it is killed with all processes that it has started."""
    waits_for_a_reader = "head -c 1000000 /dev/zero"
    executable(
        engine, f"#!/bin/sh\nsleep 300 &\necho $! >{engine.parent}/pid\n{waits_for_a_reader}\nkill -INT $PPID\nwait\n"
    )
    assert interrupted_up(patience=0.2) == "interrupted\n"
    child = Path("/proc", (engine.parent / "pid").read_text().strip())
    until(lambda: not child.exists() or " Z " in (child / "stat").read_text(), "the end of Compose's process")
