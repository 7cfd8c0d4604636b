"""snakemake and its plugin for Slurm: ten rules, with an array, GPUs, ranks, and a rule that fails."""

from __future__ import annotations

import re

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(900)]

TEN_RULES = """
localrules: all, report, begin, sum
ASK = "squeue --noheader --jobs=$SLURM_JOB_ID --format="

rule all:
    input: "report", "never"

rule report:
    input: "sum", "gpus", "ranks", "account", "partition"
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
    output: "partition"
    threads: 2
    shell: ASK + "%P:%C >{output}"

rule fails:
    output: "never"
    shell: "exit 3"
"""
SNAKEMAKE = (
    *("snakemake", "--executor=slurm", "--jobs=8", "--slurm-array-jobs=square", "--keep-going", "--verbose"),
    *("--default-resources", "mem_mb=300", "runtime=5"),
    # By default, it asks for states after 40 s. As long as no job has ended, it waits 10 s more each time.
    *("--slurm-init-seconds-before-status-checks=8", "--seconds-between-status-checks=8", "--latency-wait=30"),
)


def test_snakemake_runs_workflow(client: Client) -> None:
    """Rules run as jobs, some as an array, with GPUs, ranks, accounts and partitions; one fails, and the others go on.

    Its guess of an account fails: version 2.8.0 of the plugin runs `sacct … | tail -1` without a shell. It then leaves
    the choice to Slurm.
    """
    client.write("Snakefile", TEN_RULES)
    done = client.run(*SNAKEMAKE, check=False, timeout=800)
    assert client.run("cat", "report").stdout == "15,0,1,c1,c2,hpc,general:2\n"
    assert done.returncode == 1
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: 'FAILED'", done.stderr)
    assert "command=sacct" in done.stderr
    assert re.search(r"Submitted array job with Snakemake IDs .* and SLURM", done.stderr)
