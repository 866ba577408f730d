"""Containers that went away: how many, how, and what was said last; by Cloud Run's lines and by what it answered for them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from diagnostics.evidence.model import (
    Death,
    Ended,
    LogRow,
    PlatformLine,
    PlatformLines,
    RequestLog,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    Unseen,
)

_LAST_WORDS = timedelta(seconds=60)
"""How long before its end a container may have told why."""
_LATE = timedelta(seconds=5)
"""Lines of a moment are not always in their order."""
_GRAVE = ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_THAT_IT_DIED = re.compile(
    r"(?i)worker failed to boot|shutting down: master|haltserver|exit(?:ed)? (?:with )?(?:status|code)"
)
"""What a server prints when the program within it died: that it did, and not why."""
_ERROR_WORDS = re.compile(r"(?i)error|exception|traceback|critical|fatal|panic|failed|cannot|not found|no such|denied")
_BY_RANK = (Death.MEMORY, Death.HUNG, Death.UNHEALTHY)
"""Of several lines about one container, what tells why it went: an exit or a signal is only how."""


@dataclass(frozen=True)
class Deaths:
    """Containers that went away, by their lines and by what Cloud Run answered for them."""

    lines: tuple[PlatformLine, ...]
    rows: tuple[LogRow, ...]
    whole: bool

    @property
    def times(self) -> list[datetime]:
        return sorted([x.at for x in self.lines] + [r.at for r in self.rows])

    @property
    def number(self) -> int:
        """How many died: one death may leave several lines. Where no line tells, one for each request that it took along."""
        return len({x.instance or x.at for x in self.lines}) or len(self.rows)

    @property
    def exited(self) -> int:
        """Of how many a line tells that they exited or did not start; a signal alone may be for want of memory."""
        why = {x.instance or x.at for x in self.lines if x.death in _BY_RANK}
        return len({x.instance or x.at for x in self.lines if x.death in (Death.EXITED, Death.NOT_STARTED)} - why)

    @cached_property
    def by_kind(self) -> Counter[Death]:
        """How many died of memory, of a server that hung, of a failed liveness probe; all others count as EXITED. A signal of which no
        line tells the reason is put down to memory where others died of that."""
        kinds: dict[object, set[Death]] = {}
        for line in self.lines:
            kinds.setdefault(line.instance or line.at, set()).update({line.death} if line.death else ())
        counted: Counter[Death] = Counter(
            next((k for k in _BY_RANK if k in of), Death.SIGNAL if of == {Death.SIGNAL} else Death.EXITED)
            for of in kinds.values()
        )
        if not kinds:
            counted.update(Death.MEMORY if r.ended is Ended.MEMORY else Death.EXITED for r in self.rows)
        elif not counted[Death.MEMORY]:
            counted[Death.MEMORY] += sum(1 for r in self.rows if r.ended is Ended.MEMORY)
        signals = counted.pop(Death.SIGNAL, 0)
        counted[Death.MEMORY if counted[Death.MEMORY] else Death.EXITED] += signals
        return counted


def deaths(
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    service: ServiceConfig | Unseen,
    revisions: Revisions | Unseen,
) -> Deaths:
    """Of containers that pushes may come to: of a revision that did not start while another serves, they never do."""
    idle = never_served(service, revisions)
    told = (
        ()
        if isinstance(lines, Unseen)
        else tuple(x for x in lines.lines if x.death is not None and x.revision not in idle)
    )
    refused = () if isinstance(log, Unseen) else log.refused
    signs = (Ended.NOT_STARTED, Ended.MEMORY) + ((Ended.BROKEN,) if told else ())
    whole = not isinstance(lines, Unseen) and lines.source.complete
    return Deaths(told, tuple(r for r in refused if r.ended in signs), whole)


def never_served(service: ServiceConfig | Unseen, revisions: Revisions | Unseen) -> frozenset[str]:
    """Names of the revisions that did not become ready and get no traffic, by no tag either, since another one has it all."""
    if isinstance(service, Unseen) or service.settings is None or isinstance(revisions, Unseen):
        return frozenset()
    settings = service.settings
    takes = {t.revision or settings.latest_ready for t in settings.traffic if t.percent or t.tag} or {
        settings.latest_ready
    }
    others = any(r.name in takes and r.ready == "ready" for r in revisions.revisions)
    return frozenset(r.name for r in revisions.revisions if r.ready == "failed" and r.name not in takes if others)


def tells_why(said: str) -> bool:
    """Whether these last words say why it died, and not only that it did."""
    return bool(said) and not _THAT_IT_DIED.search(said)


def last_said(dead: Deaths, lines: PlatformLines | Unseen) -> str:
    """What a container that died printed shortly before: the newest error; else one by its words, since plain text has no severity;
    else the last. An error of a container that went on says nothing of those that did not. Where no line tells its container, the
    newest error will do."""
    if isinstance(lines, Unseen) or not dead.times:
        return ""
    printed = [x for x in lines.lines if x.printed and x.at >= dead.times[0] - timedelta(minutes=1)]
    ends = [(x.instance, x.at) for x in dead.lines if x.instance]
    last = [x for x in printed if any(x.instance == i and at - _LAST_WORDS <= x.at <= at + _LATE for i, at in ends)]
    unplaced = [x for x in printed if not x.instance]
    graded = [x for x in last or unplaced if x.severity in _GRAVE]
    worded = [x for x in last if _ERROR_WORDS.search(x.text)]
    reasons = [x for x in worded if x.death is None]  # why it died says more than that it did
    return next((x.text for x in (*graded[-1:], *reasons[-1:], *worded[-1:], *last[-1:])), "")


@dataclass(frozen=True)
class LostVariable:
    """A variable that a program asks for, and that the revision before had."""

    name: str
    revision: str
    before: str


def lost_variable(
    said: str, service: ServiceConfig | Unseen, revisions: Revisions | Unseen, good_at: datetime | None
) -> LostVariable | None:
    """The environment variable that these last words name, if the serving revision lacks it or has another value than the one that
    served while a batch was good; without such a batch, than the one before."""
    if not said or isinstance(service, Unseen) or service.settings is None or isinstance(revisions, Unseen):
        return None
    serving = revisions.named(service.settings.serving) or service.settings.template
    older = [r for r in revisions.revisions if r.created < serving.created and r.ready == "ready"]
    before = next((r for r in older if good_at is None or r.created <= good_at), None) or next(iter(older), None)
    if before is None:
        return None
    named = (n for n in _differing(before, serving) if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", said))
    return next((LostVariable(name, serving.name, before.name) for name in named), None)


def _differing(before: RevisionSettings, after: RevisionSettings) -> list[str]:
    return sorted(name for name, value in before.env.items() if after.env.get(name) != value)
