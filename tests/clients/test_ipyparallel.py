"""ipyparallel: its own tests for Slurm."""

from __future__ import annotations

import re

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(900)]

THEIR_TESTS = (
    *("timeout", "800", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "300", "-o", "asyncio_mode=auto"),
    *("--pyargs", "ipyparallel.tests.test_slurm"),
)


def test_ipyparallel_passes_its_own_tests(client: Client) -> None:
    """Controllers and engines start as jobs, are restarted, get signals, and end."""
    client.run("mkdir", "data")
    for on in ("login", *client.sim.nodes()):  # the tests expect a shared folder of this name
        client.sim.exec("ln", "-sfn", f"{client.folder}/data", "/data", user="root", on=on)
    done = client.run(*THEIR_TESTS, check=False, timeout=850)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b5 passed\b", done.stdout), done.stdout[-1000:]
