"""The words of an answer that are not the field's own, explained where they stand in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import PAST, Diagnosis
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps.finding import Finding, Where

ROLES = {
    "active": "messages of the subscription meet it now; whether this batch's are among them cannot be seen",
    Role.WORSENS.value: "items of the batch meet it, and it alone is not seen to stop the batch",
    Role.LATENT.value: "is not seen to hold anything of this batch now, and may hold the next one",
    PAST: "was there, is seen no more, and may come back",
    Role.BENIGN.value: "is as it should be, or looks like trouble and is none",
}
"""What a cause does, but for those that block."""
WAYS = {
    Leg.REQUEST: "from the coordinator to the worker",
    Leg.COMPLETION: "from the worker to the coordinator",
}
PLACES = {
    Where.GATED: "kept back by the coordinator before it published",
    Where.SKIPPED: "given up by the worker, which told nobody",
    Where.UNATTRIBUTED: "missing, and nothing tells where they are",
}
"""Where items are that do not come further."""


def explained(said: Diagnosis) -> Iterator[str]:
    """Each such word of the answer with what it means, in the order in which they stand there."""
    rows = [row for row in said.ladder if not row.not_reached]
    for place, meaning in PLACES.items():
        if any(row.where.get(place) for row in rows):
            yield f"{place.value}: {meaning}"
    back = ["back"] if any(row.stage is Stage.ROUTED and row.leg is Leg.COMPLETION for row in rows) else []
    back += ["(completion)"] if any(cause.leg is Leg.COMPLETION for cause in said.causes) else []
    if back:
        yield f"{', '.join(back)}: {WAYS[Leg.COMPLETION]}"
    for role, meaning in ROLES.items():
        if any(cause.does == role for cause in said.causes):
            yield f"{role.upper()}: {meaning}"


def ways(findings: Iterable[Finding]) -> Iterator[str]:
    """What stands in brackets behind the code of a finding."""
    legs = {finding.leg for finding in findings}
    return (f"({leg.value}): {way}" for leg, way in WAYS.items() if leg in legs)
