"""Read Compose files."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with Compose's tags."""


_Loader.add_constructor("!reset", lambda _loader, _node: None)


def parsed(text: str) -> dict[str, Any]:
    """Parse a Compose file. Values that it resets are None."""
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return loaded
