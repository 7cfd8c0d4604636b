"""Errors of the engine, its client and Compose, and the advice for them."""

from __future__ import annotations

import pytest

from slurm_sim._engine_errors import advice, explanation, no_engine, unanswered

NO_ENGINE = {
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?": "start Docker",
    "\nCannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?": "DOCKER_HOST",
    "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct": "start Docker",
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix "
    "/var/run/docker.sock: connect: permission denied": "group 'docker'",
    "WARNING: Error loading config file: open /root/.docker/config.json: permission denied\npermission denied while "
    "trying to connect to the Docker daemon socket at unix:///var/run/docker.sock": "group 'docker'",
    'unable to resolve docker endpoint: context "x": context not found: open y': "docker context ls",
    "Failed to initialize: unable to resolve docker endpoint: open /nope/ca.pem: no such file": "DOCKER_CERT_PATH",
    "error during connect: Get https://h:2376: tls: failed to verify certificate: x509: signed by unknown": "CERT_PATH",
    "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: foo://bar": "unix://…",
    "unable to resolve docker endpoint: unable to parse docker host `foo`": "unix://…",
    "error during connect: lookup x on 10.0.0.1:53: no such host": "(tcp://x)",
    "error during connect: Get http://docker.example.com/v1.50: command [ssh -l me -- h docker system dial-stdio]"
    " has exited with exit status 255, stderr=ssh: connect to host h port 22: Connection refused": "'ssh'",
    "Error response from daemon: client version 1.60 is too new. Maximum supported API version is 1.45": "API_VERSION",
    "Error response from daemon: client version 1.20 is too old. Minimum supported is 1.24": "update the docker",
}
"""Errors of clients that reach no engine, with a part of the advice."""

FAILURES = {
    "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the defaults to "
    "assign to the network": "docker network prune",
    "Error response from daemon: all predefined address pools have been fully subnetted": "default-address-pools",
    "failed to register layer: write /x: no space left on device": "docker system df",
    "Bind for 127.0.0.1:32768 failed: port is already allocated": "again",
    'Error response from daemon: Conflict. The container name "/x-login-1" is already in use by container': "--name",
    "Error response from daemon: pull access denied for x, repository does not exist": "build or pull",
    "Error response from daemon: No such image: slurm-sim/node:0": "build or pull",
    "docker: 'compose' is not a docker command.\nSee 'docker --help'": "docker-compose-plugin",
    "unknown flag: --project-name\nSee 'docker --help'.": "docker-compose-plugin",
    "docker: unknown command: docker compose\n\nRun 'docker --help' for more information": "docker-compose-plugin",
    "validating compose.yaml: configs.slurm Additional property content is not allowed": "2.23.1 or newer",
    'error gathering device information while adding custom device "/dev/fuse": no such file or directory': "modprobe",
    "Error response from daemon: network 4f2a not found": "slurm-sim down",
    "unexpected EOF": "start Docker",
}
"""Errors of the engine and Compose, with a part of the advice."""


@pytest.mark.parametrize(("said", "todo"), NO_ENGINE.items())
def test_explains_why_no_engine_answers(said: str, todo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the client's last line, and advice for it."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://x")
    error = no_engine(said + "\n")
    assert error is not None
    assert error.what == "No Docker engine answers."
    assert error.seen == said.splitlines()[-1]
    assert todo in error.todo


@pytest.mark.parametrize(("said", "todo"), FAILURES.items())
def test_advises_on_failures(said: str, todo: str) -> None:
    """Each failure has its advice, and none is mistaken for an engine that does not answer."""
    assert todo in advice(said)
    assert no_engine(said) is None


@pytest.mark.parametrize(
    "said", ["", "bash: x: command not found\n", "srun: error: see\nCannot connect to the Docker daemon at tcp://x\n"]
)
def test_output_of_commands_is_no_engine_error(said: str) -> None:
    """A command in a container may print anything, even errors about another engine."""
    assert no_engine(said) is None


def test_unknown_failures_have_no_advice() -> None:
    """An unknown failure gets no advice, which could mislead."""
    assert advice("Error response from daemon: something new") == ""


def test_shows_lines_with_errors() -> None:
    """The explanation has the last five lines with an error, or the last five lines; none for a silent client."""
    assert explanation("".join(f"Error {n}\nok\n" for n in range(7))).split() == [
        "Error",
        "2",
        "Error",
        "3",
        "Error",
        "4",
        "Error",
        "5",
        "Error",
        "6",
    ]
    assert explanation("a\nb\n") == "a\nb"
    assert unanswered("").seen == ""
