"""Finding workloads, and loading one with its checks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from distributed.protocol import pickle

from dask_hpc.errors import WorkloadError
from dask_hpc.tutorial import discovery
from tests.support.hpc_command import command, invoke, refused, script, write

PLAIN = '''\
"""Add numbers up on a Dask cluster."""


def double(number):
    return 2 * number


def main(client, n: int = 4) -> dict:
    """Add up the doubles of 0 to n-1.

    Args:
        client: of a Dask cluster.
        n: How many.
    """
    return {"total": sum(client.gather(client.map(double, range(n)))), "kind": "doubles", "all": list(range(n))}
'''


def test_script_alone_is_a_workload(workloads: Path, tmp_path: Path) -> None:
    """A file with a `main` is listed, has options and help, and runs; its return value is the result."""
    (workloads / "my_sum.py").write_text(PLAIN)
    assert "my-sum" in invoke("list").output
    assert "How many.  [default: 4]" in " ".join(invoke("run", "my-sum", "--help").output.split()).replace(" [", "  [")
    run = command("run", "my-sum", "--n", "3", "--workers", "1", "--results", str(tmp_path / "r"), "--json")
    out, err = run.communicate()
    assert run.returncode == 0, err
    found = json.loads(out)
    assert found["values"] == {"total": 6, "kind": "doubles"}
    assert found["parameters"] == {"n": 3}
    assert ["all", "[0, 1, 2]"] in found["table"]["rows"]
    assert list(found["timings"])[:1] != []
    assert "no checks" in found["notes"][0]


def test_runs_script_by_its_path(workloads: Path, tmp_path: Path) -> None:
    """A path names a script anywhere; a wrong one is a usage error."""
    (tmp_path / "my_sum.py").write_text(PLAIN)
    run = command("run", str(tmp_path / "my_sum.py"), "--workers", "1", "--results", str(tmp_path / "r"), "--json")
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out)["workload"] == "my-sum"
    assert list(discovery.available()) == []
    assert "my_som.py" in refused("run", str(tmp_path / "my_som.py"))


def test_notebook_is_no_workload(workloads: Path) -> None:
    """A script in cells is not listed."""
    script(workloads, "some", "pass")
    (workloads / "tutorial.py").write_text('"""Cells."""\n\n# %%\nprint("a cell")\n')
    assert list(discovery.available()) == ["some"]


def test_functions_are_sent_by_value(workloads: Path) -> None:
    """Script and checks are not importable after loading, so that pickles carry their functions."""
    (workloads / "my_sum.py").write_text(PLAIN)
    main = discovery.load(workloads / "my_sum.py")
    assert not [name for name in sys.modules if name.startswith("workloads.my_sum")]
    assert b"doubles" in pickle.dumps(main.checks.run)


def test_checks_import_their_script(workloads: Path) -> None:
    """Checks import the script as `workloads.NAME`; other modules of that name are restored afterwards."""
    (workloads / "my_sum.py").write_text(PLAIN)
    (workloads / "checks").mkdir()
    (workloads / "checks" / "my_sum.py").write_text(
        "from dask_hpc.tutorial import Outcome, checks\n"
        "from workloads.my_sum import double\n\n"
        "@checks()\ndef outcome(client, n):\n    return Outcome({'x': double(n)}, {}, [])\n"
    )
    before = dict(sys.modules)
    loaded = discovery.load(workloads / "my_sum.py")
    assert loaded.checks.run(None, n=21).values == {"x": 42}
    assert {name: sys.modules[name] for name in before if name.startswith("workloads")} == {
        name: module for name, module in before.items() if name.startswith("workloads")
    }


def test_client_annotation_may_be_for_type_checkers_only(workloads: Path) -> None:
    """A script need not import the client's class at run time."""
    (workloads / "some.py").write_text(
        '"""Some."""\nfrom __future__ import annotations\nfrom typing import TYPE_CHECKING\n'
        "if TYPE_CHECKING:\n    from distributed import Client\n\n"
        "def main(client: Client, n: int = 1) -> Client: ...\n"
    )
    assert [option.name for option in discovery.load(workloads / "some.py").options] == ["n"]


def test_script_may_import_its_own_package_workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package called workloads is found by scripts in other folders."""
    (tmp_path / "site" / "workloads").mkdir(parents=True)
    (tmp_path / "site" / "workloads" / "mine.py").write_text("ANSWER = 42\n")
    (tmp_path / "some.py").write_text('"""Some."""\nfrom workloads.mine import ANSWER\n\ndef main(client): ...\n')
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "workloads", raising=False)
    try:
        assert discovery.load(tmp_path / "some.py").name == "some"
    finally:
        sys.modules.pop("workloads.mine", None)


@pytest.mark.parametrize(("name", "option"), [("memory", "--memory"), ("as_json", "--as-json"), ("on", "--on")])
def test_rejects_parameter_that_hides_option_of_run(workloads: Path, name: str, option: str) -> None:
    """The error names the option, which would otherwise have two meanings."""
    script(workloads, "some", "pass", f"{name}: str = ''")
    done = invoke("run", "some", "--help")
    assert done.exit_code == 1
    assert f"Both have {option}." in done.output
    assert "Traceback" not in done.output


def test_notebook_is_not_run_as_workload(workloads: Path) -> None:
    """The error says how to run it, by its name and by its path."""
    file = workloads / "tutorial.py"
    file.write_text('"""Cells."""\n\n# %%\nraise SystemExit("executed")\n')
    for name in ("tutorial", str(file)):
        done = invoke("run", name)
        assert done.exit_code == 1
        assert f"run it with 'python {file}'" in done.output.replace("\n", " ")
        assert "executed" not in done.output


def test_rejects_checks_with_other_parameters(workloads: Path) -> None:
    """The error lists the parameters of both."""
    write(workloads, "some", "return Outcome({}, {}, [])", "", "n: int = 1, m: int = 2")
    script(workloads, "some", "pass", "n: int = 1")
    with pytest.raises(WorkloadError, match=r"main: n; checks: n, m\."):
        discovery.load(workloads / "some.py")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name", ["checks/some.py", "nothing_of_that_name"]),
        ("x = 1", ["checks/some.py", "declares no checks", "@checks"]),
        ("from dask_hpc.tutorial import checks\n@checks(types={'q': None})\ndef f(client): ...", ["some.py", ": q"]),
    ],
)
def test_rejects_broken_checks(workloads: Path, text: str, words: list[str]) -> None:
    """The error has the file and the reason, and no traceback."""
    script(workloads, "some", "pass")
    (workloads / "checks").mkdir()
    (workloads / "checks" / "some.py").write_text(text)
    done = invoke("run", "some")
    assert done.exit_code == 1
    assert [word for word in words if word not in done.output] == [], done.output
    assert "Traceback" not in done.output


def test_rejects_main_with_unknown_annotation(workloads: Path) -> None:
    """An undefined annotation is reported as the script's error."""
    (workloads / "some.py").write_text(
        '"""Some."""\nfrom __future__ import annotations\n\ndef main(client, n: Missing = 1): ...\n'
    )
    done = invoke("run", "some")
    assert done.exit_code == 1
    assert "Missing" in done.output
    assert "Traceback" not in done.output
