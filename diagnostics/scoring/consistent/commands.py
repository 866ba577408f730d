"""Offered commands are of the leg that the cause is on, and there is one wherever something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diagnostics.evidence.model import Leg
from diagnostics.scoring.consistent.answer import Answer
from diagnostics.steps.finding import Status

_OF_A_LEG = re.compile(r"^pubsub-diag (delivery|push-auth|cold-start|worker|changes|probe run)\b")
_LEG = re.compile(r"--leg (\w+)")


def legs(answer: Answer) -> Iterator[str]:
    """A command that can look at either leg says which; that of a cause on the way back is of the way back."""
    for cause in answer.said.causes:
        for line in cause.next:
            leg = _LEG.search(line)
            if cause.leg is Leg.COMPLETION and _OF_A_LEG.match(line) and leg is None:
                yield f"{cause.code} is on the completion leg, and offers {line}"
            page = line.split(" ")[:4] == ["pubsub-diag", "runbook", "show", cause.code]
            if page and cause.leg and (leg[1] if leg else Leg.REQUEST) != cause.leg:
                yield f"{cause.code} is on the {cause.leg} leg, and offers {line}"


def offered(answer: Answer) -> Iterator[str]:
    """There is a way on wherever the answer is not well."""
    said = answer.said
    if (
        said.pipeline.command == "batch"
        and said.status in (Status.FAULT, Status.UNKNOWN, Status.WARNING)
        and not said.next
    ):
        yield f"the answer is {said.status}, and nothing is offered"
    if len(set(said.next)) < len(said.next):
        yield "a command is offered twice"
