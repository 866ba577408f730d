"""May the push identity call the service? The request log says who refused what, configuration what should happen.

An acknowledged push, and one that a container answered, prove sign-in whatever a policy hides. A grant that was not found is no
fault where pushes get in, and only a refusal of the right kind settles that it lacks: 403 a grant, 401 what the token says.
The front end asks for ingress first: a push that it refuses gets a 404 that no log has, and meets neither audience nor grant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import (
    By,
    Leg,
    LiveHealth,
    LogRow,
    PushCounts,
    ReceiverTraffic,
    RequestLog,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.admission import Gate, Turned, Way
from diagnostics.readings.answers import none_counted
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.passage import Passage, passage
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.push_auth.judged import lacks_the_right, pushed_here
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, clip, clock, count, names, so_many


class TurnedAway(Tells, frozen=True, kw_only=True):
    refused: int
    """Pushes that were refused in one way, in its newest spell."""
    spent: int | None = None
    """Items of the batch that were refused so until none of it was left to be pushed; None: it was not until then."""


class Foreign(Tells, frozen=True, kw_only=True):
    foreign: int
    """Refusals in the log that are no pushes."""


PROVEN = Code("push_auth.proven", Stage.DELIVERED, "pushes get in, so sign-in works")
REFUSED = Telling(
    "push_auth.refused",
    Stage.DELIVERED,
    "Google's front end does not take the push token",
    Kind.EFFECT,
    tells=TurnedAway,
)
FORBIDDEN = Telling(
    "push_auth.forbidden",
    Stage.DELIVERED,
    "Google's front end forbids pushes to get in",
    Kind.EFFECT,
    tells=TurnedAway,
)
SILENT = Telling(
    "push_auth.silent",
    Stage.DELIVERED,
    "pushes are refused and the service's log shows nothing of them",
    Kind.EFFECT,
    tells=TurnedAway,
)
FOREIGN = Telling("push_auth.foreign", Stage.DELIVERED, "the refusals in the log are not pushes", tells=Foreign)
LIVE = Code("push_auth.live", Stage.DELIVERED, "a live call with the push identity", Kind.EFFECT)


def push_auth(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig | Unseen,
    service: ServiceConfig | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    live: LiveHealth | Unseen,
    traffic: ReceiverTraffic | Unseen,
) -> Iterator[Finding]:
    """Reads what happened to pushes at the front end, each answer apart, and what a live call of ours was answered."""
    if not pushed_here(subscription, service):
        return
    case = passage(leg, ledger, now, subscription, pushes, log)
    if case.gets_in:
        yield _proven(case, subjects.configured(subscription))
    for code, way, status, how in (
        (REFUSED, Way.UNAUTHORIZED, "401", "refused by Google's front end with 401"),
        (FORBIDDEN, Way.FORBIDDEN, "403", "refused by Google's front end with 403"),
        (SILENT, Way.UNLOGGED, "4xx", "refused with a 4xx that the request log does not have"),
    ):
        if turned := case.door.turned.get(way):
            if code is SILENT and none_counted(traffic, turned.first):
                how = "refused with a 4xx that neither the request log nor Cloud Run's own counter has"
            yield _turned(case, code, subjects.answer(status, By.FRONT_END), turned, how)
    about = None if isinstance(service, Unseen) else subjects.service(service.name)
    if case.door.foreign:
        yield _foreign(case, about)
    if not isinstance(live, Unseen):
        yield _live(case, about, live)


def _proven(case: Passage, about: Subject | None) -> Finding:
    door = case.door
    acked = f"{count(door.acked_now, 'push')} acked in the last 5 min" if door.acked_now else "containers answer pushes"
    newest = f", the newest let in at {clock(door.newest_in, case.now)}" if door.newest_in else ""
    since = f" since {clock(door.newest_out, case.now)}" if door.newest_out else ""
    return PROVEN.says(
        Status.OK,
        acked + newest + (f"; none refused by Google's front end{since}" if door.whole else ""),
        leg=case.leg,
        subject=about,
        rests_on=("PushCounts", "RequestLog"),
    )


def _turned(case: Passage, code: Telling[TurnedAway], about: Subject | None, turned: Turned, how: str) -> Finding:
    """Pushes that were turned away: now, some of them, or until then."""
    many = at_least(case.door.whole, count(turned.count, "push"))
    quoted = f": “{clip(turned.text)}”" if turned.text else ""
    met = bool(case.started and turned.last >= case.started)
    span_of = f"from {clock(turned.first, case.now)} to {clock(turned.last, case.now)}"
    spent = case.spent(turned)
    if spent or not case.lasts(turned):
        since = "and pushes have got in since" if case.door.proven else "and none of its kind since"
        if spent:
            since = "and nothing of this batch was left to be pushed after that"
        return code.says(
            Status.OK,
            f"{many} {_were(turned)} {how} {span_of}, {since}{quoted}",
            leg=case.leg,
            bears=Bears.SLOWS if met else Bears.APART,
            since=turned.first,
            until=turned.last,
            subject=about,
            rests_on=_RESTS,
            tells=TurnedAway(refused=turned.count, spent=case.least if spent else None),
        )
    shut = case.door.gate is Gate.SHUT
    bears = Bears.APART if not case.least else Bears.HOLDS if shut else Bears.SLOWS
    return code.says(
        Status.FAULT if shut else Status.WARNING,
        f"{many} {how} {span_of}, {'and none got in' if shut else 'while others get in'}{quoted}",
        leg=case.leg,
        bears=bears,
        held=case.least if bears is Bears.HOLDS else 0,
        since=turned.first,
        subject=about,
        rests_on=_RESTS,
        tells=TurnedAway(refused=turned.count),
    )


_RESTS = ("RequestLog", "PushCounts")


def _were(turned: Turned) -> str:
    return "was" if turned.count == 1 else "were"


def _foreign(case: Passage, about: Subject | None) -> Finding:
    foreign = case.door.foreign
    agents = names({_agent(r) for r in foreign})
    paths = names({r.path.partition("?")[0] for r in foreign})
    return FOREIGN.says(
        Status.OK,
        f"{so_many(len(foreign), case.door.whole)} × {', '.join(sorted({str(r.status) for r in foreign}))} are no pushes of this "
        f"subscription: {agents} on {paths}",
        leg=case.leg,
        since=foreign[0].at,
        rests_on=("RequestLog",),
        subject=about,
        tells=Foreign(foreign=len(foreign)),
    )


def _agent(row: LogRow) -> str:
    return "uptime checks" if row.uptime else (row.user_agent.split("/")[0].split(" ")[0] or "unnamed callers")


def _live(case: Passage, about: Subject | None, live: LiveHealth) -> Finding:
    """Our own call speaks for our own network, and not for the pushes."""
    anonymous, signed = live.anonymous, live.authenticated
    if signed is None:
        return LIVE.says(
            Status.UNKNOWN,
            f"no token could be minted for the push account: {live.minting}",
            leg=case.leg,
            subject=about,
            rests_on=("LiveHealth",),
        )
    said = (
        f"live call at {clock(signed.at, case.now)}: without token {anonymous.status}, "
        f"with the push account's token {signed.status}"
    )
    if 200 <= signed.status < 300 and 200 <= anonymous.status < 300:
        status, more = Status.OK, "; whoever has no token gets in, too: this proves nothing about sign-in"
    elif 200 <= signed.status < 300:
        status, more = Status.OK, "; this proves invoker and audience, not that Google's agent may mint"
    elif signed.status >= 500 and anonymous.status in (401, 403) and lacks_the_right(anonymous):
        status, more = Status.OK, "; Google's front end lets the token in, and what is behind it does not answer well"
    elif signed.status in (401, 403) and not lacks_the_right(signed):
        status, more = Status.UNKNOWN, "; not in Cloud Run's words: a proxy on our way, or the application, says so"
    elif signed.status in (401, 403) and not case.gets_in:
        status, more = Status.FAULT, ""
    else:
        status, more = Status.UNKNOWN, "; from this network that settles nothing"
    return LIVE.says(status, said + more, leg=case.leg, subject=about, rests_on=("LiveHealth",))
