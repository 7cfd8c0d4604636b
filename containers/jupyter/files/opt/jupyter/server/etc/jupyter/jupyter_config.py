"""What JupyterLab and the programs that run notebooks share: the kernel, and how it is spoken to."""

from __future__ import annotations

from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 (traitlets' own way)

c.KernelSpecManager.ensure_native_kernel = False
# Sockets in a folder of hpc's own, and not on ports that everybody on this node reaches.
c.KernelManager.transport = "ipc"
