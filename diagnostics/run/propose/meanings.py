"""What a group of lines may mean: by its words, by whose line it is, and by what it names. A guess, to be looked at by a person."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.evidence.model import Means
from diagnostics.run.propose.names import NO_NAMES, Named


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
_REPORTS = r"(?:publish|report|complet|receipt|notif|confirm)"
_COUNTS = r"(?:record|complet|receipt|store|update|count|tally|confirm)"
_BACK = r"(?:complet|receipt|result|confirm)"
_READS = r"(?:pars|decod|deseriali|unmarshal)"
_MAKES = r"(?:created|persisted|initiali[sz]ed|opened|registered)"
_BATCH = r"(?:batch|run|job|export|OWN)"
"""OWN: what this pipeline's own lines call it."""
_STARTS = r"(?:start|request|trigger)"


def _together(one: str, other: str) -> str:
    """Both, in either order."""
    return rf"{one}.*{other}|{other}.*{one}"


C, W = "coordinator", "worker"
RULES: tuple[Rule, ...] = (
    Rule(Means.WRITE_FAILED, W, _together(_FAILS, _STORES), of_item=True, several=True),
    Rule(Means.COMPLETION_ERROR, W, _together(_FAILS, _REPORTS), several=True),
    Rule(
        Means.SKIPPED_ITEM,
        W,
        r"skip|ignor|permanent|giv\w+ up|discard|drop|left out|leav\w+ out|omit",
        of_item=True,
        several=True,
    ),
    Rule(Means.FAILED_ITEM, W, rf"{_FAILS}|retry|transient|reject", of_item=True, several=True),
    Rule(
        Means.BAD_MESSAGE,
        W,
        rf"(?:invalid|malformed|bad|poison|unreadable|missing).*(?:message|payload|request|field|event)|{_together(_FAILS, _READS)}",
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
        _together(rf"(?:unknown|unexpected|reject|duplicate|malformed|invalid|{_READS})", _BACK),
        several=True,
    ),
    Rule(
        Means.REFUSED,
        C,
        rf"refus|already (?:active|running|in progress)|another {_BATCH}|blocked by|conflict"
        rf"|{_BATCH} (?:was )?not (?:started|opened|created)",
        several=True,
    ),
    Rule(Means.EMPTY, C, r"nothing to|no \w+ (?:to|found|due)|empty", several=True),
    Rule(Means.FORCED, C, r"forced|stalled|expired|timed out|by hand|reset|giv\w+ up|abandon", several=True),
    Rule(Means.RECORDED_ITEM, C, r"record|stored|marked|counted|tallied|saved", _FAILS, of_item=True),
    Rule(Means.RETURNED_ITEM, C, rf"{_BACK}|receiv|returned|ack", _FAILS, of_item=True),
    Rule(Means.PUBLISHED_ITEM, C, r"publish|queued|dispatch|sent|enqueue|handed|submitted", _FAILS, of_item=True),
    Rule(Means.EXPECTED, C, r"(?:correct|lower|adjust|chang|updat)\w*.*expect", numbers=1),
    Rule(Means.CREATED, C, rf"{_together(_MAKES, _BATCH)}|new {_BATCH}", r"found|loaded"),
    Rule(Means.GATE, C, r"viable|eligible|selected|chosen|passed|qualif|filtered", numbers=2),
    Rule(
        Means.CLOSED,
        C,
        rf"{_BATCH}\w*.*(?:complete|closed|finished|done)|(?:closed|finished|completed) {_BATCH}",
        r"consolidat|publish|history|trigger|phase",
    ),
    Rule(
        Means.PUBLISHED,
        C,
        r"publish|queued|dispatched|sent|enqueued|handed out|submitted",
        r"complet|heartbeat|publishing|history|phase",
        numbers=1,
    ),
    Rule(
        Means.RECEIVED,
        C,
        rf"{_STARTS}.*(?:receiv|{_BATCH})|(?:receiv|begin)\w*.*{_STARTS}|{_BATCH} (?:was )?{_STARTS}ed",
        rf"{_FAILS}|heartbeat|consolidat|creating",
    ),
)
"""The more special come first."""
_OF_FORM = (
    Rule(Means.STARTED_ITEM, W, r"^\W*\w{2,}ing\b", _FAILS, of_item=True),
    Rule(Means.DONE_ITEM, W, r"^(?:\W*[\w*]+){0,2}\W*\w{2,}ed\b", rf"{_FAILS}|writ|rows", of_item=True),
)
"""What no word tells: that something is being done to an item, or was done to it."""

_COUNT_OF_FAILED = re.compile(r"\* ?fail\w*|fail\w*[ =:]+\*")
"""How many failed is no failure."""
ONCE_A_BATCH = (Means.CREATED, Means.GATE, Means.PUBLISHED, Means.CLOSED, Means.RECEIVED)


class Guess(NamedTuple):
    means: Means
    named: Named


def guesses(found: Sequence[Named]) -> list[Guess]:
    """What each group may mean, in the order in which a batch goes; of meanings that one kind of line has, the likeliest kind."""
    own = _own_word(found)
    matched = [(rule, one) for one in found if (rule := _rule(one, own)) is not None]
    known = {rule.means for rule, _ in matched}
    rest = [one for one in found if all(one is not other for _, other in matched)]
    matched += [(rule, one) for one in rest for rule in _OF_FORM if rule.means not in known and _fits(rule, one, own)]
    batches = max((len(set(one.batch.values)) for _, one in matched if one.batch), default=0)
    kept: list[Guess] = []
    for rule in {rule.means: rule for rule, _ in matched}.values():
        of = sorted((one for r, one in matched if r.means is rule.means), key=lambda one: _rank(rule, one, batches))
        kept += [Guess(rule.means, one) for one in (of if rule.several else of[:1])]
    return sorted(kept, key=lambda guess: (guess.named.group.service != C, list(Means).index(guess.means)))


def _own_word(found: Sequence[Named]) -> str:
    """What the lines call the batch, as a pattern: the name of its field, or the word before it."""
    labels = Counter(one.batch.label.lower() for one in found if one.batch)
    word, often = next(iter(labels.most_common(1)), ("", 0))
    word = re.sub(r"[_-]?(?:id|no|name|key)$", "", word)
    return re.escape(word) if often > 1 and len(word) > 2 and word not in NO_NAMES else "batch"


def _rule(one: Named, own: str) -> Rule | None:
    return next((rule for rule in RULES if _fits(rule, one, own)), None)


def _fits(rule: Rule, one: Named, own: str) -> bool:
    words = _COUNT_OF_FAILED.sub("", one.group.words)
    of_item = one.item is not None
    if rule.service != one.group.service or (rule.of_item and not of_item):
        return False
    if not rule.of_item and of_item and not rule.several:
        return False
    if len(one.numbers) < rule.numbers or re.search(rule.unless, words):
        return False
    return re.search(rule.says.replace("OWN", own), words) is not None


def _rank(rule: Rule, one: Named, batches: int) -> tuple[int, int, int]:
    """Names of a batch first, then numbers; a line that comes once a batch before one that comes more often."""
    often = abs(len(one.group.lines) - batches) if rule.means in ONCE_A_BATCH else -len(one.group.lines)
    return (one.batch is None, not one.numbers if rule.means in ONCE_A_BATCH else 0, often)
