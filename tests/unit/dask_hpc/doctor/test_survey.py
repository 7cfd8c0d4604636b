"""Reports of nodes."""

from __future__ import annotations

from dask_hpc.doctor.survey import NodeReport, parse


def test_parses_answers_of_nodes() -> None:
    """A node's line is recognised by its token, among other output."""
    line = "t0\treach=yes\tfolder0=shared\tfolder1=absent\tmark=abc\tshm=100 4096\tfiles=unlimited\tnode=c10"
    found = parse(f"Welcome!\n{line}\nt0\tnode=c2\nt1\tnode=c3\n", "t0", ["/a", "/b"])
    assert [one.node for one in found] == ["c2", "c10"]
    assert found[1] == NodeReport(
        node="c10",
        reached=True,
        folders={"/a": "shared", "/b": "absent"},
        mark="abc",
        shm=409600,
        files=None,
        apptainer="",
        namespaces=False,
    )
