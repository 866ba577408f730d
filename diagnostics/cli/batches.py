"""`pubsub-diag batches`: recent attempts and open batches."""

from __future__ import annotations

from diagnostics.cli.frame.options import PLAIN, Asked, spread


@spread(Asked, PLAIN)
def batches(asked: Asked) -> int:
    """List recent start attempts and open batches, newest first, with their state and age."""
    from diagnostics.cli.do import batches as do

    return do.answer(asked)
