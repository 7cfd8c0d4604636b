"""A mini-cluster is a real Slurm cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slurm_sim import CommandError, Job, SlurmSim

SINFO = ("sinfo", "--noheader", "--Node", "--format=%N %t %c %m")


def docker_inspect(sim: SlurmSim, service: str) -> dict[str, Any]:
    from slurm_sim.running import docker

    answer: list[dict[str, Any]] = json.loads(docker("inspect", sim.container(service)).stdout)
    return answer[0]


def sbatch(sim: SlurmSim, *options: str) -> Job:
    return sim.job(int(sim.exec("sbatch", "--parsable", *options).stdout))


def test_nodes_are_idle_and_as_big_as_asked(slurm_sim: SlurmSim) -> None:
    """Every node is idle and has the CPUs and the memory that the caller said, whatever the host has."""
    seen = slurm_sim.exec(*SINFO).stdout.splitlines()
    assert seen[:2] == ["c1 idle 2 4096", "c2 idle 2 4096"]


def test_names_are_shared_by_slurm_dns_and_hosts(slurm_sim: SlurmSim) -> None:
    """A node's Slurm name is its hostname, and nodes and login node resolve each other."""
    assert sorted(slurm_sim.exec("srun", "-N2", "hostname").stdout.split()) == ["c1", "c2"]
    for on, other in [("c1", "c2"), ("c2", "login"), ("login", "c1"), ("c1", "slurmctld")]:
        assert slurm_sim.exec("getent", "hosts", other, on=on).stdout


def test_work_runs_as_a_person_on_a_shared_home(slurm_sim: SlurmSim) -> None:
    """Jobs run as hpc, and what one writes at home is there on the login node."""
    assert slurm_sim.exec("srun", "id", "--user", "--name").stdout.strip() == "hpc"
    slurm_sim.exec("srun", "-w", "c2", "sh", "-c", "hostname >~/written-by")
    assert slurm_sim.exec("sh", "-c", "cat ~/written-by; rm ~/written-by").stdout.strip() == "c2"


def test_a_job_over_its_memory_is_killed(slurm_sim: SlurmSim) -> None:
    """A step that takes three times its --mem is killed, and Slurm says why."""
    hog = "x=$(head --bytes=150M /dev/zero | tr '\\0' x); tail -f /dev/null; echo $x"
    done = slurm_sim.exec("srun", "--mem=50M", "bash", "-c", hog, check=False, timeout=60)
    assert done.returncode != 0
    assert "memory" in done.stderr.lower()


def test_a_job_that_can_never_fit_is_refused_at_once(slurm_sim: SlurmSim) -> None:
    """More CPUs than a node has are refused, not queued for ever."""
    with pytest.raises(CommandError, match="configuration is not available"):
        slurm_sim.exec("srun", "-N1", "-n1", "-c64", "hostname", timeout=30)


def test_nothing_is_privileged_or_published(slurm_sim: SlurmSim) -> None:
    """No container is privileged, has a capability it does not name, or publishes a port."""
    for service in ("slurmctld", "login", "c1"):
        host = docker_inspect(slurm_sim, service)["HostConfig"]
        assert not host["Privileged"]
        assert host["CapDrop"] == ["ALL"]
        assert not {"CAP_SYS_ADMIN", "SYS_ADMIN"} & set(host["CapAdd"])
        assert not host["PortBindings"]


def test_daemons_do_not_run_as_root(slurm_sim: SlurmSim) -> None:
    """slurmctld and munged run as their own users, without capabilities."""
    status = slurm_sim.exec("sh", "-c", "cat /proc/$(pidof slurmctld)/status", on="slurmctld", user="root").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] != "0"
    assert int(fields["CapEff"], 16) == 0


def test_the_munge_key_is_this_mini_clusters_own(slurm_sim: SlurmSim, slurm_sim_factory: type[SlurmSim]) -> None:
    """Two mini-clusters run side by side with different keys, which only munge can read."""
    other = slurm_sim_factory(nodes=1)
    keys = set()
    for sim in (slurm_sim, other):
        assert sim.exec("cat", "/etc/munge/munge.key", check=False).returncode != 0
        assert sim.exec("stat", "--format=%a %U", "/etc/munge/munge.key").stdout.strip() == "400 munge"
        keys.add(sim.exec("sha256sum", "/etc/munge/munge.key", on="slurmctld", user="munge").stdout)
    assert len(keys) == 2
    assert other.exec("srun", "hostname").stdout.strip() == "c1"


def test_state_survives_a_controller_restart(slurm_sim: SlurmSim) -> None:
    """A running job and a queued one are still there after slurmctld was killed and started again."""
    running = sbatch(slurm_sim, "--exclusive", "-N2", "--wrap", "tail -f /dev/null")
    queued = sbatch(slurm_sim, "--exclusive", "-N2", "--wrap", "hostname")
    running.wait_until_running(30)
    slurm_sim.fault("controller-restarted")
    slurm_sim.exec("sh", "-c", "until scontrol ping; do sleep 0.05; done", timeout=60)
    assert running.record().state == "RUNNING"
    assert queued.record().state == "PENDING"
    running.cancel()
    assert queued.wait(60).state == "COMPLETED"


def test_mpi_ranks_find_each_other_through_pmix(slurm_sim: SlurmSim) -> None:
    """Slurm offers PMIx, which OpenMPI 5 needs, and takes it by default."""
    assert "pmix" in slurm_sim.exec("srun", "--mpi=list").stderr + slurm_sim.exec("srun", "--mpi=list").stdout
    ranks = slurm_sim.exec("srun", "-N2", "-n4", "sh", "-c", "echo $PMIX_RANK").stdout.split()
    assert sorted(ranks) == ["0", "1", "2", "3"]
