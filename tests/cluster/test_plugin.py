"""The pytest plugin, in this project and in others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from slurm_sim._claims import Claim
from slurm_sim._docker import docker
from slurm_sim.pytest_plugin import KEPT
from tests.support.command import left_of, new_name
from tests.support.waiting import until

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
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a fresh venv with the wheel and its dependencies, and nothing from this checkout."""
    venv = tmp_path_factory.mktemp("theirs") / "venv"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, venv)
    run(uv, "pip", "install", "--quiet", "--python", venv / "bin/python", f"{wheel}", "pytest")
    return venv


@pytest.fixture
def no_kept() -> Iterator[None]:
    """Remove the mini-cluster that --slurm-sim-keep leaves, before and after the test."""
    kept = SlurmSim(name=KEPT)
    kept.down()
    yield
    kept.down()


def test_wheel_contains_mini_cluster_files(wheel: Path) -> None:
    """The wheel contains the Compose file, configuration and image sources, but nothing that installs engines."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("slurm_sim/_tree/") for name in archive.namelist() if "/_tree/" in name}
        modes = {Path(info.filename).name: info.external_attr >> 16 for info in archive.infolist()}
    assert names >= CARRIED
    assert not any("engine" in name or "dask-hpc/" in name or "__pycache__" in name for name in names)
    assert modes["bake.sh"] & 0o111
    assert modes["gate"] & 0o111


@pytest.mark.timeout(120)
def test_plugin_works_in_other_projects(site: Path, tmp_path: Path) -> None:
    """A two-line test in a project with only the wheel installed starts a mini-cluster from the wheel's files."""
    where = "from slurm_sim import _files; print(_files.root(), _files.is_checkout())"
    root, is_checkout = run(site / "bin/python", "-c", where, cwd=tmp_path).split()
    assert Path(root).parts[-3:] == ("site-packages", "slurm_sim", "_tree")
    assert Path(root).is_relative_to(site)
    assert is_checkout == "False"
    (tmp_path / "test_theirs.py").write_text(TWO_LINES)
    said = run(site / "bin/pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed" in said


@pytest.mark.timeout(250)
def test_wheel_builds_slurm_images(site: Path, tmp_path: Path, root: Path) -> None:
    """The wheel contains all files of the image build (layers may come from the engine's cache)."""
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
def test_marker_grows_shared_mini_cluster(slurm_sim: SlurmSim) -> None:
    """A test whose marker asks for three nodes gets three."""
    assert slurm_sim.nodes() == ["c1", "c2", "c3"]
    assert len(slurm_sim.exec("srun", "-N3", "hostname").stdout.split()) == 3


def names(done: pytest.RunResult) -> dict[str, str]:
    """Return the name that each test of an inner session has printed: `name TEST NAME`."""
    return dict(line.split()[1:] for line in done.outlines if line.startswith("name "))


SAYS = """
import pytest

def say(request, sim):
    print("\\nname", request.node.name, sim.name)

def cpus(sim):
    return sim.exec("sinfo", "--noheader", "--format=%c").stdout.strip()
"""


def test_each_test_gets_its_requested_nodes(pytester: pytest.Pytester) -> None:
    """A test gets the default nodes, or more by its marker, even if an earlier test added or removed some."""
    pytester.makepyfile("""
        import pytest

        def names(sim):
            return sim.exec("sinfo", "--noheader", "--Node", "--format=%N").stdout.split()

        @pytest.mark.slurm_sim(nodes=3)
        def test_more(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2", "c3"]

        def test_usual(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2"]
            slurm_sim.scale(1)

        @pytest.mark.slurm_sim(nodes=1)
        def test_usual_again(slurm_sim):
            assert names(slurm_sim) == slurm_sim.nodes() == ["c1", "c2"]
    """)
    pytester.runpytest_subprocess("--slurm-sim-nodes=2").assert_outcomes(passed=3)


def test_scope_sets_lifetime_of_mini_cluster(pytester: pytest.Pytester) -> None:
    """--slurm-sim-scope=module starts one mini-cluster per module; a marker's narrower scope overrides it."""
    pytester.makepyfile(
        test_one=SAYS
        + """
def test_a(request, slurm_sim):
    say(request, slurm_sim)

class TestB:
    pytestmark = pytest.mark.slurm_sim(scope="class")
    def test_b1(self, request, slurm_sim):
        say(request, slurm_sim)
    def test_b2(self, request, slurm_sim):
        say(request, slurm_sim)

def test_c(request, slurm_sim):
    say(request, slurm_sim)
""",
        test_two=SAYS
        + """
def test_d(request, slurm_sim):
    say(request, slurm_sim)

@pytest.mark.slurm_sim(scope="function")
def test_e(request, slurm_sim):
    say(request, slurm_sim)
""",
    )
    done = pytester.runpytest_subprocess("-s", "--slurm-sim-scope=module", "--slurm-sim-nodes=1")
    done.assert_outcomes(passed=6)
    seen = names(done)
    assert seen["test_a"] == seen["test_c"]
    assert seen["test_b1"] == seen["test_b2"]
    assert len({seen[test] for test in ("test_a", "test_b1", "test_d", "test_e")}) == 4
    assert [left for name in set(seen.values()) for left in left_of(name)] == []


def test_size_comes_from_options_markers_and_fixtures(pytester: pytest.Pytester) -> None:
    """The ini file, an overridden fixture and a marker set the size; a module fixture gets the same mini-cluster."""
    pytester.makeini("[pytest]\nslurm_sim_nodes = 1\nslurm_sim_cpus_per_node = 3\n")
    pytester.makepyfile(
        test_ini=SAYS
        + """
def test_ini(request, slurm_sim):
    say(request, slurm_sim)
    assert (slurm_sim.nodes(), cpus(slurm_sim)) == (["c1"], "3")

@pytest.mark.slurm_sim(cpus_per_node=5)
def test_marker(request, slurm_sim):
    say(request, slurm_sim)
    assert cpus(slurm_sim) == "5"
""",
        test_override=SAYS
        + """
@pytest.fixture(scope="module")
def slurm_sim_options(slurm_sim_options):
    return slurm_sim_options | {"cpus_per_node": 5}

@pytest.fixture(scope="module")
def site(slurm_sim_for, request):
    sim = slurm_sim_for(request)
    sim.exec("touch", "prepared")
    yield sim
    sim.exec("rm", "prepared")

def test_fixture(request, site, slurm_sim):
    say(request, slurm_sim)
    assert slurm_sim is site
    assert "prepared" in slurm_sim.exec("ls").stdout
""",
    )
    done = pytester.runpytest_subprocess("-s")
    done.assert_outcomes(passed=3)
    seen = names(done)
    assert seen["test_marker"] == seen["test_fixture"] != seen["test_ini"]


@pytest.mark.timeout(150)
def test_config_comes_from_ini_file_and_markers_add_to_it(pytester: pytest.Pytester) -> None:
    """All tests get the file's groups of nodes, as the file has them; a test that needs accounting has it, too."""
    pytester.makeini("[pytest]\nslurm_sim_config = site/cluster.toml\n")
    pytester.mkdir("site").joinpath("cluster.toml").write_text('[nodes.c]\n[nodes.gpu]\ngpus = "a100:1"\n')
    pytester.makepyfile(
        SAYS
        + """
def test_scales(request, slurm_sim):
    say(request, slurm_sim)
    slurm_sim.scale(gpu=2)
    assert slurm_sim.nodes() == ["c1", "gpu1", "gpu2"]

def test_finds_nodes_of_file(request, slurm_sim):
    say(request, slurm_sim)
    assert slurm_sim.nodes() == ["c1", "gpu1"]
    assert slurm_sim.exec("srun", "--gpus=a100:1", "hostname").stdout == "gpu1\\n"

@pytest.mark.slurm_sim(accounting=True, users=["alice"])
def test_needs_accounting(request, slurm_sim):
    say(request, slurm_sim)
    assert slurm_sim.nodes() == ["c1", "gpu1"]
    assert "alice" in slurm_sim.exec("sacctmgr", "show", "user", user="alice").stdout
"""
    )
    done = pytester.runpytest_subprocess("-s", "-p", "no:xdist")
    done.assert_outcomes(passed=3)
    seen = names(done)
    assert seen["test_scales"] == seen["test_finds_nodes_of_file"] != seen["test_needs_accounting"]


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("config='none.toml'", ["Cannot read none.toml", "name a cluster.toml"]),
        ("users=['root']", ["'root' is a user or a group of the system"]),
        ("ndoes=3", ["Unknown mini-cluster option 'ndoes'", "did you mean 'nodes'?"]),
        ("nodes=0", ["nodes must be between 1 and 512, not 0"]),
        ("3", ["accepts keywords only", "slurm_sim(nodes=4)"]),
        ("scope='modul'", ["Unknown scope 'modul'", "did you mean 'module'?"]),
        ("image='no-such-image:0'", ["Image no-such-image:0 not found"]),
    ],
)
def test_invalid_marker_fails_test_with_explanation(pytester: pytest.Pytester, marker: str, words: list[str]) -> None:
    """The report says once what is wrong and what to do, without a traceback through the plugin."""
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.slurm_sim({marker})
        def test_no(slurm_sim):
            pass
    """)
    done = pytester.runpytest_subprocess("-p", "no:xdist")
    done.assert_outcomes(errors=1)
    said = done.stdout.str()
    assert all(word in said for word in words)
    assert "pytest_plugin.py" not in said
    assert "another exception" not in said


def test_rejects_fixture_that_outlives_mini_cluster(pytester: pytest.Pytester) -> None:
    """A module fixture cannot use a mini-cluster that ends with each test; the error says which scope to change."""
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.slurm_sim(scope="function")

        @pytest.fixture(scope="module")
        def site(slurm_sim_for, request):
            return slurm_sim_for(request)

        def test_no(site):
            pass
    """)
    done = pytester.runpytest_subprocess("-p", "no:xdist")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*scope 'function' ends before the fixture*", "*narrower scope*"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slurm-sim-nodes=many"], "slurm_sim_nodes must be a number, not 'many'"),
        (["-o", "slurm_sim_scope=modul"], "slurm_sim_scope must be one of function, class, module"),
        (["--slurm-sim-keep", "--slurm-sim-scope=module"], "--slurm-sim-keep needs --slurm-sim-scope=session"),
        (["--slurm-sim-shared", "--slurm-sim-scope=class"], "--slurm-sim-shared needs --slurm-sim-scope=session"),
        (["--slurm-sim-max-nodes=4"], "--slurm-sim-max-nodes needs --slurm-sim-shared"),
        (["--slurm-sim-shared", "--slurm-sim-max-nodes=few"], "slurm_sim_max_nodes must be a number, not 'few'"),
        (["--slurm-sim-shared", "--slurm-sim-max-nodes=1"], "slurm_sim_max_nodes must be between 2,"),
    ],
)
def test_invalid_option_ends_session(pytester: pytest.Pytester, arguments: list[str], words: str) -> None:
    """pytest exits with its usage-error status before any test, and gives the reason."""
    done = pytester.runpytest_subprocess(*arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr.str()


def test_failing_test_shows_its_mini_cluster(pytester: pytest.Pytester) -> None:
    """A failed test's report shows sinfo and the controller's log, and the mini-cluster is removed."""
    pytester.makepyfile(
        "def test_no(slurm_sim):\n    print('name', slurm_sim.name)\n    assert slurm_sim.nodes() == []\n"
    )
    done = pytester.runpytest_subprocess("--slurm-sim-nodes=1")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*- mini-cluster slurm-sim-*", "NODELIST*", "c1 *idle*", "slurmctld: *"])
    (name,) = [line.split()[1] for line in done.outlines if line.startswith("name slurm-sim-")]
    assert left_of(name) == []


PRINT_START = """
def test_start(slurm_sim):
    assert slurm_sim.exec("squeue", "--noheader").stdout == ""
    print("\\nstart", slurm_sim.exec("cat", "/proc/1/stat").stdout.split()[21], slurm_sim.nodes())
    slurm_sim.exec("sbatch", "--wrap", "sleep 1000")
"""


def test_kept_mini_cluster_is_reused_unless_it_differs(pytester: pytest.Pytester, no_kept: None) -> None:
    """The next session reuses a kept mini-cluster, but replaces one that has another size or is not running."""
    pytester.makepyfile(PRINT_START)

    def session(*arguments: str) -> tuple[str, str]:
        done = pytester.runpytest_subprocess("--slurm-sim-keep", "--slurm-sim-nodes=1", "-s", *arguments)
        done.assert_outcomes(passed=1)
        (start,) = (line.split(maxsplit=2)[1] for line in done.outlines if line.startswith("start "))
        return start, done.stdout.str()

    first, _ = session()
    kept = SlurmSim.attach(KEPT)
    again, said = session()
    assert again == first
    assert "was replaced" not in said
    assert f"'slurm-sim down --name {KEPT}' removes it" in said
    other, said = session("--slurm-sim-cpus-per-node=3")
    assert other != first
    assert f"the kept {KEPT} was replaced: nodes.c.cpus was 2, not 3" in said
    docker("pause", kept.container("c1"))
    last, said = session("--slurm-sim-cpus-per-node=3")
    assert last != other
    assert f"the kept {KEPT} was replaced: c1 is paused" in said


def test_kept_mini_cluster_has_one_user(pytester: pytest.Pytester, no_kept: None) -> None:
    """A run that finds the kept mini-cluster in use by another one starts its own, says so, and ends it."""
    pytester.makepyfile("def test_x(slurm_sim): print(f'name={slurm_sim.name}')")
    used = Claim.sole(KEPT)
    assert used
    try:
        done = pytester.runpytest_subprocess("--slurm-sim-keep", "--slurm-sim-nodes=1", "-s")
    finally:
        used.abandon()
    done.assert_outcomes(passed=1)
    said = done.stdout.str()
    assert f"{KEPT} is used by another run: this one has started its own" in said
    own = said.partition("name=")[2].split()[0]
    assert own != KEPT
    assert left_of(own) == left_of(KEPT) == []


def test_second_session_does_not_disturb_first(pytester: pytest.Pytester, no_kept: None) -> None:
    """A session that finds the kept mini-cluster in use by another one starts its own, and says so."""
    pytester.makepyfile(
        test_inner="def test_inner(slurm_sim):\n    pass\n",
        test_outer="""
def test_outer(slurm_sim, pytester):
    done = pytester.runpytest_subprocess("--slurm-sim-keep", "--slurm-sim-nodes=1", "{inner}")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*is used by another run: this one has started its own (--slurm-sim-shared*"])
    assert slurm_sim.exec("squeue", "--noheader").stdout == ""
""".replace("{inner}", str(pytester.path / "test_inner.py")),
    )
    done = pytester.runpytest_subprocess("-p", "pytester", "--slurm-sim-keep", "--slurm-sim-nodes=1", "test_outer.py")
    done.assert_outcomes(passed=1)


def test_kept_mini_cluster_is_replaced_after_image_rebuild(
    pytester: pytest.Pytester, no_kept: None, versions: dict[str, str]
) -> None:
    """A kept mini-cluster is replaced if its image, which is based on ours, has been rebuilt under the same tag."""
    pytester.makepyfile("def test_it(slurm_sim):\n    assert slurm_sim.nodes() == ['c1']\n")
    tag = f"slurm-sim-test:{new_name()}"
    said = []
    try:
        for build in ("one", "two"):
            text = f"FROM slurm-sim/slurmd:{versions['SLURM_VERSION']}\nLABEL build={build}\n"
            assert docker("build", "--quiet", f"--tag={tag}", "-", stdin=text.encode()).returncode == 0
            done = pytester.runpytest_subprocess("--slurm-sim-keep", "--slurm-sim-nodes=1", f"--slurm-sim-image={tag}")
            done.assert_outcomes(passed=1)
            said.append(done.stdout.str())
    finally:
        SlurmSim(name=KEPT).down()
        docker("rmi", "--force", tag)
    assert "was replaced" not in said[0]
    assert f"the kept {KEPT} was replaced: {tag} was rebuilt" in said[1]


WORKERS = """
import os, signal, pytest

@pytest.mark.parametrize("number", [1, 2])
def test_name(slurm_sim, number, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp().parent
    (folder / slurm_sim.name).touch()
    {then}
"""


@pytest.mark.parametrize(
    ("then", "outcomes"),
    [("pass", {"passed": 2}), ("os.kill(os.getpid(), signal.SIGKILL)", {"failed": 2})],
    ids=["end", "are killed"],
)
def test_xdist_workers_have_their_own_mini_clusters(
    pytester: pytest.Pytester, tmp_path: Path, then: str, outcomes: dict[str, int]
) -> None:
    """Each of two workers has its own mini-cluster, and leaves nothing behind when it ends or is killed."""
    pytester.makepyfile(WORKERS.format(then=then))
    done = pytester.runpytest_subprocess("-n2", "--slurm-sim-nodes=1")
    done.assert_outcomes(**outcomes)
    started = {path.name for path in pytester.path.rglob("slurm-sim-*")}
    assert len(started) == 2
    assert [left for name in started for left in left_of(name)] == []


ENDLESS = """
import pathlib, pytest, time

@pytest.fixture
def site(slurm_sim):
    yield slurm_sim
    while {hangs}:
        time.sleep(0.1)

def test_endless(site):
    pathlib.Path("started").write_text(site.name)
    while True:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("workers", "hangs"),
    [([], False), (["-n2"], False), (["-n2"], True), (["-n2", "--slurm-sim-shared"], False)],
    ids=["one process", "xdist workers", "a worker that hangs at exit", "workers that share"],
)
def test_interrupted_session_leaves_nothing(
    pytester: pytest.Pytester, workers: list[str], hangs: bool, how: signal.Signals
) -> None:
    """Ctrl-C or SIGTERM to all its processes, as from a terminal or `timeout`, leaves no container."""
    pytester.makepyfile(ENDLESS.format(hangs=hangs))
    command = [sys.executable, "-m", "pytest", "--slurm-sim-nodes=1", *workers]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL, process_group=0) as session:
        try:
            started = pytester.path / "started"
            until(lambda: started.is_file() and started.read_text(), "the first test", 90)
            name = started.read_text()
        finally:  # even if this test itself is interrupted
            os.killpg(session.pid, how)
        session.wait(timeout=100)
    assert session.returncode != 0
    until(lambda: left_of(name) == [], f"the end of {left_of(name)}", 90)


def test_failed_start_fails_every_test_with_explanation(pytester: pytest.Pytester) -> None:
    """Each test that needs the mini-cluster reports what is wrong, without a traceback through the plugin."""
    pytester.makepyfile("def test_no(slurm_sim):\n    pass\n\n\ndef test_nor(slurm_sim):\n    pass\n")
    done = pytester.runpytest_subprocess("--slurm-sim-nodes=0")
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*nodes must be between 1 and 512, not 0*"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_help_explains_options_and_marker(pytester: pytest.Pytester) -> None:
    """`pytest --help` and `--markers` list the plugin's options, ini keys and marker."""
    said = (
        pytester.runpytest_subprocess("--help").stdout.str() + pytester.runpytest_subprocess("--markers").stdout.str()
    )
    for word in ("nodes", "cpus-per-node", "memory-per-node", "image", "scope", "keep", "shared", "max-nodes"):
        assert f"--slurm-sim-{word}" in said
    for word in ("slurm_sim_nodes", "slurm_sim_scope", "slurm_sim(nodes, cpus_per_node,"):
        assert word in said
