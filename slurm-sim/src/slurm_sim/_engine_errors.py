"""Explain errors of the engine, its client and Compose, and say what to do."""

from __future__ import annotations

import os
import re

from slurm_sim.errors import EngineError

_START = "start Docker (on Debian, containers/engine.sh installs and starts it), or check that you may use it."

# The client's errors if it reaches no engine. Only their first words: a command's own output may look alike.
_NO_ENGINE = re.compile(
    r"(?:ERROR: |WARNING: .*\n|\s)*(?:docker: )?(?:"
    r"(?:failed|unable|cannot) (?:to )?connect to the docker|error during connect|permission denied while trying to "
    r"connect|failed to initialize|unable to resolve docker endpoint|error response from daemon: client version)",
    re.IGNORECASE,
)

# The first match in the output counts. {host} stands for the engine's address.
_ADVICE = {
    r"permission denied while trying to connect": "join the group 'docker' and log in again, or use sudo.",
    r"context not found|context \S+ does not exist": "check DOCKER_CONTEXT: 'docker context ls' lists the contexts.",
    r"(?:ca|cert|key)\.pem|x509|tls:|HTTP request to an HTTPS": "check DOCKER_TLS_VERIFY, and ca.pem, cert.pem and "
    "key.pem in DOCKER_CERT_PATH.",
    r"client version \S+ is too new": "unset DOCKER_API_VERSION, or update the engine.",
    r"client version \S+ is too old": "unset DOCKER_API_VERSION, or update the docker command.",
    r"resolve docker endpoint|parse docker host|invalid bind address": "set {host} to unix://…, tcp://… or ssh://….",
    r"command \[ssh |ssh: ": "check that 'ssh' reaches the host in {host} without a prompt, and that it has 'docker'.",
    r"no such host|no route to host|i/o timeout|tcp://": "check that {host} is right and that an engine listens there.",
    r"non-overlapping IPv4 address pool|predefined address pools": "end other mini-clusters ('slurm-sim list'), remove "
    "unused networks ('docker network prune'), or add default-address-pools to the engine's daemon.json.",
    r"no space left on device|quota exceeded": "free space on the engine's disk; 'docker system df' shows its use.",
    r"port is already allocated|address already in use": "try again: another program took the port meanwhile.",
    r"name \S+ is already in use": "remove that container with 'docker rm --force', or use another --name.",
    r"pull access denied|no such image|manifest unknown|failed to resolve reference": "build or pull the image: "
    "'containers/bake.sh' builds ours.",
    r"is not a docker command|unknown (?:shorthand )?flag|unknown (?:docker )?command": "install Docker's Compose "
    "plugin, 2.23.1 or newer: docker-compose-plugin, or docker-compose on Debian 13.",
    r"additional propert|unsupported config option|cannot unmarshal|!reset": "update Docker's Compose plugin to "
    "2.23.1 or newer; 'docker compose version' shows its version.",
    r"too many open files|cannot allocate memory|resource temporarily unavailable": "use fewer nodes: the "
    "engine's host is out of memory, files or processes.",
    r"/dev/fuse": "load the kernel module on the engine's host, 'modprobe fuse': bare nodes mount SIFs with it.",
    r"network \S+ not found": "run 'slurm-sim down' to remove what is left, then 'slurm-sim up'.",
    r"connect|EOF|connection reset|broken pipe": _START,
}


def advice(said: str) -> str:
    """Return advice for an error that the engine or Compose printed, or an empty string."""
    for pattern, todo in _ADVICE.items():
        if re.search(pattern, said, re.IGNORECASE):
            return todo.replace("{host}", f"DOCKER_HOST ({os.environ.get('DOCKER_HOST', 'unset')})")
    return ""


def explanation(said: str) -> str:
    """Return the lines that explain a failure: the last five with an error, else the last five."""
    lines = said.strip().splitlines()
    return "\n".join(([line for line in lines if "rror" in line] or lines)[-5:])


def no_engine(said: str) -> EngineError | None:
    """Return an error if the client printed that it reached no engine, else None."""
    return unanswered(said) if _NO_ENGINE.match(said) else None


def unanswered(said: str) -> EngineError:
    """Return the error for a client without an answer."""
    seen = said.strip().splitlines()
    return EngineError("No Docker engine answers.", seen[-1] if seen else "", advice(said) or _START)
