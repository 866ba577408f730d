"""All known causes. A family is a module here and a folder of `runbooks/causes`."""

from diagnostics.causes.catalogue import (
    artefact,
    auth,
    capacity,
    completion,
    dead_letter,
    deadline,
    drift,
    outcome,
    publish,
    quota,
    routing,
    state,
    subscription,
    worker,
)
from diagnostics.causes.model import Cause

CATALOGUE: tuple[Cause, ...] = (
    *state.CAUSES,
    *publish.CAUSES,
    *quota.CAUSES,
    *routing.CAUSES,
    *subscription.CAUSES,
    *auth.CAUSES,
    *deadline.CAUSES,
    *capacity.CAUSES,
    *worker.CAUSES,
    *dead_letter.CAUSES,
    *completion.CAUSES,
    *drift.CAUSES,
    *outcome.CAUSES,
    *artefact.CAUSES,
)


def find(code: str) -> Cause | None:
    return next((c for c in CATALOGUE if c.code == code), None)


def is_kind_of(code: str, general: str) -> bool:
    """Whether the cause of this code is the general one, or a special case of it."""
    cause = find(code)
    return code == general or (cause is not None and cause.refines == general)
