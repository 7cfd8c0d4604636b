"""Dask clusters and plots for notebooks."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from dask_hpc import ClusterError, RequestError, cluster
from dask_hpc.clusters.cluster import _given_up
from dask_hpc.tutorial import Points, draw


def test_rejects_unknown_backend_option_and_value() -> None:
    """An unknown backend, option or value is rejected before anything starts, and the error lists the valid names."""
    with pytest.raises(RequestError, match="Available: local, slurm"):
        cluster(on="moon")
    with pytest.raises(RequestError, match=r"Unknown option jobs.*\nAvailable: .*workers"):
        cluster(on="local", jobs=2)
    with pytest.raises(RequestError, match="did you mean workers"):
        cluster(on="local", worker=2)
    with pytest.raises(click.BadParameter, match="not between"):
        cluster(on="local", workers=0)


def test_start_and_close_span_cells(tmp_path: Path) -> None:
    """After `start` the cluster computes; `close` removes it, and closing twice is allowed."""
    started = cluster(on="local", workers=1, memory="256MiB", local_directory=str(tmp_path), dashboard="127.0.0.1:0")
    client = started.start().client
    assert client.submit(sum, [1, 2]).result() == 3
    started.close()
    assert client.status == "closed"
    assert list(tmp_path.iterdir()) == []
    started.close()


def test_second_start_replaces_first_cluster(tmp_path: Path) -> None:
    """Running a cell again closes the first cluster and starts a new one."""
    options = {"workers": 1, "memory": "256MiB", "local_directory": str(tmp_path), "dashboard": "127.0.0.1:0"}
    first = cluster(on="local", **options).start().client
    second = cluster(on="local", **options)
    assert second.start().client.submit(sum, [1, 2]).result() == 3
    assert first.status == "closed"
    second.close()


@pytest.fixture
def handler() -> Iterator[None]:
    """Restore SIGINT's handler."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_failure_ends_cell_but_not_kernel(
    handler: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error with which a cluster ends is raised in a running cell; between cells it is printed."""
    ended: Any = SimpleNamespace(failure=ClusterError("3 jobs in a row failed."))
    monkeypatch.setattr("dask_hpc.clusters.cluster._started", [SimpleNamespace(failure=None), ended])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(ClusterError) as caught:
        _given_up(signal.SIGUSR1, None)
    assert caught.value is ended.failure
    assert capsys.readouterr().err == ""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _given_up(signal.SIGUSR1, None)
    assert capsys.readouterr().err == "3 jobs in a row failed.\n"


def test_running_cluster_has_no_failure(tmp_path: Path) -> None:
    """A cluster has no failure before it is started, nor while it works."""
    started = cluster(on="local", workers=1, memory="256MiB", local_directory=str(tmp_path), dashboard="127.0.0.1:0")
    assert started.failure is None
    with started:
        assert started.failure is None


def test_scales_by_number_and_by_load(tmp_path: Path) -> None:
    """`scale` and `adapt` work as in Dask; `scale` raises an error if the cluster is not started."""
    started = cluster(on="local", workers=1, memory="256MiB", local_directory=str(tmp_path), dashboard="127.0.0.1:0")
    with pytest.raises(ClusterError, match="not started"):
        started.scale(2)
    with started:
        started.scale(2)
        started.client.wait_for_workers(2, timeout=60)
        adaptive = started.adapt(minimum=1, maximum=2)
        assert (adaptive.minimum, adaptive.maximum) == (1, 2)
        assert "running" in repr(started)


def test_draws_plot_in_frame() -> None:
    """A plot is an iframe that contains its scripts, with its text escaped."""
    html = draw(Points('a "title" <b>', "x", "y", {"s": ([0.0, 1.0], [0.0, 1.0])}))._repr_html_()
    assert html.startswith("<iframe")
    assert html.count("<") == 2  # the rest is quoted
    page = unescape(re.search(r'srcdoc="([^"]*)"', html)[1])  # type: ignore[index]
    assert page.count("<script") >= 2
    assert not re.findall(r"""<(?:script|link)[^>]*(?:src|href)=["']?(?:https?:)?//""", page)
