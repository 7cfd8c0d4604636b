"""Lines that mutation tests skip."""

from __future__ import annotations

import re

import pytest

from tests.mutants import PACKAGES, ROOT
from tests.mutants.layout import SOURCES, WORDING


@pytest.mark.parametrize(
    ("line", "skipped"),
    [
        ('    raise SpecError(f"no {name}")', True),
        ("        raise", False),
        ('    click.echo("done")', True),
        ('        todo="do that",', True),
        ("    return _say", False),
        ('    state = "todo=1"', False),
        ("    printed = print_all(x)", False),
    ],
)
def test_skips_only_messages(line: str, skipped: bool) -> None:
    """Lines that word a message are skipped, and all others are mutated."""
    assert any(re.search(pattern, line) for pattern in WORDING) is skipped


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_and_its_tests_exist(name: str) -> None:
    """Every package to mutate exists, and so do its tests."""
    package = PACKAGES[name]
    places = [ROOT / package.folder, *(ROOT / source / package.folder.removeprefix("src/") for source in SOURCES)]
    assert any(place.is_dir() for place in places)
    assert (ROOT / package.tests).exists()
    assert not package.script or any((ROOT / source / package.script).is_file() for source in SOURCES)
