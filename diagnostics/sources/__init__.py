"""One module per place evidence comes from. Replies become evidence, failures become `Unseen`. Importing this imports no client."""

from __future__ import annotations

from typing import Any

from diagnostics.evidence.model import Leg
from diagnostics.pipeline.profile import PipelineProfile

PROVIDERS: tuple[Any, ...] = ()
"""Every provider there is, by hand: what gives what is told by its annotations."""


def given(pipeline: PipelineProfile) -> dict[tuple[type, Leg | None], Any]:
    """What the profile states, so that nothing waits for Google to say it."""
    del pipeline
    return {}
