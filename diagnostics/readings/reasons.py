"""What the reason that a program gives for a failure says: what it calls denies a right, or takes no more calls; or it met something
that an earlier try had left behind."""

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
_LEFT_BEHIND = re.compile(
    r"already.{0,24}(?:exist|process|progress|start|running|claimed|locked|taken|held|written|exported|open)|duplicate"
    r"|half.?(?:done|way|written|finished|exported)|partial(?:ly)?.{0,12}(?:written|record|result|done|export)|(?:is|still).{0,4}locked"
    r"|lock.{0,12}(?:held|taken|exists)|in.?progress|stale.{0,8}(?:lock|record|lease)|unfinished|conflict"
    r"|(?:^|status|code|http|error)\W{0,3}409\b",
    re.I,
)
_NOT_A_GRANT = re.compile(
    r"prohibited by organi[sz]ation|vpc.?service.?controls|has not been used in project|service.?disabled|api.{0,40}is disabled"
    r"|requires billing|billing.{0,20}(?:disabled|not enabled|not active)|account.{0,20}(?:closed|suspended)",
    re.I,
)
"""What Google says with 403 and no grant mends: a service perimeter, an API that is off, no billing."""
_CONTENDED = re.compile(
    r"contention|contended|too much contention|\babort(?:ed)?\b|(?:^|status|code|http|error)\W{0,3}409\b|lock.?(?:timeout|wait)|deadlock"
    r"|optimistic|write conflict|version conflict",
    re.I,
)
_ABSENT = re.compile(
    r"no (?:such )?(?:document|entity|record|row)|(?:document|entity|batch|record) (?:was |is )?not.?found|NOT_FOUND",
    re.I,
)

_OF_SCHEMA = re.compile(r"schema", re.I)
_OF_REGION = re.compile(r"storage.?policy|\bregion\b.{0,60}\bnot allowed", re.I)


def of_schema(reason: str) -> bool:
    """Whether Pub/Sub did not take a message because it does not match the topic's schema, by these words."""
    return bool(_OF_SCHEMA.search(reason))


def of_region(reason: str) -> bool:
    """Whether it did not because of where it was published, by these words."""
    return bool(_OF_REGION.search(reason))


def contended(reason: str) -> bool:
    """Whether a write failed because others wrote the same at the same time, by these words."""
    return bool(_CONTENDED.search(reason))


def absent(reason: str) -> bool:
    """Whether what was to be written does not exist, by these words."""
    return bool(_ABSENT.search(reason)) and not contended(reason)


def denied(reason: str) -> bool:
    """Whether the account that calls lacks a right, by these words."""
    return bool(_DENIED.search(reason)) and not limited(reason) and not _NOT_A_GRANT.search(reason)


def limited(reason: str) -> bool:
    """Whether a rate or a quota is used up, by these words. Google says that with 403, too, so it is asked first."""
    return bool(_LIMITED.search(reason))


def left_behind(reason: str) -> bool:
    """Whether the try met a state that an earlier try of the same item may have left, by these words."""
    return bool(_LEFT_BEHIND.search(reason))
