"""Names of additional users."""

from __future__ import annotations

import pytest

from slurm_sim._users import check_names
from slurm_sim.errors import SpecError


def test_accepts_names_once() -> None:
    """Valid names are kept in order, without repetitions."""
    assert check_names(["bob", "_a-1", "bob", "a" * 32]) == ["bob", "_a-1", "a" * 32]


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "-a", "a b", "a:b", "a.b", "ä", "a" * 33, "a\n", "root", "hpc", "munge"]
)
def test_rejects_invalid_names(name: str) -> None:
    """Other names, hpc and users of the system are rejected."""
    with pytest.raises(SpecError, match="What to do"):
        check_names(["bob", name])
