"""The documentation: the site builds without a warning, and links between pages lead somewhere."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dask_hpc
import dask_hpc.tutorial
import slurm_sim

ROOT = Path(__file__).parents[2]

MOST_LINES = 200


def pages(root: Path) -> list[Path]:
    """Return all Markdown pages."""
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, as `make docs` does: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


def text_of(page: Path) -> str:
    """Return the text of a page, without its tags."""
    return html.unescape(re.sub("<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_site_has_picture(site: Path) -> None:
    """The front page shows the picture of the README."""
    assert 'src="_images/picture.svg"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command", ["slurm-sim up", "slurm-sim fault", "dask-hpc doctor", "dask-hpc run monte-carlo-pi"]
)
def test_site_documents_commands(site: Path, command: str) -> None:
    """The reference has the usage of every command and workload."""
    assert f"{command} [OPTIONS]" in text_of(site / "reference" / "commands.html")


def test_site_shows_examples_literally(site: Path) -> None:
    """The two hyphens of an option stay two hyphens."""
    assert "slurm-sim exec -- srun -N4 hostname" in text_of(site / "reference" / "commands.html")


@pytest.mark.parametrize("module", [slurm_sim, dask_hpc, dask_hpc.tutorial])
def test_site_documents_public_names(site: Path, module: ModuleType) -> None:
    """The Python reference has every public class and function."""
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    names = [name for name in module.__all__ if callable(getattr(module, name))]  # all but an alias of types
    assert [name for name in names if f'id="{module.__name__}.{name}"' not in page] == []


def test_site_needs_no_network(site: Path) -> None:
    """No page fetches a script, a style or a font from elsewhere."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in site.rglob("*.html"))
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.(?:https?:)?//", text) == []


def test_relative_links_lead_somewhere(root: Path) -> None:
    """Each link to a file in this repository names one that exists, in README, CONTRIBUTING, CHANGELOG and docs."""
    found = [
        (page.name, target)
        for page in pages(root)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert found == []


def test_readme_is_one_page(root: Path) -> None:
    """The README is short, and its sections have a fixed order."""
    text = (root / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    order = ["Two commands", "What you get", "A mini-cluster", "The environment", "Your cluster", "Troubleshooting"]
    assert heads == order


@pytest.mark.parametrize("folder", ["docs", "docs/reference"])
def test_every_page_is_in_table_of_contents(root: Path, folder: str) -> None:
    """Each page is listed in docs/index.md."""
    listed = (root / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    names = [page.relative_to(root / "docs").with_suffix("").as_posix() for page in (root / folder).glob("*.md")]
    assert [name for name in names if name != "index" and name not in listed] == []
