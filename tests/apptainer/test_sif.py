"""The SIF on bare nodes, run by an ordinary user."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from tests.apptainer.conftest import Inside

pytestmark = pytest.mark.timeout(300)  # the first test builds the SIF

WAYS = [(), ("--cleanenv",), ("--contain",), ("--no-home",), ("--cleanenv", "--contain", "--no-home")]


def test_checksum_file_matches(sif: Path) -> None:
    """`sha256sum --check` accepts the checksum file in any folder that holds both files."""
    line = Path(f"{sif}.sha256").read_text(encoding="utf-8")
    assert line == f"{hashlib.sha256(sif.read_bytes()).hexdigest()}  {sif.name}\n"


@pytest.mark.parametrize("options", WAYS, ids=lambda options: " ".join(options) or "plain")
def test_environment_is_active(inside: Inside, options: tuple[str, ...]) -> None:
    """`python` is the environment's, with all its variables, even if the caller's are not passed."""
    code = "import os, sys, distributed, mpi4py.MPI; print(sys.prefix, *map(os.environ.get, sys.argv[1:]))"
    names = ("OMP_NUM_THREADS", "PYTHONNOUSERSITE", "PMIX_MCA_gds", "PMIX_MCA_psec")
    done = inside("python", "-c", code, *names, options=options)
    assert done.stdout == "/opt/env 1 1 hash native\n"
    assert done.stderr == ""


def test_apptainer_test_passes(bare: SlurmSim, shared: str) -> None:
    """`apptainer test` passes on the login node and on a compute node, and prints only the version."""
    for on in ("login", "c2"):
        done = bare.exec("apptainer", "test", shared, on=on, timeout=150)
        assert done.stdout.startswith("dask-hpc ")
        assert done.stderr == ""


def test_run_help_explains_usage(bare: SlurmSim, shared: str) -> None:
    """`apptainer run-help` shows the first commands, and what the cluster needs."""
    said = bare.exec("apptainer", "run-help", shared).stdout
    for word in ("apptainer exec dask-hpc.sif python", "--mpi=pmix", "--bind", "--nv", "user namespaces"):
        assert word in said


def test_run_starts_python(bare: SlurmSim, shared: str) -> None:
    """`apptainer run` starts Python, as the image does, or the given command."""
    assert bare.exec("apptainer", "run", shared, stdin="print(6 * 7)").stdout == "42\n"
    assert bare.exec("apptainer", "run", shared, "echo", "a  b").stdout == "a  b\n"


def test_ignores_packages_in_home_folder(inside: Inside, bare: SlurmSim) -> None:
    """A module in ~/.local is not imported, although the home folder itself is there."""
    site = "/home/hpc/.local/lib/python3.13/site-packages"
    bare.exec(
        "sh", "-c", f"mkdir -p {site} && echo 'raise SystemExit(9)' | tee {site}/dask.py >{site}/usercustomize.py"
    )
    try:
        code = f"import os, sys, dask; assert os.path.isdir('{site}'); print(dask.__file__, *sys.path)"
        assert "/.local/" not in inside("python", "-c", code).stdout
    finally:
        bare.exec("rm", "-r", "/home/hpc/.local")


def test_passes_pythonpath_unless_cleanenv(inside: Inside) -> None:
    """The caller's PYTHONPATH is passed, as Apptainer intends, unless --cleanenv is given."""
    ask = ("sh", "-c", "echo $PYTHONPATH")
    assert inside(*ask, env={"PYTHONPATH": "/elsewhere"}).stdout == "/elsewhere\n"
    assert inside(*ask, env={"PYTHONPATH": "/elsewhere"}, options=("--cleanenv",)).stdout == "\n"


def test_imports_compile_nothing(inside: Inside) -> None:
    """Imports use the existing bytecode, and compile no module."""
    code = """
import builtins, importlib._bootstrap_external as external
def refuse(*args, **kwargs):
    raise AssertionError(f"compiled {args[1:2]}")
external.SourceLoader.source_to_code = refuse
import distributed, dask_jobqueue, dask_mpi, numpy, bokeh, dask_hpc.cli
"""
    inside("python", "-c", code)


def test_environment_is_read_only(inside: Inside) -> None:
    """The environment cannot be changed, and the user's home folder can be written."""
    assert inside("touch", "/opt/env/x", check=False).stderr.strip().endswith("Read-only file system")
    inside("sh", "-c", "cd && touch written-inside && rm written-inside")


def test_runs_as_calling_user(inside: Inside) -> None:
    """The user inside the SIF is the user outside."""
    assert inside("sh", "-c", "id -un; id -u; pwd").stdout.split() == ["hpc", "1000", "/home/hpc"]


def test_files_match_image(inside: Inside, image_files: dict[str, str]) -> None:
    """The files that identify the environment and the release are identical to the image's."""
    for path, digest in image_files.items():
        assert inside("sha256sum", path).stdout.split()[0] == digest


def test_labels_match_image(bare: SlurmSim, shared: str, versions: dict[str, str]) -> None:
    """`apptainer inspect` shows the image's labels, including title and version."""
    labels = json.loads(bare.exec("apptainer", "inspect", "--json", shared).stdout)["data"]["attributes"]["labels"]
    assert labels["org.opencontainers.image.version"] == versions["VERSION"]
    assert labels["org.opencontainers.image.title"] == "dask-hpc"
