"""snakemake and its plugin for Slurm: a workflow with an array, GPUs and ranks, and one with a rule that fails."""

from __future__ import annotations

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(400)]

TEN_RULES = """
localrules: sum, twice, report
ASK = "squeue --noheader --jobs=$SLURM_JOB_ID --format="

rule report:
    input: "twice", "gpus", "ranks", "account", "partition"
    output: "report"
    shell: "cat {input} | paste -sd, >{output}"

rule begin:
    output: "begin"
    shell: "echo 3 >{output}"

rule square:
    input: "begin"
    output: "square{n}"
    shell: "echo $(($(cat begin) * {wildcards.n} ** 2)) >{output}"

rule sum:
    input: expand("square{n}", n=range(3))
    output: "sum"
    run:
        total = sum(int(open(file).read()) for file in input)
        print(total, file=open(output[0], "w"))

rule twice:
    input: "sum"
    output: "twice"
    shell: "echo $(($(cat sum) * 2)) >{output}"

rule gpus:
    output: "gpus"
    resources: gpu=2, gpu_model="a100"
    shell: "echo $CUDA_VISIBLE_DEVICES >{output}"

rule ranks:
    output: "ranks"
    resources: nodes=2, tasks=2, mpi="srun"
    shell: "{resources.mpi} hostname | sort >{output}"

rule account:
    output: "account"
    resources: slurm_account="hpc"
    shell: ASK + "%a >{output}"

rule partition:
    input: "begin"
    output: "partition"
    threads: 2
    shell: ASK + "%P:%C >{output}"
"""
FAILS = """
rule fails:
    output: "never"
    shell: "exit 3"
"""
# By default, it asks for the first time after 40 s.
SOON = ("--seconds-between-status-checks=2", "--slurm-init-seconds-before-status-checks=2", "--latency-wait=30")
SNAKEMAKE = ("snakemake", "--executor=slurm", "--jobs=8", *SOON, "--verbose")
SMALL = ("--default-resources", "mem_mb=500", "runtime=5")


def test_snakemake_runs_workflow(client: Client) -> None:
    """Ten rules run as jobs, some as an array, with GPUs, ranks, accounts and partitions; it asks sacct about them.

    Its guess of an account, `sacct … | tail -1`, fails in version 2.8.0, which runs it without a shell. It then leaves
    the choice to Slurm.
    """
    client.write("Snakefile", TEN_RULES)
    done = client.run(*SNAKEMAKE, "--slurm-array-jobs=square", *SMALL)
    assert client.run("cat", "report").stdout.split(",") == ["30", "0", "1", "c1", "c2", "hpc", "general:2\n"]
    assert "command=sacct" in done.stderr
    names = client.run("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State").stdout
    assert sum("_" in line and "COMPLETED" in line for line in names.splitlines()) >= 3


def test_snakemake_reports_failed_rule(client: Client) -> None:
    """A rule that fails ends the workflow, with the state that sacct knows."""
    client.write("Snakefile", FAILS)
    done = client.run(*SNAKEMAKE, *SMALL, check=False)
    assert done.returncode == 1
    assert "SLURM status is: 'FAILED'" in done.stderr
