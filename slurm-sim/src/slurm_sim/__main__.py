"""Start the command `slurm-sim`. This module imports nothing slow, so that Ctrl-C is handled from the beginning."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command; until its modules are imported, Ctrl-C ends it silently."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from slurm_sim._cli import main as command

    command()


if __name__ == "__main__":
    main()
