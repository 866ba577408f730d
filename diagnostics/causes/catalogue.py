"""All known causes, family by family."""

from diagnostics.causes import artefact, auth, capacity, completion, drift, publish, routing, state, worker
from diagnostics.causes.model import Cause

CATALOGUE: tuple[Cause, ...] = (
    *state.CAUSES,
    *publish.CAUSES,
    *routing.CAUSES,
    *auth.CAUSES,
    *capacity.CAUSES,
    *worker.CAUSES,
    *completion.CAUSES,
    *drift.CAUSES,
    *artefact.CAUSES,
)


def find(code: str) -> Cause | None:
    return next((c for c in CATALOGUE if c.code == code), None)
