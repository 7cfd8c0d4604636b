"""JupyterLab on the login node, as a user sees it: addresses, token, kernel and notebook."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

import pytest

from slurm_sim import Jupyter, SlurmSim
from slurm_sim._docker import docker
from tests.support.command import new_name, refused, slurm_sim_command
from tests.support.engine_elsewhere import from_client
from tests.support.lab import ask, token_of

pytestmark = [
    pytest.mark.slurm_sim(jupyter=True),
    pytest.mark.timeout(300),  # the first test starts the mini-cluster, and may build the image
]

_KERNEL = """
import importlib.metadata, json, sys
import distributed, ipykernel, numpy
print(json.dumps({
    "executable": sys.executable, "path": sys.path, "user": __import__("os").environ.get("USER"),
    "packages": {one.__name__: one.__file__ for one in (distributed, ipykernel, numpy)},
    "server": [name for name in ("jupyterlab", "jupyter_server") if importlib.util.find_spec(name)],
}))
"""


@pytest.fixture
def sim(slurm_sim: SlurmSim) -> SlurmSim:
    """A mini-cluster with JupyterLab on its login node."""
    return slurm_sim


@pytest.fixture
def lab(sim: SlurmSim) -> Jupyter:
    """Addresses of JupyterLab."""
    return sim.jupyter()


def execute(sim: SlurmSim, notebook: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook from start to end on the login node, in the kernel that JupyterLab would use."""
    how = ["--stdin", "--stdout", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=200"]
    done = sim.exec("/opt/jupyter/server/bin/jupyter-nbconvert", *how, stdin=json.dumps(notebook), timeout=220)
    ran: dict[str, Any] = json.loads(done.stdout)
    return ran


def printed(cell: dict[str, Any]) -> str:
    """Return what a cell printed."""
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def test_requires_token(lab: Jupyter) -> None:
    """Without the correct token, the API answers 403, and pages answer 403 or redirect to the login page."""
    assert ask(lab, "/api/contents", token=token_of(lab))[0] == 200
    for path in ("/api/contents", "/api/kernels", "/api/terminals"):
        assert ask(lab, path)[0] == 403
        assert ask(lab, path, token=token_of(lab)[::-1])[0] == 403
    for path in ("/lab", "/proxy/8787/status"):
        assert ask(lab, path)[0] in (302, 403)


def test_publishes_port_on_loopback_only(sim: SlurmSim, lab: Jupyter) -> None:
    """The port is published on 127.0.0.1 only, this machine's other addresses refuse it, and no other is published."""
    found = json.loads(docker("inspect", sim.container("login")).stdout)[0]["NetworkSettings"]["Ports"]
    assert {one["HostIp"] for one in found.pop("8888/tcp")} == {"127.0.0.1"}
    assert not any(found.values())
    assert docker("port", sim.container("c1")).stdout == ""
    port = urlsplit(lab.address).port
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    assert own
    for address in own:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((address, port), timeout=5):
            pass


def test_rejects_foreign_host_name(sim: SlurmSim, lab: Jupyter) -> None:
    """A node that reaches the port is rejected for the host name it uses, even with the token."""
    program = (
        "import sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1])\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    done = sim.exec("python", "-c", program, f"http://login:8888/api/contents?token={token_of(lab)}", on="c1")
    assert done.stdout.strip() == "403"


def test_token_is_only_in_its_file(sim: SlurmSim, lab: Jupyter) -> None:
    """The token is not in the image, container settings, log, process arguments, environment or job output."""
    secret = token_of(lab)
    assert len(secret) == 48
    ask(lab, f"/lab?token={secret}")
    ask(lab, f"/nowhere?token={secret}")
    assert secret not in docker("inspect", sim.container("login"), sim.spec.login_image).stdout
    assert secret not in sim.logs("login", lines=1000)
    look = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    assert secret not in sim.exec("sh", "-c", look).stdout
    assert secret not in sim.exec("sh", "-c", look, user="root").stdout
    sim.exec("sbatch", "--wrap", "env; cat /run/jupyter/token", "--output", "token.out", "--wait", check=False)
    assert secret not in sim.exec("cat", "token.out").stdout
    assert sim.exec("stat", "--format=%U %a", "/run/jupyter/token").stdout == "hpc 600\n"
    assert sim.exec("grep", "-rls", secret, "/home", check=False).stdout == ""


def test_adds_jupyterlab_to_login_node_only(sim: SlurmSim) -> None:
    """JupyterLab is layered on the unchanged node image, and compute nodes do not have it."""
    assert sim.exec("ls", "/opt/jupyter").stdout
    assert sim.exec("ls", "/opt/jupyter", on="c1", check=False).returncode != 0
    layers = [
        docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image).stdout
        for image in (sim.spec.node_image, sim.spec.login_image)
    ]
    node, login = map(json.loads, layers)
    assert login[: len(node)] == node  # notebooks and workers have the same environment


def test_server_runs_unprivileged(sim: SlurmSim) -> None:
    """The server runs as hpc, without any capability."""
    seen = sim.exec("sh", "-c", "cat /proc/$(pgrep -f '[j]upyter-lab')/status").stdout
    assert "Uid:\t1000\t1000" in seen
    assert "CapPrm:\t0000000000000000" in seen


def test_kernel_uses_environment(sim: SlurmSim) -> None:
    """The kernel uses /opt/env; of JupyterLab it sees only the kernel package, last on its path."""
    notebook = json.loads(sim.exec("cat", "tutorial.ipynb").stdout)
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": _KERNEL,
    }
    seen = json.loads(printed(execute(sim, notebook | {"cells": [cell]})["cells"][0]))
    assert seen["executable"].startswith("/opt/env/bin/python")
    assert seen["path"][-1] == "/opt/jupyter/kernel"
    assert [name for name, file in seen["packages"].items() if not file.startswith("/opt/env/")] == ["ipykernel"]
    assert seen["server"] == []


def test_notebook_runs_from_start_to_end(sim: SlurmSim) -> None:
    """Every cell runs on two nodes, prints the expected numbers, and leaves no job or key behind."""
    ran = execute(sim, json.loads(sim.exec("cat", "tutorial.ipynb").stdout))
    cells = [cell for cell in ran["cells"] if cell["cell_type"] == "code"]
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    text = "\n".join(printed(cell) for cell in cells)
    assert "762.94 MiB in all, 106.81 MiB in this block" in text
    assert "A² + B² + C² on the workers equals NumPy's result here" in text
    assert "the eigenvalues of A² are the squares of A's" in text
    assert "the same key: True" in text
    assert "I am process 4 of 5 on login" in text
    warned = [number for number, cell in enumerate(cells) if "Sending large graph" in printed(cell)]
    assert len(warned) == 1
    assert "local_matrix" in "".join(cells[warned[0]]["source"])
    assert "<iframe" in json.dumps(cells)
    assert sim.exec("squeue", "--noheader").stdout == ""
    assert sim.exec("sh", "-c", "ls -d ~/.dask-hpc/*.tls 2>/dev/null", check=False).stdout == ""


def test_status_shows_addresses_and_tunnels(sim: SlurmSim, lab: Jupyter) -> None:
    """`status` shows both addresses with the token, and the SSH tunnels; `--json` has the addresses."""
    text = slurm_sim_command("status", "--name", sim.name).stdout.decode()
    port = urlsplit(lab.address).port
    for line in (lab.address, f"http://127.0.0.1:{port}/proxy/8787/status?", f"ssh -L {port}:127.0.0.1:{port} "):
        assert line in text
    assert "ssh -L 8888:127.0.0.1:8888 USER@LOGIN" in text
    told = json.loads(slurm_sim_command("status", "--name", sim.name, "--json").stdout)["jupyter"]
    assert told["address"] == lab.address
    assert list(told["pages"]) == ["Dask's dashboard"]


@pytest.mark.slurm_sim(jupyter=False)
def test_status_reports_no_jupyterlab_if_not_started(slurm_sim: SlurmSim) -> None:
    """`status` reports no address for a mini-cluster started without JupyterLab."""
    told = json.loads(slurm_sim_command("status", "--name", slurm_sim.name, "--json").stdout)
    assert told["jupyter"] is None


def test_rejects_jupyterlab_on_bare_nodes() -> None:
    """`--bare --jupyter` is rejected before anything starts."""
    assert "Bare nodes have no JupyterLab" in refused("up", "--name", new_name(), "--bare", "--jupyter")


def test_status_in_container_names_engine_host(sim: SlurmSim, lab: Jupyter, client: str) -> None:
    """In a container, which cannot reach the addresses, `status` names the engine's host and an ssh command."""
    assert lab.elsewhere == ""
    host = docker("info", "--format", "{{.Name}}").stdout.strip()
    found = json.loads(from_client(client, "status", "--name", sim.name, "--json").stdout)["jupyter"]
    port = urlsplit(lab.address).port
    assert found | {"tunnel": ""} == {"address": lab.address, "pages": lab.pages, "tunnel": "", "elsewhere": host}
    assert found["tunnel"] == f"ssh -L {port}:127.0.0.1:{port} USER@{host}"
    said = from_client(client, "status", "--name", sim.name).stdout
    assert f"on {host}, from here" in said
