"""All known causes. A family is a module here and a folder of `runbooks/causes`."""

from diagnostics.causes.catalogue import (
    artefact,
    auth,
    capacity,
    completion,
    dead_letter,
    deadline,
    drift,
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
    *artefact.CAUSES,
)


def find(code: str) -> Cause | None:
    return next((c for c in CATALOGUE if c.code == code), None)
