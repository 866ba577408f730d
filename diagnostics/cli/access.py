"""`pubsub-diag access`: permissions."""

from __future__ import annotations

from diagnostics.cli.options import PLAIN, Asked, spread


@spread(Asked, PLAIN)
def access(asked: Asked) -> int:
    """Which permissions the commands need, where, and which of them you hold."""
    from diagnostics.cli import profiles

    return profiles.access(asked)
