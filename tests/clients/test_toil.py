"""toil: a CWL workflow whose steps are jobs, and a step that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clients import MARK, Client

pytestmark = [MARK, pytest.mark.timeout(900)]

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  numbers: int[]
outputs:
  result:
    type: File
    outputSource: join/joined
steps:
  square:
    scatter: number
    in: {number: numbers}
    out: [square]
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 2, ramMin: 256}}
      baseCommand: [sh, -c, 'expr $0 \\* $0']
      inputs: {number: {type: int, inputBinding: {position: 1}}}
      stdout: square
      outputs: {square: {type: stdout}}
  join:
    in: {files: square/square}
    out: [joined]
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 1, ramMin: 256}}
      baseCommand: cat
      inputs: {files: {type: 'File[]', inputBinding: {position: 1}}}
      stdout: joined
      outputs: {joined: {type: stdout}}
"""
FAILS = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ResourceRequirement: {ramMin: 256}}
baseCommand: [sh, -c, 'exit 3']
inputs: []
outputs: []
"""
# Its working folder must be the node's own, as by default: each node removes those of others that it cannot see.
RUN = (
    *("toil-cwl-runner", "--batchSystem=slurm", "--jobStore=store", "--outdir=out"),
    *("--batchLogsDir=logs", "--retryCount=0", "--disableCaching", "--no-container"),
)


@pytest.fixture(autouse=True)
def without_store(client: Client) -> Iterator[None]:
    """Toil keeps the state of one workflow in a folder."""
    client.run("mkdir", "-p", "logs")
    yield
    client.run("rm", "-rf", "store")


def test_toil_runs_cwl_workflow(client: Client) -> None:
    """Steps run as jobs, with the CPUs that they ask for; their files come back."""
    client.write("workflow.cwl", WORKFLOW)
    client.run(*RUN, "workflow.cwl", "--numbers=1", "--numbers=2", "--numbers=3")
    assert client.run("cat", "out/joined").stdout == "1\n4\n9\n"
    jobs = client.run("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobName,State,AllocCPUS").stdout
    ours = [line.split("|")[1:] for line in jobs.splitlines() if line.startswith("toil_job") and "workflow" in line]
    assert sorted(ours) == [["COMPLETED", "1"], *[["COMPLETED", "2"]] * 3]


def test_toil_reports_failed_step(client: Client) -> None:
    """A step that fails ends the workflow, with the step's exit status."""
    client.write("fails.cwl", FAILS)
    done = client.run(*RUN, "fails.cwl", check=False)
    assert done.returncode == 1
    assert "exited with status: 3" in done.stderr
    assert "permanentFail" in done.stderr
