"""Files that packages leave out."""

import pytest

from containers.channel.strip import is_left_out

SITE = "lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (f"{SITE}/numpy/_core/tests/test_x.py", True),
        (f"{SITE}/numpy/testing/__init__.py", False),
        (f"{SITE}/dask_mpi/tests/test_core.py", False),
        (f"{SITE}/bokeh/server/static/js/bokeh.js", True),
        (f"{SITE}/bokeh/server/static/js/bokeh.min.js", False),
        (f"{SITE}/w-1.0.dist-info/licenses/LICENSE", False),
    ],
)
def test_leaves_out_unused_files(path: str, out: bool) -> None:
    """Files that nothing loads are left out; licences and the tests that users run stay."""
    assert is_left_out(path) is out
