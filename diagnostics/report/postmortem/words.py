"""How times and spans stand in a postmortem, and runbook text in parts: the same on the page and in Markdown."""

from __future__ import annotations

from datetime import datetime

from diagnostics.report.postmortem.model import Duration, Gap, Moment, Postmortem
from diagnostics.steps.words import span

BLAMELESS = (
    "Blameless: it names service accounts and systems, not people. It says what the evidence shows, how sure that is, "
    "and what could not be seen."
)
BLANK = "____"
"""What people fill in."""
TOO_LONG = "What was asked is too long to stand here"
NOT_KEPT = "Neither a command nor a query is kept of it."
TO_FILL_IN = "… (drafts from the record; the team adds and strikes)"


def when(at: datetime | None, seconds: bool = True) -> str:
    """2026-02-08 22:02:28Z; a dash for what is not known."""
    if at is None:
        return "–"
    return f"{at:%Y-%m-%d %H:%M:%S}Z" if seconds else f"{at:%Y-%m-%d %H:%M}Z"


def moment(one: Moment) -> str:
    """When it was, as exactly as it is known."""
    if one.at is None:
        return "not known" if not one.says.startswith("not seen") else "not seen"
    return f"{when(one.not_before)} to {when(one.at)}" if one.not_before else when(one.at)


def duration(one: Duration) -> str:
    if one.seconds is None:
        return "not known"
    return f"more than {span(one.seconds)}: not over when it was last looked" if one.at_least else span(one.seconds)


def gap(one: Gap) -> str:
    """What a gap hides and how to see it next time."""
    parts = [
        f"would say {one.would_say}" if one.would_say else "",
        one.mend,
        "" if one.matters else "changes nothing that is concluded",
    ]
    return "; ".join(part for part in parts if part)


def head(said: Postmortem) -> list[tuple[str, str]]:
    """What stands above all else, name and value."""
    standing, moments = said.standing, {m.name: m for m in said.moments}
    looks = f"{len(said.looks)} kept run{'s' if len(said.looks) != 1 else ''}"
    return [
        ("Status", f"{standing.status} ({standing.rests_on})"),
        ("Severity", f"{standing.severity or BLANK} (measured: {standing.measured})"),
        ("Authors", ", ".join(standing.authors) or BLANK),
        ("Impact", _from_to(moments["START OF IMPACT"], moments["END OF IMPACT"])),
        ("Pipeline", f"{said.pipeline} in {said.project}{', lab, not Google' if said.lab else ''}"),
        ("Written", f"by pubsub-diag {said.made_by} from {looks}; all times in UTC"),
    ]


def _from_to(start: Moment, end: Moment) -> str:
    if start.at is None:
        return start.says
    return f"{moment(start)} to {moment(end)}" if end.at else f"from {moment(start)}, no end was seen"


def lessons(said: Postmortem) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("What went well", said.went_well),
        ("What went badly", said.went_badly),
        ("Where we got lucky", said.lucky),
    ]


def spans(text: str) -> list[tuple[bool, str]]:
    """Text of a runbook in parts: (whether it is code, the part)."""
    return [(at % 2 == 1, part) for at, part in enumerate(text.split("`")) if part]
