"""What a probe would do, what it saw, and what probes have left, as text. JSON is the structs themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from diagnostics.evidence.model import Peeked, Probed
from diagnostics.report.escape import clean
from diagnostics.report.layout import Layout, age, clock
from diagnostics.steps import peeked
from diagnostics.steps.finding import Status
from diagnostics.steps.words import count

SPREAD_BARS = 12


class Candidate(Struct, frozen=True, kw_only=True):
    """A message that may never succeed."""

    id: str
    batch: str
    item: str
    published: datetime
    why: str


class Answer(Struct, frozen=True, kw_only=True):
    """What `probe run -o json` prints."""

    schema_version: int = 1
    status: Status
    exit_code: int
    says: str
    candidates: tuple[Candidate, ...]
    probed: Probed
    as_of: datetime
    next: str = ""
    """The command that tells more; empty where none does."""


EXITS = {Status.OK: 0, Status.WARNING: 1, Status.FAULT: 2, Status.UNKNOWN: 3}


def answer(probed: Probed, now: datetime, restored: bool, next: str = "") -> Answer:
    """The judgement on what came: a subscription that is not restored is a fault, nothing seen is unknown."""
    found = candidates(probed, now)
    if not restored:
        status, says = Status.FAULT, "the subscription is not as it was"
    elif not probed.messages:
        status, says = Status.UNKNOWN, peeked.nothing_came(probed)
    elif found:
        status = Status.WARNING
        says = f"{count(len(probed.messages), 'message')} came; {len(found)} of them may never succeed"
    else:
        status, says = Status.OK, f"{count(len(probed.messages), 'message')} came, all readable, none tried for long"
    return Answer(
        status=status, exit_code=EXITS[status], says=says, candidates=found, probed=probed, as_of=now, next=next
    )


def candidates(probed: Probed, now: datetime) -> tuple[Candidate, ...]:
    bad = [_candidate(m, peeked.why_bad(m)) for m in peeked.bad(probed)]
    old = [_candidate(m, _tried(m, now)) for m in peeked.tried(probed, now)]
    return tuple(sorted((*bad, *old), key=lambda c: (c.published, c.id)))


def render(said: Answer, layout: Layout) -> str:
    """The answer as text."""
    probed, now = said.probed, said.as_of
    lines = [layout.wrap(f"{layout.paint(said.status.value.upper())}  ", clean(said.says))]
    lines.append(layout.wrap("after   ", clean(probed.restored)))
    lines += [layout.command("next    ", said.next)] if said.next else []
    if probed.messages:
        lines += ["", *_figures(probed, now, layout), "", _table(probed, now, layout)]
    if said.candidates:
        lines += ["", "candidates for poison"]
        rows = [[_what(c), clock(c.published, now), c.why] for c in said.candidates]
        lines.append(layout.table(["message", "published", "why"], rows))
    if data := [m for m in probed.messages if m.data]:
        lines += ["", "data (redacted)", *(f"{m.id}  {clean(m.data)}" for m in data)]
    return "\n".join(lines) + "\n"


def _figures(probed: Probed, now: datetime, layout: Layout) -> list[str]:
    messages = probed.messages
    first, last = messages[0].published, messages[-1].published
    counted = [f"{probed.snapshot} in the snapshot"] if probed.snapshot is not None else []
    counted += [f"{probed.backlog} in the backlog metric"] if probed.backlog is not None else []
    sizes = sorted(m.size for m in messages)
    several = peeked.repeated(messages)
    again = sum(m.times - 1 for m in messages)
    rows = [
        ("came", f"{len(messages)} of at most {probed.asked_for}; {', '.join(counted) or 'no metric counts them'}"),
        ("age", f"{age(now - last)} to {age(now - first)}"),
        ("spread", _spread(messages)),
        ("size", f"{sizes[0]} to {sizes[-1]} bytes, median {sizes[len(sizes) // 2]}"),
        ("batches", _tally(m.batch for m in messages)),
        ("attributes", ", ".join(sorted({k for m in messages for k in m.attributes})) or "none"),
        ("attempts", _attempts(messages)),
        ("duplicates", f"{again} came more than once; {len(several)} items have several messages"),
        ("pulls", f"{probed.pulls}, {probed.empty_pulls} brought nothing new, {probed.unanswered_pulls} unanswered"),
    ]
    return [layout.wrap(f"{label:<12}", clean(text), indent=12) for label, text in rows]


def _table(probed: Probed, now: datetime, layout: Layout) -> str:
    rows = [
        [m.id, clock(m.published, now), str(m.size), m.item or "-", m.batch or "-", _state(m)] for m in probed.messages
    ]
    return layout.table(["message", "published", "bytes", "item", "batch", ""], rows, right=(2,))


def _state(message: Peeked) -> str:
    parts = [peeked.why_bad(message)] if message.unreadable or message.missing else []
    parts += [f"attempt {message.attempts}"] if message.attempts else []
    parts += ["ordering key"] if message.ordered else []
    return ", ".join(parts)


def _spread(messages: Sequence[Peeked]) -> str:
    """When they were published, as counts over equal spans from the oldest to the newest."""
    first, last = messages[0].published, messages[-1].published
    width = (last - first) / SPREAD_BARS
    if not width:
        return "all at one moment"
    bars = Counter(min(int((m.published - first) / width), SPREAD_BARS - 1) for m in messages)
    return " ".join(str(bars.get(n, 0)) for n in range(SPREAD_BARS)) + f"  ({age(width)} each, oldest first)"


def _attempts(messages: Sequence[Peeked]) -> str:
    counted = [m.attempts for m in messages if m.attempts]
    if not counted:
        return "not counted: only the subscription itself tells (--mode switch), and only with a dead-letter policy that works"
    return f"{min(counted)} to {max(counted)}"


def _tally(values: Iterable[str]) -> str:
    counted = Counter(v or "(none named)" for v in values)
    return ", ".join(f"{name} ({n})" for name, n in counted.most_common(5)) + (" …" if len(counted) > 5 else "")


def _candidate(message: Peeked, why: str) -> Candidate:
    return Candidate(id=message.id, batch=message.batch, item=message.item, published=message.published, why=why)


def _tried(message: Peeked, now: datetime) -> str:
    attempts = f", {message.attempts} attempts" if message.attempts else ""
    return f"readable, but undelivered for {age(max(now - message.published, timedelta()))}{attempts}"


def _what(candidate: Candidate) -> str:
    return f"{candidate.id} {candidate.item}".strip()
