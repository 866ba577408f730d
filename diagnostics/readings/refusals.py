"""Why items could not be published: Google refused them for good, or put them off until the client gave up.

A quota, an outage or a time-out is put off: the client tries again, and what it tries may still get through. A missing right or
topic is not: each such answer is an item lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from diagnostics.evidence.model import Mark, Means, Stage
from diagnostics.readings.ledger import Attempt, Ledger

CODES = {
    "400": "invalid_argument",
    "403": "permission_denied",
    "404": "not_found",
    "409": "aborted",
    "429": "resource_exhausted",
    "500": "internal",
    "503": "unavailable",
    "504": "deadline_exceeded",
}
"""HTTP statuses with which Google's client libraries begin their errors, and the names that counters have for them."""
PUT_OFF = frozenset(
    {"aborted", "resource_exhausted", "internal", "unavailable", "deadline_exceeded", "unknown", "cancelled"}
)
"""What publisher clients try again by themselves (retry settings of google-cloud-pubsub)."""
_LAST = re.compile(r"last exception:\s*(\d{3})")
_FIRST = re.compile(r"^\s*(\d{3})\b")
_TIMED_OUT = re.compile(r"timed? ?out|deadline exceeded|retryerror", re.I)


@dataclass(frozen=True)
class Lost:
    """Items that could not be published for one reason."""

    code: str
    """As counters name it; empty: the line does not tell."""
    items: int
    marks: tuple[Mark, ...]
    """Their lines, oldest first."""

    @property
    def put_off(self) -> bool:
        """Whether it was tried again until the client gave up."""
        return self.code in PUT_OFF

    @property
    def reason(self) -> str:
        return next((m.words["reason"] for m in reversed(self.marks) if m.words.get("reason")), "")


def code_of(reason: str) -> str:
    """The name of Google's answer in an error of a client library; empty: it does not tell."""
    found = _LAST.search(reason) or _FIRST.search(reason)
    if found and found[1] in CODES:
        return CODES[found[1]]
    named = next((c for c in {*CODES.values()} if c in reason.lower().replace(" ", "_")), "")
    return named or ("deadline_exceeded" if _TIMED_OUT.search(reason) else "")


def lost(attempt: Attempt | None) -> tuple[Lost, ...]:
    """Items of an attempt whose publishing failed, by reason, the most frequent first. What its lines leave out goes to the reason
    if they name just one, and to none otherwise."""
    failed = attempt.failed_to_publish if attempt else 0
    if attempt is None or not failed:
        return ()
    lines = [m for m in attempt.marks if m.means is Means.PUBLISH_ERROR]
    last = {m.item or id(m): m for m in lines}
    groups: dict[str, list[Mark]] = {}
    for mark in last.values():
        groups.setdefault(code_of(mark.words.get("reason", "")), []).append(mark)
    counts = {code: len(marks) for code, marks in groups.items()}
    rest = failed - sum(counts.values())
    if rest > 0:
        only = next(iter(counts)) if len(counts) == 1 else ""
        counts[only] = counts.get(only, 0) + rest
    found = [Lost(code, min(n, failed), tuple(groups.get(code, ()))) for code, n in counts.items()]
    return tuple(sorted(found, key=lambda x: -x.items))


def given_up(ledger: Ledger) -> bool:
    """Whether the batch no longer waits for what failed to be published: the coordinator counted what was, and no more is expected."""
    told = ledger.attempt.published if ledger.attempt else None
    if told is None or "count" not in told.numbers or not ledger.expected:
        return False
    return bool(lost(ledger.attempt)) and ledger.expected <= told.numbers["count"]


def overtaken(ledger: Ledger) -> bool:
    """Whether what was put off would have been refused for good all the same: nothing of the batch got through, and more than was put
    off was refused for good after that had ended."""
    here = ledger.counts.get(Stage.PUBLISHED)
    if here is None or here.most != 0:
        return False
    told = lost(ledger.attempt)
    put_off = [m.at for each in told if each.put_off for m in each.marks]
    final = [m.at for each in told if each.code and not each.put_off for m in each.marks]
    return bool(put_off) and sum(1 for at in final if at > max(put_off)) > len(put_off)
