"""A Dask cluster asks Slurm rarely, whatever its size: a site's controller is shared."""

from __future__ import annotations

from itertools import pairwise

import pytest

from slurm_sim import SlurmSim
from tests.support.kept import right_answers
from tests.support.waiting import until_in

pytestmark = [pytest.mark.slurm_sim(nodes=2, cpus_per_node=8, memory_per_node="8G"), pytest.mark.timeout(250)]

COUNTING = """
mkdir -p counting && cd counting && rm -f calls
for command in squeue sacct scontrol sinfo; do
    real=$(command -v $command) || continue
    printf '#!/bin/sh\\ndate +%%s.%%N >>%s/calls\\nexec %s "$@"\\n' "$PWD" "$real" >$command
    chmod +x $command
done
"""


def calls(sim: SlurmSim) -> list[float]:
    """Return the times of the calls so far, in seconds."""
    return [float(line) for line in sim.exec("sh", "-c", "cat counting/calls 2>/dev/null", check=False).stdout.split()]


def test_asks_slurm_at_most_six_times_a_minute(slurm_sim: SlurmSim) -> None:
    """With twelve jobs: at most 30 queries at the start and at the end, and between them at most six a minute."""
    slurm_sim.exec("sh", "-c", COUNTING)
    with right_answers(slurm_sim, env={"PATH": "$HOME/counting:$PATH"}, jobs=12, memory="400MiB") as running:
        started = calls(slurm_sim)
        settled = len(started) + 1  # one query may learn what the last job's wall time is
        until_in(slurm_sim, f"[ $(wc -l <counting/calls) -ge {settled + 6} ]", timeout=150)
        steady = calls(slurm_sim)[settled:]
        assert len(running.jobs()) == 12
    ended = calls(slurm_sim)[settled + len(steady) :]
    assert 0 < len(started) <= 30
    assert min(later - before for before, later in pairwise(steady)) >= 10
    assert len(ended) <= 30
    assert len(started) + len(ended) <= 30
