"""What the reason that a program gives for a failure says of what it calls: that it denies a right, or that it takes no more calls."""

from __future__ import annotations

import re

_DENIED = re.compile(
    r"permission.?denied|access.?denied|forbidden|insufficient.{0,12}(?:permission|scope)|(?:lacks?|not have).{0,40}permission"
    r"|(?:^|status|code|http|error)\W{0,3}403\b",
    re.I,
)
_LIMITED = re.compile(
    r"quota|(?<![a-z])rate.?limit|too.?many.?requests|resource.?exhausted|(?:^|status|code|http|error)\W{0,3}429\b",
    re.I,
)


def denied(reason: str) -> bool:
    """Whether the account that calls lacks a right, by these words."""
    return bool(_DENIED.search(reason)) and not limited(reason)


def limited(reason: str) -> bool:
    """Whether a rate or a quota is used up, by these words. Google says that with 403, too, so it is asked first."""
    return bool(_LIMITED.search(reason))
