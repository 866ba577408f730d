"""Do containers live, or how do they die?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from diagnostics.evidence.model import (
    By,
    Death,
    Leg,
    PlatformLines,
    RequestLog,
    Revisions,
    ServiceConfig,
    Stage,
    Unseen,
)
from diagnostics.readings.answers import RECENT, outlived, tally
from diagnostics.readings.deaths import Deaths, LostVariable, deaths, last_said, lost_variable, tells_why
from diagnostics.readings.expired import EXPIRED
from diagnostics.readings.pace import LEAST_ATTEMPTS
from diagnostics.readings.wholeness import to_the_end
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.processed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, clip, clock, count, names


class Crashing(Tells, frozen=True, kw_only=True):
    exits: int
    """Containers that Cloud Run's lines tell of."""
    refused: int
    """Requests that they took along, or that met one that did not start."""
    why: str
    """What the program or Cloud Run said last; empty: nothing."""
    how: str
    """How they die, in words."""
    memory: int = 0
    """Of the containers, those killed for memory."""
    hung: int = 0
    """Those of which their own server killed what took too long."""
    unhealthy: int = 0
    """Those that Cloud Run shut down because their liveness probe failed."""
    lacking: int = 0
    """Those that exited over a variable that the revision before had."""
    other: int = 0
    """Those that exited or never started, for another reason or for none that was told."""
    explained: int = 0
    """Of those, where last words of one are known and the newest lines were read, the ones that a line of Cloud Run calls exited or not
    started."""
    variable: str | None = None
    """The variable that they lack."""
    revision: str | None = None
    """The revision that lacks it."""
    before: str | None = None
    """The one that had it."""
    burnt: int = 0
    """Messages of the batch that used up their attempts so, once it is over."""
    last: str = ""
    """When the last one died."""


CRASHING = Telling(
    "processed.crashing", Stage.PROCESSED, "containers exit or cannot start", Kind.EFFECT, tells=Crashing
)


def crashes(
    seen: Seen,
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    service: ServiceConfig | Unseen,
    revisions: Revisions | Unseen,
) -> Iterator[Finding]:
    dead = deaths(log, lines, service, revisions)
    if not dead.times:
        return
    first, newest = dead.times[0], dead.times[-1]
    acks = seen.acks_since(newest)
    untried = _untried(seen, dead, acks)
    past = seen.now - newest > seen.pause and not untried
    over = past or outlived(dead.number, tally(seen.pushes, first, newest).acks, acks)
    meets = _meets(seen, log) and not _none_left(seen, first)
    holds = not over and meets and not acks and not seen.recent.acks
    met = meets or any(r.at >= seen.told.since for r in dead.rows)
    why, how, now_how = _why_dead(dead, lines)
    good_at = seen.ledger.last_good.started if seen.ledger.last_good else None
    lost = lost_variable(why, service, revisions, good_at)
    burnt = _burnt(seen, dead) if over else 0
    yield CRASHING.says(
        Status.FAULT if burnt else Status.OK if over else Status.FAULT if holds else Status.WARNING,
        f"containers{_whose(dead)} {how} {at_least(dead.whole, count(dead.number, 'time'))}, the last at "
        f"{clock(newest, seen.now)}"
        + (f": {_before(clip(why, 120), bool(lost or untried or burnt))}" if why else "")
        + (f"; {lost.before} had {lost.name}" if lost else "")
        + ("; no push has got that far since" if untried else "")
        + (
            f"; each took along an attempt of what it had taken, and {count(burnt, 'message')} went to the dead-letter topic"
            if burnt
            else ""
        ),
        leg=seen.leg,
        bears=Bears.HOLDS
        if burnt or (holds and seen.least)
        else Bears.SLOWS
        if met and (seen.least or over)
        else Bears.APART,
        held=burnt or (seen.least if holds else 0),
        since=first if dead.whole else None,
        until=newest if over and not burnt else None,
        rests_on=("PlatformLines", "RequestLog") + (("ServiceConfig", "Revisions") if lost else ()),
        subject=seen.service,
        tells=msgspec.structs.replace(
            _told(
                dead,
                why,
                now_how + _over(dead, why),
                lost,
                not isinstance(lines, Unseen) and to_the_end(lines, seen.now),
            ),
            burnt=burnt,
            last=clock(newest, seen.now),
        ),
    )


def _before(said: str, more: bool) -> str:
    """A sentence that is quoted, without its full stop where ours goes on after it."""
    return said.rstrip(".") if more else said


def _burnt(seen: Seen, dead: Deaths) -> int:
    """Dead letters of the batch that were taken up and of whose end the program said nothing at most of their attempts, while as many
    containers died as that takes."""
    went = seen.ledger.dead(seen.leg)
    half = (went.attempts or LEAST_ATTEMPTS) / 2
    lettered = [x for x in seen.ledger.lives if x.dead_lettered]
    own = [x for x in lettered if (x.failures if seen.leg is Leg.REQUEST else x.unrecorded) < half and x.starts >= half]
    if seen.leg is not Leg.REQUEST or dead.number < half or went.first is None or went.first < dead.times[0]:
        return 0
    return min(len(own), went.ours)


def _whose(dead: Deaths) -> str:
    whose = names({x.revision for x in dead.lines if x.revision})
    return f" of {whose}" if whose else ""


def _over(dead: Deaths, why: str) -> str:
    """The last words of a program that exited, for the one sentence that stands alone."""
    exited = dead.by_kind[Death.EXITED] == max(dead.by_kind.values())
    return f" with “{clip(why)}”" if exited and why else ""


def _told(dead: Deaths, why: str, how: str, lost: LostVariable | None, whole: bool) -> Crashing:
    """How many died of what; those that exited lack the variable that was lost, if one was."""
    exited = dead.by_kind[Death.EXITED]
    return Crashing(
        exits=dead.number if dead.lines else 0,
        refused=len(dead.rows),
        why=why,
        how=how,
        memory=dead.by_kind[Death.MEMORY],
        hung=dead.by_kind[Death.HUNG],
        unhealthy=dead.by_kind[Death.UNHEALTHY],
        other=0 if lost else exited,
        explained=dead.exited if tells_why(why) and not lost and whole else 0,
        lacking=exited if lost else 0,
        variable=lost.name if lost else None,
        revision=lost.revision if lost else None,
        before=lost.before if lost else None,
    )


def _meets(seen: Seen, log: RequestLog | Unseen) -> bool:
    """Whether pushes now come as far as the containers, or may: what is turned away before them, or never sent, they do not hold."""
    if seen.told.rows:
        newest = [r for r in seen.told.rows if r.at > seen.told.rows[-1].at - RECENT]
        return 2 * sum(r.by is By.CLOUD_RUN for r in newest) >= len(newest)
    if isinstance(seen.pushes, Unseen):
        return True
    since = tally(seen.pushes, seen.ledger.started or seen.told.since).refused
    return bool(since.keys() & _BY_CONTAINERS) or (isinstance(log, Unseen) and bool(since))


_BY_CONTAINERS = frozenset({"remote_server_5xx", EXPIRED, "unreachable"})
"""How pushes are counted that a container which died left without an answer."""


def _none_left(seen: Seen, first: datetime) -> bool:
    """Whether all that the batch is owed lay in the dead-letter topic before the first of them died."""
    dead = seen.ledger.dead(seen.leg)
    return dead.last is not None and dead.last < first and 0 < seen.least <= dead.ours


def _untried(seen: Seen, dead: Deaths, acks: float) -> bool:
    """Whether messages of the batch met the crash, and all pushes since were turned away before they came to a container."""
    if acks or not seen.least or not any(r.at >= seen.told.since for r in dead.rows):
        return False
    later = [r for r in seen.told.rows if r.at > dead.times[-1]]
    return bool(later) and all(r.by is By.FRONT_END for r in later)


def _why_dead(dead: Deaths, lines: PlatformLines | Unseen) -> tuple[str, str, str]:
    """(what the program or Cloud Run said last, how they died, how they die)."""
    most, _ = max(dead.by_kind.items(), key=lambda kind: kind[1])
    if most is Death.EXITED:
        return last_said(dead, lines), "exited or failed to start", "exit or never start"
    # what it printed last is of its work, not of its end
    why = next((x.text for x in reversed(dead.lines) if x.death is most), "")
    return why, *_ENDS_BY[most]


_ENDS_BY = {
    Death.MEMORY: ("were killed for memory", "are killed for memory"),
    Death.HUNG: (
        "had work killed by their own server for taking too long",
        "have work killed by their own server for taking too long",
    ),
    Death.UNHEALTHY: (
        "were shut down because their liveness probe failed",
        "are shut down because their liveness probe fails",
    ),
}
