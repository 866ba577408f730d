"""Where the program begins: `pubsub-diag`, and `python -m diagnostics` for where its folder of programs is on no path."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Run the program. Who presses Ctrl-C while it is still being loaded is no more told where that was than later on."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # where it is ignored, it stays so
        signal.signal(signal.SIGINT, _leave)
    from diagnostics.cli.main import main as program

    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, before)
    program()


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
