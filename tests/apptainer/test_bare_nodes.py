"""Bare nodes have what real compute nodes have: Slurm, PMIx, Apptainer, ordinary users, and no Dask environment."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import SlurmSim
from slurm_sim._docker import docker
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

NODE = {"CHOWN", "SETUID", "SETGID", "KILL", "SYS_PTRACE", "DAC_OVERRIDE"}
WHERE = ("login", "c1", "c2")


@pytest.mark.parametrize("on", WHERE)
def test_bare_nodes_have_no_environment(bare: SlurmSim, on: str) -> None:
    """Outside the SIF, no file is named after a package in it, and the system's Python has no packages."""
    names = " -o ".join(f"-iname '*{name}*'" for name in ("dask", "distributed", "mpi4py", "numpy", "openmpi"))
    names += " -o -name site-packages -o -path '*-packages/*'"
    seen = bare.exec("sh", "-c", f"find / -xdev \\( {names} \\) 2>/dev/null; true", on=on).stdout
    assert [path for path in seen.splitlines() if not path.startswith(("/shared/", "/proc/", "/usr/share/doc/"))] == []
    done = bare.exec("python3", "-c", "import dask", on=on, check=False)
    assert "ModuleNotFoundError" in done.stderr


def host_config(bare: SlurmSim, service: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", bare.container(service)).stdout)[0]
    return found


@pytest.mark.parametrize("on", WHERE)
def test_apptainer_needs_no_extra_capability(bare: SlurmSim, on: str) -> None:
    """Bare containers add only /dev/fuse: no further capabilities, and no privileges through setuid files."""
    host = host_config(bare, on)["HostConfig"]
    caps = {cap.removeprefix("CAP_") for cap in host["CapAdd"]}
    assert caps == (NODE if on != "login" else {"CHOWN", "SETUID", "SETGID", "KILL"})
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert [device["PathOnHost"] for device in host["Devices"]] == ["/dev/fuse"]
    options = {option.partition("=")[0].partition(":")[0] for option in host["SecurityOpt"]}
    assert options == {"no-new-privileges", "seccomp", "apparmor"}
    assert "seccomp=unconfined" not in host["SecurityOpt"]


def test_user_has_no_capability(bare: SlurmSim) -> None:
    """The user has no capability, on the login node or in a job."""
    for launch in ((), ("srun", "-N2")):
        seen = bare.exec(*launch, "grep", "-h", "^Cap[IPEA]", "/proc/self/status").stdout
        assert {line.split()[1] for line in seen.splitlines()} == {"0" * 16}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the system call numbers are x86-64's")
@pytest.mark.parametrize(("call", "number"), [("keyctl", 250), ("bpf", 321), ("perf_event_open", 298), ("uffd", 323)])
def test_denies_system_calls_that_docker_denies(bare: SlurmSim, shared: str, call: str, number: int) -> None:
    """The profile allows namespaces and mounts, but no other call that Docker denies, even in a user namespace."""
    code = (
        f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({number}, 0, 0, 0), ctypes.get_errno())"
    )
    assert bare.exec("apptainer", "exec", shared, "python", "-c", code).stdout == "-1 1\n"


def test_sif_is_shared_and_read_only(bare: SlurmSim, sif: Path, shared: str) -> None:
    """The login node and the nodes have the host's SIF, and not even root can write it."""
    for on in WHERE:
        assert int(bare.exec("stat", "--format=%s", shared, on=on).stdout) == sif.stat().st_size
        assert bare.exec("touch", shared, on=on, user="root", check=False).returncode != 0


def test_scale_adds_bare_nodes(bare: SlurmSim, shared: str) -> None:
    """`scale` adds nodes of the same kind, even after attaching to the mini-cluster by name."""
    SlurmSim.attach(bare.name).scale(3)
    try:
        command = (
            "srun",
            "-w",
            "c3",
            "apptainer",
            "exec",
            shared,
            "python",
            "-c",
            "import dask, os; print(os.uname()[1])",
        )
        assert bare.exec(*command, timeout=150).stdout == "c3\n"
    finally:
        bare.scale(2)


def test_two_bare_mini_clusters_share_sif(bare: SlurmSim, sif: Path, shared: str) -> None:
    """A second bare mini-cluster mounts the same SIF."""
    with SlurmSim(nodes=1, bare=True, sif=sif) as other:
        for sim in (bare, other):
            assert sim.exec("srun", "apptainer", "exec", shared, "echo", "here").stdout == "here\n"


def test_reports_missing_user_namespaces(versions: dict[str, str]) -> None:
    """Without user namespaces on the host, a node exits at once with what it found and what to do."""
    command = ["docker", "run", "--rm", "--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID", "--device=/dev/fuse"]
    command += ["--entrypoint=bare-entrypoint", f"slurm-sim/bare:{versions['SLURM_VERSION']}", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "users cannot have user namespaces" in done.stderr
    assert "seen:  unshare" in done.stderr
    assert "max_user_namespaces" in done.stderr


def test_job_leaves_no_file_system_server(bare: SlurmSim, shared: str) -> None:
    """If Apptainer is killed, the process that serves the SIF ends with its job; that of another job keeps running."""
    # Apptainer does not report that it is ready, so poll for its process. The sleeping jobs are cancelled below.
    script = f"""
servers() {{ srun --quiet --overlap --jobid=$held pgrep -x -c squashfuse_ll || true; }}
held=$(sbatch --parsable --nodelist=c1 --output=held.out --wrap 'apptainer exec {shared} sleep 300')
sbatch --quiet --wait --nodelist=c1 --output=lost.out <<'END'
#!/bin/bash
until pgrep -x squashfuse_ll >/dev/null; do sleep 0.1; done
apptainer exec {shared} sleep 300 & until pgrep -x -P $! squashfuse_ll >/dev/null; do sleep 0.1; done
kill -KILL $!; wait 2>/dev/null
pgrep -x -c squashfuse_ll
END
grep --invert-match Killed lost.out
servers
scancel $held
rm held.out lost.out
"""
    assert bare.exec("bash", "-ec", script, timeout=150).stdout == "2\n1\n"
    until(lambda: "squashfuse" not in bare.exec("ps", "-A", on="c1").stdout, "the end of the held job")
