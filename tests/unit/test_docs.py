"""The documentation: the site builds without a warning, and links between pages work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

MOST_LINES = 200


def pages(root: Path) -> list[Path]:
    """Return all Markdown pages."""
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md")]


def test_site_builds_without_warning(root: Path, tmp_path: Path) -> None:
    """Sphinx builds every page, reference and docstring; a warning is an error."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(root / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "picture" in page
    assert "slurm-sim up" in (tmp_path / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "check_world" in (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")


def test_site_needs_no_network(root: Path, tmp_path: Path) -> None:
    """No page fetches a script, a style or a font from elsewhere."""
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(root / "docs"), str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True)
    text = "\n".join(page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html"))
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.(?:https?:)?//", text) == []


def test_relative_links_work(root: Path) -> None:
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
