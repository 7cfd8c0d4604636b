"""Errors of the engine, its client and Compose: the lines that explain them, and what to do."""

from __future__ import annotations

import os
import re

from slurm_sim.errors import EngineError

_START = "start Docker (containers/engine.sh installs and starts one on Debian), or see that you may use it."

# What the client says where no engine can be asked at all; the first words, since a command's own errors look alike.
_NO_ENGINE = re.compile(
    r"(?:ERROR: |WARNING: .*\n|\s)*(?:docker: )?(?:"
    r"(?:failed|unable|cannot) (?:to )?connect to the docker|error during connect|permission denied while trying to "
    r"connect|failed to initialize|unable to resolve docker endpoint|error response from daemon: client version)",
    re.IGNORECASE,
)

# In this order: the first that is found in what was printed. It may name the engine's address.
_ADVICE = {
    r"permission denied while trying to connect": "join the group 'docker' and log in again, or use sudo.",
    r"context not found|context \S+ does not exist": "'docker context ls' lists them; see DOCKER_CONTEXT.",
    r"(?:ca|cert|key)\.pem|x509|tls:|HTTP request to an HTTPS": "see DOCKER_TLS_VERIFY, and ca.pem, cert.pem and "
    "key.pem in DOCKER_CERT_PATH.",
    r"client version \S+ is too new": "unset DOCKER_API_VERSION, or update the engine.",
    r"client version \S+ is too old": "unset DOCKER_API_VERSION, or update the docker command.",
    r"resolve docker endpoint|parse docker host|invalid bind address": "write {host} as unix://…, tcp://… or ssh://….",
    r"command \[ssh |ssh: ": "'ssh' has to reach the host of {host} without asking, and 'docker' has to be there.",
    r"no such host|no route to host|i/o timeout|tcp://": "see that {host} is right, and that an engine listens there.",
    r"non-overlapping IPv4 address pool|predefined address pools": "end other mini-clusters ('slurm-sim list'), remove "
    "unused networks ('docker network prune'), or add default-address-pools to the engine's daemon.json.",
    r"no space left on device|quota exceeded": "make room on the engine's disk: see 'docker system df'.",
    r"port is already allocated|address already in use": "another program took the port in between: try again.",
    r"name \S+ is already in use": "remove that container with 'docker rm --force', or take another --name.",
    r"pull access denied|no such image|manifest unknown|failed to resolve reference": "build or pull the image: "
    "'containers/bake.sh' builds ours.",
    r"is not a docker command|unknown (?:shorthand )?flag|unknown (?:docker )?command": "install the plugin of Docker "
    "for Compose, 2.23.1 or newer: docker-compose-plugin, or docker-compose on Debian 13.",
    r"additional propert|unsupported config option|cannot unmarshal|!reset": "update Docker's plugin for Compose "
    "to 2.23.1 or newer; 'docker compose version' says which it is.",
    r"too many open files|cannot allocate memory|resource temporarily unavailable": "take fewer nodes: the "
    "engine's host is out of memory, files or processes.",
    r"/dev/fuse": "load the kernel's module on the engine's host, 'modprobe fuse': bare nodes mount SIFs with it.",
    r"network \S+ not found": "'slurm-sim down' removes what is left, and 'slurm-sim up' starts anew.",
    r"connect|EOF|connection reset|broken pipe": _START,
}


def advice(said: str) -> str:
    """Return what to do about what the engine or Compose printed, or an empty string."""
    for pattern, todo in _ADVICE.items():
        if re.search(pattern, said, re.IGNORECASE):
            return todo.replace("{host}", f"DOCKER_HOST ({os.environ.get('DOCKER_HOST', 'unset')})")
    return ""


def explanation(said: str) -> str:
    """Return the lines that explain a failure: the last ones with an error, or the last ones."""
    lines = said.strip().splitlines()
    return "\n".join(([line for line in lines if "rror" in line] or lines)[-5:])


def no_engine(said: str) -> EngineError | None:
    """Return the error if the client printed that it cannot ask an engine."""
    return unanswered(said) if _NO_ENGINE.match(said) else None


def unanswered(said: str) -> EngineError:
    """Return the error for a client that got no answer."""
    seen = said.strip().splitlines()
    return EngineError("No Docker engine answers.", seen[-1] if seen else "", advice(said) or _START)
