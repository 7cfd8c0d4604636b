"""A mini-cluster with groups of nodes, GPUs, partitions and scripts, from a `cluster.toml`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from slurm_sim import CommandError, SlurmSim, SpecError, StartError
from slurm_sim._docker import docker
from tests.support.command import left_of, new_name, refused, slurm_sim_command

TOML = """
[nodes.c]
count = 2
cpus = 4
memory = "2G"

[nodes.gpu]
cpus = 8
sockets = 2
cores = 2
threads = 2
gpus = ["a100:2", "1g.5gb:4"]
features = ["fast"]
weight = 10

[partitions.debug]
nodes = 1
time = 10
default = true

[partitions.gpu]
nodes = "gpu"
priority = 10
users = ["hpc"]

[users.alice]

[slurm]
KillWait = 2
Licenses = "matlab:2"

[scripts]
prolog = "begin.sh"
epilog = "end.sh"
job_submit = "filter.lua"
"""

FILTER = """
function slurm_job_submit(job, partitions, uid)
   if job.comment == "unwanted" then
      slurm.log_user("no unwanted jobs here")
      return slurm.ERROR
   end
   job.admin_comment = "seen"
   return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
   return slurm.SUCCESS
end
"""


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cluster.toml, with its scripts beside it."""
    folder = tmp_path_factory.mktemp("site")
    for script, word in (("begin.sh", "begin"), ("end.sh", "end")):
        (folder / script).write_text(f'#!/bin/sh\necho "{word} $SLURM_JOB_ID on $SLURMD_NODENAME" >>/tmp/site-log\n')
    (folder / "filter.lua").write_text(FILTER)
    (folder / "cluster.toml").write_text(TOML)
    return folder / "cluster.toml"


@pytest.fixture(scope="module")
def sim(toml: Path) -> Iterator[SlurmSim]:
    """Return the mini-cluster; tests leave it with its nodes."""
    with SlurmSim(config=toml, name=new_name()) as started:
        yield started


def words(sim: SlurmSim, *command: str) -> list[str]:
    """Return a command's output, as sorted words."""
    return sorted(sim.exec(*command).stdout.split())


def test_groups_and_partitions_have_their_nodes(sim: SlurmSim) -> None:
    """Every node is in its partitions, with its size; `general` has all of them, and the gate's partition is hidden."""
    assert sim.nodes() == ["c1", "c2", "gpu1"]
    sizes = words(sim, "sinfo", "--noheader", "--Node", "--partition=general", "--format=%N,%c,%m,%w,%z")
    assert sizes == ["c1,4,2048,1,4:1:1", "c2,4,2048,1,4:1:1", "gpu1,8,4096,10,2:2:2"]
    partitions = words(sim, "sinfo", "--noheader", "--format=%P=%N=%l")
    assert partitions == ["debug*=c1=10:00", "general=c[1-2],gpu1=1-00:00:00", "gpu=gpu1=1-00:00:00"]
    assert words(sim, "srun", "--partition=general", "--constraint=fast", "hostname") == ["gpu1"]


def test_jobs_get_gpus_that_no_other_job_has(sim: SlurmSim) -> None:
    """Slurm sets CUDA_VISIBLE_DEVICES; two jobs at a time never have the same GPU, and a third one waits."""
    node = ("srun", "--partition=gpu")
    script = """
      for task in 1 2; do
        srun --partition=gpu --gres=gpu:a100:1 --mem=1M sh -c '
          echo $CUDA_VISIBLE_DEVICES; until [ -e go ]; do sleep 0.1; done' &
      done
      until [ "$(squeue --noheader --states=running | wc -l)" = 2 ]; do sleep 0.1; done
      srun --immediate=1 --partition=gpu --gres=gpu:a100:1 --mem=1M true 2>/dev/null && echo third
      touch go; wait; rm go
    """
    assert words(sim, "sh", "-c", script) == ["0", "1"]
    visible = "echo $CUDA_VISIBLE_DEVICES"
    assert words(sim, *node, "--gres=gpu:1g.5gb:3", "sh", "-c", visible) == ["2,3,4"]
    per_task = words(sim, *node, "--ntasks=3", "--gpus-per-task=1", "sh", "-c", visible)
    assert len(set(per_task)) == 3
    assert words(sim, *node, "--gpus=a100:2", "sh", "-c", visible) == ["0,1"]
    said = sim.exec(*node, "--gres=gpu:h100:1", "true", check=False).stderr
    assert "Requested node configuration is not available" in said or "Invalid generic resource" in said
    assert words(sim, "sinfo", "--noheader", "--format=%G", "--partition=gpu") == ["gpu:a100:2,gpu:1g.5gb:4"]


def test_own_scripts_run_beside_ours(sim: SlurmSim) -> None:
    """Prolog and epilog run as root on each node of a job, after and before ours."""
    job = sim.exec("srun", "--partition=general", "--nodelist=c2", "sh", "-c", "echo $SLURM_JOB_ID").stdout.strip()
    ended = f"until grep --quiet 'end {job} on c2' /tmp/site-log; do sleep 0.1; done; grep ' {job} ' /tmp/site-log"
    assert sim.exec("sh", "-c", ended, on="c2", timeout=30).stdout == f"begin {job} on c2\nend {job} on c2\n"


def test_own_filter_sees_submitted_jobs(sim: SlurmSim) -> None:
    """A filter in Lua changes jobs, and rejects them in its own words."""
    with pytest.raises(CommandError, match="no unwanted jobs here"):
        sim.exec("sbatch", "--comment=unwanted", "--wrap=true")
    job = sim.exec("sbatch", "--parsable", "--output=/dev/null", "--wrap=true").stdout.strip()
    assert "AdminComment=seen" in sim.exec("scontrol", "show", "job", job).stdout


def test_lines_of_slurm_conf_are_used(sim: SlurmSim) -> None:
    """Lines of [slurm] replace the default ones, and `scontrol reconfigure` keeps all of them."""
    sim.exec("scontrol", "reconfigure", on="slurmctld", user="root")
    assert "KillWait                = 2 sec" in sim.exec("scontrol", "show", "config").stdout
    assert "Total=2" in sim.exec("scontrol", "show", "licenses").stdout
    assert words(sim, "sinfo", "--noheader", "--format=%R=%D") == ["debug=1", "general=3", "gpu=1"]


def test_groups_scale_and_partitions_follow(sim: SlurmSim) -> None:
    """`scale` changes the named groups; new nodes are in their group's partitions, with GPUs, and survive `heal`."""
    sim.scale(gpu=2, c=3)
    try:
        assert sim.nodes() == ["c1", "c2", "c3", "gpu1", "gpu2"]
        assert words(sim, "sinfo", "--noheader", "--format=%P=%N") == [
            "debug*=c1",
            "general=c[1-3],gpu[1-2]",
            "gpu=gpu[1-2]",
        ]
        sim.fault("node-lost", "gpu2")
        sim.fault("heal", "gpu2")
        ask = ("srun", "--partition=gpu", "--nodelist=gpu2", "--gres=gpu:a100:2")
        assert words(sim, *ask, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES") == ["0,1"]
    finally:
        sim.scale(gpu=1, c=2)
    assert sim.nodes() == ["c1", "c2", "gpu1"]
    with pytest.raises(SpecError, match="several groups"):
        sim.scale(3)
    with pytest.raises(SpecError, match="did you mean 'gpu'"):
        sim.scale(gpus=3)


def test_reserved_nodes_cannot_be_removed(sim: SlurmSim) -> None:
    """Scaling down names the reservation, and changes nothing."""
    admin = partial(sim.exec, on="slurmctld", user="root")
    later = ("starttime=now+60", "duration=10", "user=hpc")
    admin("scontrol", "create", "reservation=upkeep", "nodes=c[1-2]", *later)
    try:
        with pytest.raises(SpecError, match="reservation 'upkeep' holds nodes") as caught:
            sim.scale(c=1)
        assert "Cannot remove c2" in caught.value.what
        assert sim.nodes() == ["c1", "c2", "gpu1"]
    finally:
        admin("scontrol", "delete", "reservation=upkeep")


def test_status_shows_partitions_and_gpus(sim: SlurmSim) -> None:
    """`status` has GPUs and partitions of each node, for people and for programs."""
    shown = slurm_sim_command("status", f"--name={sim.name}").stdout.decode()
    assert "GPUs" in shown
    assert "partitions" in shown
    nodes = json.loads(slurm_sim_command("status", "--json", f"--name={sim.name}").stdout)["nodes"]
    assert [(node["name"], node["partitions"], node["gpus"]) for node in nodes] == [
        ("c1", ["debug", "general"], ""),
        ("c2", ["general"], ""),
        ("gpu1", ["general", "gpu"], "a100:2,1g.5gb:4"),
    ]


def test_comes_back_as_it_was(sim: SlurmSim, toml: Path) -> None:
    """After a stop, the same file brings it back; another one is refused, with what differs and its line's key."""
    other = toml.with_name("other.toml")
    other.write_text(TOML.replace("weight = 10", "weight = 20").replace("[users.alice]", "[users.bob]"))
    differs = "nodes.gpu.weight is 10, not 20\nusers.alice is given, not unset\nusers.bob is unset, not given\n"
    up = ("up", f"--name={sim.name}", f"--config={other}")
    assert "is already running, with other settings.\n" + differs in refused(*up)
    docker("stop", *map(sim.container, ["slurmctld", "login", *sim.nodes()]))
    assert "with other settings.\n" + differs in refused(*up)
    assert slurm_sim_command("up", f"--name={sim.name}", f"--config={toml}").returncode == 0
    assert words(sim, "sinfo", "--noheader", "--format=%R=%N") == ["debug=c1", "general=c[1-2],gpu1", "gpu=gpu1"]
    assert words(sim, "srun", "--partition=gpu", "--gres=gpu:1", "hostname") == ["gpu1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[slurm]\nSelectType = "select/nonsense"', "fatal: "),
        ('[partitions.x]\noptions = { NoSuchOption = "1" }', "NoSuchOption"),
        ("[nodes.c]\ncpus = 2\n[slurm]\nNoSuchKey = 1", "Parsing error at unrecognized key: NoSuchKey"),
        ('[scripts]\njob_submit = "broken.lua"', "job_submit.lua:1:"),
    ],
)
def test_rejected_line_of_slurm_conf_leaves_nothing(text: str, says: str, tmp_path: Path) -> None:
    """The error has slurmctld's own words, and nothing is left behind."""
    (tmp_path / "cluster.toml").write_text(text)
    (tmp_path / "broken.lua").write_text("function slurm_job_submit(")
    name = new_name()
    with pytest.raises(StartError) as caught:
        SlurmSim(config=tmp_path / "cluster.toml", name=name).start()
    assert says in caught.value.seen
    assert left_of(name) == []
