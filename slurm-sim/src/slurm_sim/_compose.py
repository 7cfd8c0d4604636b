"""Add a project name, variables and errors with Compose's output to testcontainers' Compose support."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable
from functools import cached_property
from subprocess import CompletedProcess

from testcontainers.compose import DockerCompose

from slurm_sim import _accounts, _engine_errors, _files, _images
from slurm_sim._docker import run_to_its_end
from slurm_sim._found import SPEC_LABEL, spec_label
from slurm_sim._sif import SHARED
from slurm_sim._size import timeouts
from slurm_sim._slurm_conf import SITE_SCRIPTS, conf_lines, gres_conf, node_environment, own_lines
from slurm_sim.config import USER
from slurm_sim.errors import SlurmSimError
from slurm_sim.spec import Spec

_ETC = "/usr/local/share/slurm-sim/etc"
"""Folder in which the controller's entrypoint finds Slurm's configuration."""

_PATIENCE = 30
"""Seconds for an interrupted start to end by itself; it needs 2, or 20 with 128 nodes."""


class Project(DockerCompose):
    """The Compose project of a mini-cluster, under its name.

    Args:
        spec: Specification of the mini-cluster.
        files: Paths of Compose files.
        nodes: One more file, as text. Compose reads it from standard input, so that a killed `up` leaves no file.
    """

    def __init__(self, spec: Spec, files: list[str], nodes: str) -> None:
        super().__init__(context=_files.root() / "compose", compose_file_name=[*files, "-"], wait=False)
        self.spec = spec
        self.nodes = nodes

    @cached_property
    def compose_command_property(self) -> list[str]:
        """The start of every command line (testcontainers has no argument for `--project-name`)."""
        docker, compose, *rest = super().compose_command_property
        return [docker, compose, "--project-name", self.spec.name, *rest]

    def up(self, *services: str) -> None:
        """Start those of the services that are not running. Raises `SlurmSimError`."""
        how = ["up", "--detach", "--no-recreate", "--quiet-pull"]
        self._run_command([*self.compose_command_property, *how, *services])

    def _run_command(self, cmd: str | list[str], context: str | None = None) -> CompletedProcess[bytes]:
        done = run_to_its_end(
            cmd,
            talk=lambda process: process.communicate(self.nodes.encode()),
            end=_end,
            cwd=context or str(self.context),
            env=self._environment(),
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise _engine_errors.no_engine(said) or SlurmSimError(
                "Docker Compose failed.", _engine_errors.explanation(said), _engine_errors.advice(said)
            )
        return done

    def _environment(self) -> dict[str, str]:
        """Return this environment with compose.yaml's variables, but without COMPOSE_…, which reconfigure Compose."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        return own | {
            "SLURM_SIM_CONTROLLER_IMAGE": self.spec.controller_image,
            "SLURM_SIM_LOGIN_IMAGE": self.spec.login_image,
            "SLURM_SIM_NODE_IMAGE": self.spec.node_image,
            **_images.of_roles(),
            "SLURM_SIM_USERS": " ".join(name for name in self.spec.users if name != USER),
            "SLURM_SIM_TIMEOUTS": conf_lines(timeouts(self.spec.nodes)),
            "SLURM_SIM_CONF": own_lines(self.spec),
            "SLURM_SIM_ACCOUNTS": _accounts.commands(self.spec) if self.spec.accounting else "",
            "SLURM_SIM_SPEC": spec_label(self.spec),
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let Compose finish; kill it, with all of its processes, if that takes too long.

    The engine completes a request even if Compose is killed, so a container or a network could appear after the
    clean-up.
    """
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def project(spec: Spec, nodes: Iterable[str]) -> Project:
    """Return the Compose project of a mini-cluster with these nodes, one service each.

    Services, not replicas, so that a node's hostname is its name: changing it from inside would need a capability.
    """
    roles = ("bare", "jupyter", "accounting", "ssh", "rest")
    names = ["compose.yaml", *(f"{role}.yaml" for role in roles if getattr(spec, role))]
    files = [str(_files.root() / "compose" / name) for name in names]
    pattern = {"file": files[spec.bare], "service": "bare-slurmd" if spec.bare else "slurmd"}
    services: dict[str, dict[str, object]] = {
        node: {"extends": pattern, "hostname": node, "profiles": [], "environment": node_environment(spec, node)}
        for node in nodes
    }
    if spec.sif:
        for service in [services.setdefault("login", {}), *services.values()]:
            service["volumes"] = [f"shared:{SHARED}:ro"]
    if wrappers := [f"{role}-entrypoint" for role in ("bare", "jupyter", "ssh") if getattr(spec, role)]:
        services.setdefault("login", {})["entrypoint"] = [*wrappers, "login-entrypoint"]
    configs: dict[str, object] = {}
    services["slurmctld"] = _configured(_controller_files(spec), configs)
    services["slurmctld"]["volumes"] = [f"shared:{SHARED}"] if spec.sif else []  # filled through it
    if spec.accounting:
        services["slurmdbd"] = _configured(_etc("slurmdbd"), configs)
        services["slurmdbd"]["volumes"] = ["jwt:/etc/slurm-jwt"] if spec.rest else []  # it accepts the same tokens
    if spec.rest:
        services["slurmrestd"] = _configured(_etc(), configs)
    volumes = {"shared": {"labels": {SPEC_LABEL: "${SLURM_SIM_SPEC:-}"}}} if spec.sif else {}
    text = json.dumps({"services": services, "configs": configs, "volumes": volumes})
    return Project(spec, files, text.replace('"profiles": []', '"profiles": !reset []'))


def _etc(folder: str = "") -> dict[str, str]:
    """Return the files of our configuration, by name."""
    files = sorted(path for path in (_files.root() / "slurm-sim" / "etc" / folder).iterdir() if path.is_file())
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _controller_files(spec: Spec) -> dict[str, str]:
    """Return the controller's files, by name."""
    gres = gres_conf(spec)
    scripts = {file: getattr(spec.scripts, key) for key, file in SITE_SCRIPTS.items() if getattr(spec.scripts, key)}
    return _etc() | ({"gres.conf": gres} if gres else {}) | scripts


def _configured(files: dict[str, str], configs: dict[str, object]) -> dict[str, object]:
    """Return a service's part of the text that Compose reads, with these files; their contents go to `configs`.

    A file would be mounted, but the engine may be remote.
    """
    names = {file: file.replace(".", "-") for file in files}
    configs |= {names[file]: {"content": text.replace("$", "$$")} for file, text in files.items()}
    mode = {file: 0o755 if file in SITE_SCRIPTS.values() else 0o644 for file in files}
    return {"configs": [{"source": names[file], "target": f"{_ETC}/{file}", "mode": mode[file]} for file in files]}
