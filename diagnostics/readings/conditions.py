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


def _part(text: str, now: datetime) -> bool | None:
    found = _TIME.fullmatch(_bare(text.strip()))
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(found[2].replace("Z", "+00:00"))
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return {"<": now < at, "<=": now <= at, ">": now > at, ">=": now >= at}[found[1]]


def _bare(text: str) -> str:
    """Without parentheses around it all."""
    inner = text[1:-1].strip()
    return (
        _bare(inner) if text.startswith("(") and text.endswith(")") and inner.count("(") == inner.count(")") else text
    )
