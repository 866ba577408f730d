"""What a group of lines may mean: by its words, by whose line it is, and by what it names. A guess, to be looked at by a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.evidence.model import Means
from diagnostics.run.propose.names import Named


class Rule(NamedTuple):
    """How lines of one meaning are known."""

    means: Means
    service: str
    says: str
    """What their words match, in small letters; names and numbers are stars."""
    unless: str = "$^"
    of_item: bool = False
    """They name an item; of others none does."""
    numbers: int = 0
    """So many numbers at least."""
    several: bool = False
    """Lines of several kinds may have this meaning."""


_FAILS = r"(?:fail|error|exception|could not|cannot|unable)"
_SENDS = r"(?:publish|queue|dispatch|send)"
_STORES = r"(?:writ|stor|insert|sav)"
_REPORTS = r"(?:publish|report|complet|receipt|notif)"
_COUNTS = r"(?:record|complet|receipt|store|update)"
_BACK = r"(?:complet|receipt|result)"
_MAKES = r"(?:created|persisted|initiali[sz]ed|opened|registered)"
_BATCH = r"(?:batch|run|job|export)"
_STARTS = r"(?:start|request|trigger)"


def _together(one: str, other: str) -> str:
    """Both, in either order."""
    return rf"{one}.*{other}|{other}.*{one}"


C, W = "coordinator", "worker"
RULES: tuple[Rule, ...] = (
    Rule(Means.WRITE_FAILED, W, _together(_FAILS, _STORES), of_item=True, several=True),
    Rule(Means.COMPLETION_ERROR, W, _together(_FAILS, _REPORTS), several=True),
    Rule(Means.SKIPPED_ITEM, W, r"skip|ignor|permanent|giv\w+ up|discard|drop", of_item=True, several=True),
    Rule(Means.FAILED_ITEM, W, rf"{_FAILS}|retry|transient|reject", of_item=True, several=True),
    Rule(
        Means.BAD_MESSAGE,
        W,
        r"(?:invalid|malformed|bad|poison|unreadable|missing).*(?:message|payload|request|field|event)",
        several=True,
    ),
    Rule(
        Means.DONE_ITEM,
        W,
        r"success|done|complet|finish|processed|generated|exported|rendered|ok\b|succeeded",
        rf"{_FAILS}|writ|rows",
        of_item=True,
    ),
    Rule(
        Means.STARTED_ITEM,
        W,
        r"process(?:ing)?\b|start|receiv|handl|working|picked|begin|got ",
        rf"{_FAILS}|done|complet",
        of_item=True,
    ),
    Rule(Means.PUBLISH_ERROR, C, _together(_FAILS, _SENDS), several=True),
    Rule(Means.RECORD_ERROR, C, _together(_FAILS, _COUNTS), of_item=True, several=True),
    Rule(
        Means.RETURN_REJECTED,
        C,
        _together(r"(?:unknown|unexpected|reject|duplicate)", _BACK),
        several=True,
    ),
    Rule(
        Means.REFUSED,
        C,
        r"refus|already (?:active|running|in progress)|another batch|blocked by|conflict",
        several=True,
    ),
    Rule(Means.EMPTY, C, r"nothing to|no \w+ (?:to|found|due)|empty", several=True),
    Rule(Means.FORCED, C, r"forced|stalled|expired|timed out|by hand|reset", several=True),
    Rule(Means.RECORDED_ITEM, C, r"record|stored|marked|counted|tallied|saved", _FAILS, of_item=True),
    Rule(Means.RETURNED_ITEM, C, rf"{_BACK}|receiv|returned|ack", _FAILS, of_item=True),
    Rule(Means.PUBLISHED_ITEM, C, r"publish|queued|dispatch|sent|enqueue", _FAILS, of_item=True),
    Rule(Means.EXPECTED, C, r"(?:correct|lower|adjust|chang|updat)\w*.*expect", numbers=1),
    Rule(Means.CREATED, C, rf"{_together(_MAKES, _BATCH)}|new {_BATCH}", r"found|loaded"),
    Rule(Means.GATE, C, r"viable|eligible|selected|passed|qualif|filtered", numbers=2),
    Rule(
        Means.CLOSED,
        C,
        rf"{_BATCH}\w*.*(?:complete|closed|finished|done)|(?:closed|finished|completed) {_BATCH}",
        r"consolidat|publish|history|trigger|phase",
    ),
    Rule(
        Means.PUBLISHED,
        C,
        r"publish|queued|dispatched|sent|enqueued",
        r"complet|heartbeat|publishing|history|phase",
        numbers=1,
    ),
    Rule(
        Means.RECEIVED,
        C,
        rf"{_STARTS}.*(?:receiv|{_BATCH})|(?:receiv|begin)\w*.*{_STARTS}",
        rf"{_FAILS}|heartbeat|consolidat|creating",
    ),
)
"""The more special come first."""

_COUNT_OF_FAILED = re.compile(r"\* ?fail\w*|fail\w*[ =:]+\*")
"""How many failed is no failure."""
ONCE_A_BATCH = (Means.CREATED, Means.GATE, Means.PUBLISHED, Means.CLOSED, Means.RECEIVED)


class Guess(NamedTuple):
    means: Means
    named: Named


def guesses(found: Sequence[Named]) -> list[Guess]:
    """What each group may mean, in the order in which a batch goes; of meanings that one kind of line has, the likeliest kind."""
    matched = [(rule, one) for one in found if (rule := _rule(one)) is not None]
    batches = max((len(set(one.batch.values)) for _, one in matched if one.batch), default=0)
    kept: list[Guess] = []
    for rule in {rule.means: rule for rule, _ in matched}.values():
        of = sorted((one for r, one in matched if r.means is rule.means), key=lambda one: _rank(rule, one, batches))
        kept += [Guess(rule.means, one) for one in (of if rule.several else of[:1])]
    return sorted(kept, key=lambda guess: (guess.named.group.service != C, list(Means).index(guess.means)))


def _rule(one: Named) -> Rule | None:
    words = _COUNT_OF_FAILED.sub("", one.group.words)
    for rule in RULES:
        of_item = one.item is not None
        if rule.service != one.group.service or (rule.of_item and not of_item):
            continue
        if not rule.of_item and of_item and not rule.several:
            continue
        if len(one.numbers) < rule.numbers or re.search(rule.unless, words):
            continue
        if re.search(rule.says, words):
            return rule
    return None


def _rank(rule: Rule, one: Named, batches: int) -> tuple[int, int, int]:
    """Names of a batch first, then numbers; a line that comes once a batch before one that comes more often."""
    often = abs(len(one.group.lines) - batches) if rule.means in ONCE_A_BATCH else -len(one.group.lines)
    return (one.batch is None, not one.numbers if rule.means in ONCE_A_BATCH else 0, often)
