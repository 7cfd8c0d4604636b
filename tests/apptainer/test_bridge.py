"""A driver in the SIF submits jobs to a Slurm outside the SIF, and its workers run in the SIF too."""

from __future__ import annotations

import json

import pytest

from slurm_sim import SlurmSim
from tests.support.launcher import COMMAND, RUN, install, launch, left

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site(bare: SlurmSim) -> SlurmSim:
    """The bare mini-cluster, with the launcher."""
    install(bare)
    return bare


def test_computes_pi_from_sif(site: SlurmSim, shared: str) -> None:
    """The image's command works in the SIF: it computes π on two nodes, and leaves nothing behind."""
    done = launch(site, shared, *RUN, "--json")
    result = json.loads(done.stdout)
    assert result["ok"]
    assert result["cluster"]["tls"]
    assert result["cluster"]["nodes"] == ["c1", "c2"]
    assert "apptainer exec --cleanenv --bind" in done.stderr
    assert shared in done.stderr
    assert site.exec("ls", f"{result['folder']}/logs").stdout
    assert left(site) == ""


def test_runs_without_tls_and_with_extra_bind(site: SlurmSim, shared: str) -> None:
    """The run also works without TLS, and with an additional bound folder."""
    site.exec("mkdir", "-p", "/home/hpc/in put")
    done = launch(site, shared, "--bind=/home/hpc/in put:/data", *RUN, "--no-tls", "--json", "--processes=2")
    assert json.loads(done.stdout)["cluster"]["workers"] == 4
    assert "'/home/hpc/in put:/data'" in done.stderr
    assert left(site) == ""


def test_concurrent_drivers_are_isolated(site: SlurmSim, shared: str) -> None:
    """Two drivers at the same time each have their own session."""
    one = f"{COMMAND} {' '.join(RUN)} --jobs 1 --json 2>/dev/null"
    done = site.exec("sh", "-c", f"{one} >1 & {one} >2; wait; cat 1 2", env={"DASK_HPC_SIF": shared}, timeout=200)
    first, second = (json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines())
    assert first["ok"]
    assert second["ok"]
    assert first["cluster"]["jobs"] != second["cluster"]["jobs"]
    assert left(site) == ""


LONG = f"{COMMAND} run monte-carlo-pi --on slurm --samples 1e12 --no-serial"


@pytest.mark.parametrize(("signum", "status"), [("TERM", 143), ("KILL", 137)])
def test_signal_to_launcher_leaves_nothing(site: SlurmSim, shared: str, signum: str, status: int) -> None:
    """Even if the launcher is killed, its jobs are cancelled: the driver in the SIF ends, and still reaches Slurm."""
    script = (
        f"rm -f log; touch log; {LONG} >log 2>&1 & p=$!; until grep -q ^dashboard: log; do sleep 0.1; done;"
        f"kill -{signum} $p; wait $p; echo status $?; while ls -d /tmp/dask-hpc-* 2>/dev/null; do sleep 0.1; done"
    )
    done = site.exec("bash", "-c", script, env={"DASK_HPC_SIF": shared}, timeout=120)
    assert f"status {status}" in done.stdout
    log = site.exec("cat", "log").stdout
    assert "Traceback" not in log
    assert " - ERROR - " not in log
    assert left(site) == ""


def test_names_launcher_if_started_without_it(site: SlurmSim, shared: str) -> None:
    """If the SIF is started without the launcher, the error names the launcher."""
    done = site.exec("apptainer", "exec", shared, "dask-hpc", *RUN, check=False)
    assert done.returncode == 1
    assert "Slurm cannot be reached from this SIF" in done.stderr
    assert "./dask-hpc" in done.stderr


def test_allows_only_listed_slurm_commands(site: SlurmSim, shared: str) -> None:
    """In the SIF, scontrol manages the user's own jobs; administrative commands are refused."""
    assert "NodeName=c1" in launch(site, shared, "exec", "scontrol", "show", "node", "c1").stdout
    done = launch(site, shared, "exec", "scontrol", "reconfigure", check=False)
    assert done.returncode == 126
    assert launch(site, shared, "exec", "sacctmgr", check=False).returncode != 0


def test_slurm_commands_behave_as_outside_sif(site: SlurmSim, shared: str) -> None:
    """Scripts on standard input, srun's output from two nodes and exit status pass through."""
    script = "#!/bin/sh\n#SBATCH --wait --output=out\nhostname\n"
    launch(site, shared, "exec", "sbatch", stdin=script)
    assert site.exec("cat", "out").stdout in ("c1\n", "c2\n")
    assert sorted(launch(site, shared, "exec", "srun", "-N2", "hostname").stdout.split()) == ["c1", "c2"]
    assert launch(site, shared, "exec", "srun", "sh", "-c", "exit 5", check=False).returncode == 5


def test_passes_only_selected_variables(site: SlurmSim, shared: str) -> None:
    """Slurm's, Dask's and user-selected variables are passed; variables that would break Python are not."""
    env = {"PYTHONPATH": "/elsewhere", "DASK_X": "1", "SLURM_X": "2", "MY_X": "3", "DASK_HPC_PASS": "MY_*"}
    seen = launch(site, shared, "exec", "env", env=env).stdout.splitlines()
    assert {"DASK_X=1", "SLURM_X=2", "MY_X=3"} <= set(seen)
    assert "PYTHONPATH=/elsewhere" not in seen


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ("true", ["Cannot read the SIF", "No such file"]),
        ("head -c 1000000 {sif} >bad.sif", ["truncated", "1000000 of"]),
        ("echo nothing >bad.sif", ["Not a SIF", "8 bytes"]),
        ("cp {launcher} bad.sif; chmod 0 bad.sif", ["Cannot read the SIF", "Permission denied"]),
    ],
)
def test_rejects_invalid_sif(site: SlurmSim, shared: str, prepare: str, words: list[str]) -> None:
    """For a missing, truncated, invalid or unreadable SIF, the error names the file and says what to do."""
    site.exec("sh", "-ec", "rm -f bad.sif; " + prepare.format(sif=shared, launcher=COMMAND))
    done = site.exec(COMMAND, "--sif", "bad.sif", *RUN, check=False)
    assert done.returncode == 2
    assert all(word in done.stderr for word in [*words, "/home/hpc/bad.sif", "What to do"])
    assert "Traceback" not in done.stderr


def hide(site: SlurmSim, node: str, path: str) -> None:
    """Move a file away on a node."""
    site.exec("mv", path, f"{path}.away", on=node, user="root")


def test_reports_node_without_apptainer(site: SlurmSim, shared: str) -> None:
    """The error names the node, and says how to exclude it."""
    link = site.exec("sh", "-c", "command -v apptainer", on="c2").stdout.strip()
    hide(site, "c2", link)
    try:
        done = launch(site, shared, *RUN, check=False)
        assert done.returncode == 1
        assert "node c2: apptainer not found on PATH" in done.stderr
        assert "--exclude=c2" in done.stderr
        assert launch(site, shared, *RUN, "--jobs=1", "--sbatch-option=--exclude=c2").returncode == 0
    finally:
        site.exec("mv", f"{link}.away", link, on="c2", user="root")
    assert left(site) == ""


def test_reports_sif_that_nodes_cannot_read(site: SlurmSim, shared: str) -> None:
    """If the SIF is on the login node's own disk, the error names the file and asks for a shared folder."""
    site.exec("cp", shared, "/var/tmp/own.sif")
    done = site.exec(COMMAND, "--sif", "/var/tmp/own.sif", *RUN, check=False, timeout=120)
    site.exec("rm", "/var/tmp/own.sif")
    assert done.returncode == 1
    assert "/var/tmp/own.sif cannot be read" in done.stderr
    assert "all nodes share" in done.stderr
    assert left(site) == ""


def test_reports_unshared_sif_and_logs(site: SlurmSim, shared: str) -> None:
    """If neither the SIF nor the logs are shared, the error says which folder to share."""
    site.exec("cp", shared, "/var/tmp/own.sif")
    logs = "/var/tmp/only-here/logs"
    done = site.exec(COMMAND, "--sif=/var/tmp/own.sif", *RUN, f"--log-directory={logs}", check=False, timeout=120)
    site.exec("rm", "/var/tmp/own.sif")
    assert done.returncode == 1
    assert f"check that {logs} is shared with the nodes" in done.stderr
    assert left(site) == ""


def test_reports_login_node_without_apptainer_or_python(site: SlurmSim, shared: str) -> None:
    """On a login node without Apptainer, or without Python, the error says so before anything starts."""
    only = "rm -rf only; mkdir only; ln -s $(command -v python3) only/; PATH=$PWD/only ./dask-hpc shell"
    done = site.exec("sh", "-c", f"ln -sf {shared} dask-hpc.sif; {only}", check=False)
    assert done.returncode == 2
    assert "neither apptainer nor singularity" in done.stderr
    done = site.exec("sh", "-c", "rm dask-hpc.sif; PATH=/nowhere ./dask-hpc shell", check=False)
    assert done.returncode == 127
    assert "python3 not found" in done.stderr
