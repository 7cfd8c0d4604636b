"""A mini-cluster is a real Slurm cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slurm_sim import CommandError, SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until_in

SINFO = ("sinfo", "--noheader", "--Node", "--format=%N %t %c %m")


def docker_inspect(sim: SlurmSim, service: str) -> dict[str, Any]:
    from slurm_sim._docker import docker

    answer: list[dict[str, Any]] = json.loads(docker("inspect", sim.container(service)).stdout)
    return answer[0]


def test_nodes_are_idle_and_have_requested_size(slurm_sim: SlurmSim) -> None:
    """Every node is idle and has the requested CPUs and memory, regardless of the host's."""
    seen = slurm_sim.exec(*SINFO).stdout.splitlines()
    assert seen[:2] == ["c1 idle 2 4096", "c2 idle 2 4096"]


def test_node_names_match_hostnames_and_dns(slurm_sim: SlurmSim) -> None:
    """A node's Slurm name is its hostname, and all machines resolve each other's names."""
    assert sorted(slurm_sim.exec("srun", "-N2", "hostname").stdout.split()) == ["c1", "c2"]
    for on, other in [("c1", "c2"), ("c2", "login"), ("login", "c1"), ("c1", "slurmctld")]:
        assert slurm_sim.exec("getent", "hosts", other, on=on).stdout


def test_jobs_run_as_user_with_shared_home(slurm_sim: SlurmSim) -> None:
    """Jobs run as hpc, and files they write to the home folder appear on the login node."""
    assert slurm_sim.exec("srun", "id", "--user", "--name").stdout.strip() == "hpc"
    slurm_sim.exec("srun", "-w", "c2", "sh", "-c", "hostname >~/written-by")
    assert slurm_sim.exec("sh", "-c", "cat ~/written-by; rm ~/written-by").stdout.strip() == "c2"


def test_kills_job_that_exceeds_its_memory(slurm_sim: SlurmSim) -> None:
    """A step that uses three times its --mem is killed, and Slurm gives the reason."""
    hog = "x=$(head --bytes=150M /dev/zero | tr '\\0' x); tail -f /dev/null; echo $x"
    done = slurm_sim.exec("srun", "--mem=50M", "bash", "-c", hog, check=False, timeout=150)
    assert done.returncode != 0
    assert "memory" in done.stderr.lower()


def test_rejects_job_that_can_never_fit(slurm_sim: SlurmSim) -> None:
    """A job with more CPUs than a node has is rejected, not queued forever."""
    with pytest.raises(CommandError, match="configuration is not available"):
        slurm_sim.exec("srun", "-N1", "-n1", "-c64", "hostname", timeout=150)


def test_containers_are_unprivileged_and_unpublished(slurm_sim: SlurmSim) -> None:
    """No container is privileged, has a capability it does not list, or publishes a port."""
    for service in ("slurmctld", "login", "c1"):
        host = docker_inspect(slurm_sim, service)["HostConfig"]
        assert not host["Privileged"]
        assert host["CapDrop"] == ["ALL"]
        assert not {"CAP_SYS_ADMIN", "SYS_ADMIN"} & set(host["CapAdd"])
        assert not host["PortBindings"]


@pytest.mark.parametrize("daemon", ["slurmctld", "munged"])
def test_daemons_do_not_run_as_root(slurm_sim: SlurmSim, daemon: str) -> None:
    """slurmctld and munged run as their own users, without capabilities."""
    status = slurm_sim.exec("sh", "-c", f"cat /proc/$(pidof {daemon})/status", on="slurmctld", user="root").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] != "0"
    assert int(fields["CapEff"], 16) == 0


def test_mini_clusters_have_different_munge_keys(slurm_sim: SlurmSim, slurm_sim_factory: type[SlurmSim]) -> None:
    """Two mini-clusters run side by side with different keys that only munge can read."""
    other = slurm_sim_factory(nodes=1)
    keys = set()
    for sim in (slurm_sim, other):
        assert sim.exec("cat", "/etc/munge/munge.key", check=False).returncode != 0
        assert sim.exec("stat", "--format=%a %U", "/etc/munge/munge.key").stdout.strip() == "400 munge"
        keys.add(sim.exec("sha256sum", "/etc/munge/munge.key", on="slurmctld", user="munge").stdout)
    assert len(keys) == 2
    assert other.exec("srun", "hostname").stdout.strip() == "c1"


def test_jobs_survive_controller_restart(slurm_sim: SlurmSim) -> None:
    """A running job and a queued job are still there after slurmctld is killed and restarted."""
    running = sbatch(slurm_sim, "--exclusive", "-N2", f"--wrap={FOR_EVER}")
    queued = sbatch(slurm_sim, "--exclusive", "-N2", "--wrap", "hostname")
    running.wait_until_running(120)
    slurm_sim.fault("controller-restarted")
    until_in(slurm_sim, "scontrol ping")
    assert running.record().state == "RUNNING"
    assert queued.record().state == "PENDING"
    running.cancel()
    assert queued.wait(150).state == "COMPLETED"


def test_daemons_survive_reconfiguration(slurm_sim: SlurmSim) -> None:
    """`scontrol reconfigure` reaches the login node and the nodes, which continue to work."""
    change = "echo '# reconfigured' >>/etc/slurm/slurm.conf && scontrol reconfigure"
    slurm_sim.exec("sh", "-c", change, on="slurmctld", user="root")
    until_in(slurm_sim, "grep --quiet reconfigured /run/slurm/conf/slurm.conf", user="root")
    assert len(slurm_sim.exec("srun", "--nodes=2", "hostname").stdout.split()) == 2


def test_pmix_is_available_and_default(slurm_sim: SlurmSim) -> None:
    """Slurm offers PMIx, which Open MPI 5 needs, and uses it by default."""
    assert "pmix" in slurm_sim.exec("srun", "--mpi=list").stderr + slurm_sim.exec("srun", "--mpi=list").stdout
    ranks = slurm_sim.exec("srun", "-N2", "-n4", "sh", "-c", "echo $PMIX_RANK").stdout.split()
    assert sorted(ranks) == ["0", "1", "2", "3"]
