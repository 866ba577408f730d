"""Does the condition of a grant hold? Times are compared; whatever else it asks cannot be told.

Attributes of resources (resource.name, resource.type, resource.service) are provided by some products only, and neither Pub/Sub nor
Cloud Run is among those that IAM's page on them lists: what a condition on them comes to is not documented.
"""

from __future__ import annotations

import re
from datetime import datetime

_TIME = re.compile(r"request\.time\s*(<=?|>=?)\s*timestamp\(\s*[\"']([^\"']+)[\"']\s*\)")


def holds_at(condition: str, now: datetime | None) -> bool | None:
    """None: cannot tell. Parts that are joined by "&&" must all hold, so one that does not settles it."""
    if not condition:
        return True
    if "||" in condition or now is None:
        return None
    parts = [_part(part, now) for part in condition.split("&&")]
    return False if False in parts else None if None in parts else True


def ended(condition: str, now: datetime | None) -> datetime | None:
    """When the time of a condition was over, if it is; None: it asks for none, or it is not, or that cannot be told."""
    if "||" in condition or now is None:
        return None
    times = [said for part in condition.split("&&") if (said := _time(part))]
    return min((at for sign, at in times if sign in ("<", "<=") and at <= now), default=None)


def _part(text: str, now: datetime) -> bool | None:
    said = _time(text)
    if said is None:
        return None
    sign, at = said
    return {"<": now < at, "<=": now <= at, ">": now > at, ">=": now >= at}[sign]


def _time(text: str) -> tuple[str, datetime] | None:
    """What a part compares the time of the request with, and how. None: it does something else."""
    found = _TIME.fullmatch(_bare(text.strip()))
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(found[2].replace("Z", "+00:00"))
    except ValueError:
        return None
    return (found[1], at) if at.tzinfo is not None else None


def _bare(text: str) -> str:
    """Without parentheses around it all."""
    inner = text[1:-1].strip()
    return (
        _bare(inner) if text.startswith("(") and text.endswith(")") and inner.count("(") == inner.count(")") else text
    )
