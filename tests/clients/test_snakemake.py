"""snakemake and its plugin for Slurm: ten rules, with an array, GPUs, ranks, and a job that fails at first."""

from __future__ import annotations

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(300)]

TEN_RULES = """
localrules: begin, sum, twice, report
ASK = "squeue --noheader --jobs=$SLURM_JOB_ID --format="

rule report:
    input: "twice", "gpus", "ranks", "account", "partition", "retried"
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
    input: "account"
    output: "partition"
    threads: 2
    shell: ASK + "%P:%C >{output}"

rule retried:
    output: "retried"
    retries: 1
    resources: attempt=lambda wildcards, attempt: attempt
    shell: "[ {resources.attempt} = 2 ] && echo {resources.attempt} >{output}"
"""
SNAKEMAKE = (
    *("snakemake", "--executor=slurm", "--jobs=8", "--slurm-array-jobs=square", "--verbose"),
    *("--default-resources", "mem_mb=300", "runtime=5"),
    # By default, it asks for states after 40 s, and then more and more seldom, as long as no job ends.
    *("--slurm-init-seconds-before-status-checks=2", "--seconds-between-status-checks=2", "--latency-wait=30"),
)


def test_snakemake_runs_workflow(client: Client) -> None:
    """Rules run as jobs, some as an array, with GPUs, ranks, accounts and partitions; one that fails runs again.

    Its guess of an account fails: version 2.8.0 of the plugin runs `sacct … | tail -1` without a shell. It then leaves
    the choice to Slurm.
    """
    client.write("Snakefile", TEN_RULES)
    done = client.run(*SNAKEMAKE, timeout=280)
    assert client.run("cat", "report").stdout == "30,0,1,c1,c2,hpc,general:2,2\n"
    assert "command=sacct" in done.stderr
    assert "SLURM status is: 'FAILED'" in done.stderr
    jobs = client.run("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,JobName").stdout
    assert len({line for line in jobs.splitlines() if "_" in line}) >= 3
