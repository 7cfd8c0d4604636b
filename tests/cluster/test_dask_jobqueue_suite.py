"""dask-jobqueue's own tests for Slurm, on a default mini-cluster."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim

pytestmark = pytest.mark.timeout(400)

# The installed suite lacks its conftest.py and its authors' certificates.
CONFTEST = """
import asyncio
import inspect
from pathlib import Path

import pytest
from dask_jobqueue import SLURMCluster
from distributed import Security
from distributed.utils_test import cleanup, loop, loop_in_thread

made = Security.temporary()
for name, text in (("key.pem", made.tls_worker_key), ("ca.pem", made.tls_ca_file)):
    Path(__file__).with_name(name).write_text(text)


@pytest.fixture
def EnvSpecificCluster():
    return SLURMCluster


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        names = pyfuncitem._fixtureinfo.argnames
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
        return True
"""
ON_SLURM = "{test_job,test_cluster,test_adapt,test_adapt_parameters,test_nworkers_scale}"
OVER_TLS = "{test_security,test_security_temporary,test_security_temporary_defaults}"
# needs interface labels such as `eth0:worker`, which containers do not have
NOT_HERE = "test_different_interfaces_on_scheduler_and_workers"
SUITE = f"""
cp -r "$(python -c 'import dask_jobqueue.tests as it; print(*it.__path__)')" suite
cat >suite/conftest.py
trap 'rm -rf suite key.pem ca.pem' EXIT
export CI_SHARED_SPACE=$PWD
timeout 330 pytest -q -p no:cacheprovider --timeout 100 --deselect suite/test_slurm.py::{NOT_HERE} \\
  suite/test_slurm.py suite/test_job.py::{ON_SLURM} suite/test_jobqueue_core.py::{OVER_TLS}
"""


def test_dask_jobqueue_test_suite_passes(slurm_sim: SlurmSim) -> None:
    """All tests that need Slurm pass, except one that needs interface labels."""
    for on in ("login", *slurm_sim.nodes()):  # their containers share this folder
        slurm_sim.exec("ln", "-sfn", "/home/hpc", "/shared_space", user="root", on=on)
    done = slurm_sim.exec("bash", "-ec", SUITE, stdin=CONFTEST, check=False, timeout=350)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b16 passed, 1 deselected\b", done.stdout), done.stdout[-1000:]
