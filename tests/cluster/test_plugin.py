"""The pytest plugin, here and in somebody else's project."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from slurm_sim.pytest_plugin import KEPT
from slurm_sim.running import docker
from tests.cluster.command import left_of, new_name

TWO_LINES = """
def test_hello(slurm_sim):
    assert sorted(slurm_sim.exec("srun", "-N2", "hostname").stdout.split()) == ["c1", "c2"]
"""
CARRIED = {
    "compose/compose.yaml",
    "containers/bake.sh",
    "containers/base.sh",
    "containers/docker-bake.hcl",
    "containers/slurm/Dockerfile",
    "containers/slurm/files/usr/local/lib/slurm-sim/gate",
    "containers/slurm/files/usr/local/sbin/slurmd-entrypoint",
    "slurm-sim/etc/cgroup.conf",
    "slurm-sim/etc/mpi.conf",
    "slurm-sim/etc/slurm.conf",
    "versions.env",
}


def run(*command: str | Path, cwd: Path | None = None, timeout: float = 100) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built out of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh venv with the wheel and what it asks for; nothing of this checkout. Returns its folder."""
    venv = tmp_path_factory.mktemp("theirs") / "venv"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, venv)
    run(uv, "pip", "install", "--quiet", "--python", venv / "bin/python", f"{wheel}", "pytest")
    return venv


@pytest.fixture
def no_kept() -> Iterator[None]:
    """The mini-cluster that --slurm-sim-keep leaves is gone, before and after."""
    kept = SlurmSim(name=KEPT)
    kept.down()
    yield
    kept.down()


def test_the_wheel_carries_what_a_mini_cluster_is_made_of(wheel: Path) -> None:
    """Compose file, configuration and all that builds the Slurm image are there; what installs engines is not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("slurm_sim/_tree/") for name in archive.namelist() if "/_tree/" in name}
        modes = {Path(info.filename).name: info.external_attr >> 16 for info in archive.infolist()}
    assert names >= CARRIED
    assert not any("engine" in name or "dask-hpc/" in name or "__pycache__" in name for name in names)
    assert modes["bake.sh"] & 0o111
    assert modes["gate"] & 0o111


@pytest.mark.timeout(120)
def test_it_works_in_somebody_elses_project(site: Path, tmp_path: Path) -> None:
    """A two-line test in a project with nothing but the wheel brings up a mini-cluster, out of the wheel's files."""
    where = "from slurm_sim import tree; print(tree.root(), tree.is_checkout())"
    root, is_checkout = run(site / "bin/python", "-c", where, cwd=tmp_path).split()
    assert Path(root).parts[-3:] == ("site-packages", "slurm_sim", "_tree")
    assert Path(root).is_relative_to(site)
    assert is_checkout == "False"
    (tmp_path / "test_theirs.py").write_text(TWO_LINES)
    said = run(site / "bin/pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in said


@pytest.mark.timeout(250)
def test_the_wheels_tree_builds_the_slurm_image(site: Path, tmp_path: Path, root: Path) -> None:
    """The bake file and what it needs are whole in the wheel (layers may come from the engine's cache)."""
    (tree,) = site.glob("lib/python*/site-packages/slurm_sim/_tree")
    tags = {role: f"slurm-sim-test/{role}:{new_name()}" for role in ("slurmctld", "login", "slurmd")}
    options = " ".join(f"--set {role}.tags={tag}" for role, tag in tags.items())
    try:
        bake = f"DASK_HPC_CACHE={root / '.cache'} {tree / 'containers/bake.sh'} slurm {options}"
        run("bash", "-c", f"{bake} 2>&1", cwd=tmp_path, timeout=240)
        assert docker("run", "--rm", "--entrypoint=slurmd", tags["slurmd"], "-V").stdout.startswith("slurm")
    finally:
        docker("rmi", "--force", *tags.values())
    assert not (tree / ".cache").exists()


@pytest.mark.slurm_sim(nodes=3)
def test_a_marker_grows_the_sessions_mini_cluster(slurm_sim: SlurmSim) -> None:
    """A test that says that it needs three nodes has three."""
    assert len(slurm_sim.nodes()) >= 3
    assert len(slurm_sim.exec("srun", "-N3", "hostname").stdout.split()) == 3


def test_every_test_has_its_nodes_whatever_ran_before(pytester: pytest.Pytester) -> None:
    """A test has the session's nodes, or its marker's, also after a test that had more or that scaled it away."""
    pytester.makepyfile("""
        import pytest

        def names(sim):
            return sim.exec("sinfo", "--noheader", "--Node", "--format=%N").stdout.split()

        @pytest.mark.slurm_sim(nodes=3)
        def test_more(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2", "c3"]

        def test_the_sessions(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2"]
            slurm_sim.scale(1)

        @pytest.mark.slurm_sim(nodes=1)
        def test_the_sessions_again(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2"]
    """)
    pytester.runpytest_subprocess("--slurm-sim-nodes=2").assert_outcomes(passed=3)


def test_a_failing_test_shows_the_mini_cluster(pytester: pytest.Pytester) -> None:
    """The report of a test that failed has sinfo and the controller's log, and nothing of the mini-cluster is left."""
    pytester.makepyfile(
        "def test_no(slurm_sim):\n    print('name', slurm_sim.name)\n    assert slurm_sim.nodes() == []\n"
    )
    done = pytester.runpytest_subprocess("--slurm-sim-nodes=1")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*- mini-cluster slurm-sim-*", "NODELIST*", "c1 *idle*", "slurmctld: *"])
    (name,) = [line.split()[1] for line in done.outlines if line.startswith("name slurm-sim-")]
    assert left_of(name) == []


def test_a_mini_cluster_can_be_kept(pytester: pytest.Pytester, no_kept: None) -> None:
    """--slurm-sim-keep leaves it running, and takes it up again in the next session."""
    pytester.makepyfile(
        "def test_id(slurm_sim):\n    print('id', slurm_sim.exec('cat', '/proc/1/stat').stdout.split()[21])\n"
    )
    ids = []
    for _ in range(2):
        done = pytester.runpytest_subprocess("--slurm-sim-keep", "--slurm-sim-nodes=1", "-s")
        done.assert_outcomes(passed=1)
        ids += [line.split()[-1] for line in done.outlines if "id " in line]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert SlurmSim.attach(KEPT).nodes() == ["c1"]


def test_a_mini_cluster_that_does_not_start_fails_the_test_in_its_words(pytester: pytest.Pytester) -> None:
    """What is wrong is in the report, not a traceback through the plugin."""
    pytester.makepyfile("def test_no(slurm_sim):\n    pass\n")
    done = pytester.runpytest_subprocess("--slurm-sim-nodes=0")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*0 nodes cannot be had*", "*to do: take a number from 1*"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_the_options_are_explained(pytester: pytest.Pytester) -> None:
    """`pytest --help` and `--markers` say what the plugin takes."""
    said = (
        pytester.runpytest_subprocess("--help").stdout.str() + pytester.runpytest_subprocess("--markers").stdout.str()
    )
    for word in ("--slurm-sim-nodes", "--slurm-sim-image", "--slurm-sim-keep", "slurm_sim(nodes)"):
        assert word in said
