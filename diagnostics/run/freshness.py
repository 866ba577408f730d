"""How fresh what can be seen is, and whether our clock agrees with Google's. Each answer may be missing; none is guessed."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from msgspec import Struct

from diagnostics.evidence.model import OUR_USER_AGENT, Leg
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.entries import moment
from diagnostics.sources.route import full_subscription
from diagnostics.sources.search import search
from diagnostics.sources.series import PUBSUB, Resource, Span, fetch, gauge
from diagnostics.transport.call import ApiOff
from diagnostics.transport.rpcs import LOG_ENTRIES, TIME_SERIES
from diagnostics.transport.session import LabError, Session, find_lab, together
from diagnostics.transport.sign_in import bounded_by

SKEWED_S = 60.0
"""From here on a clock is wrong for our purposes: windows are cut at whole minutes, the period at which metrics are sampled."""
BACK_METRICS, BACK_LOGS = timedelta(minutes=60), timedelta(days=1)
TIME_OF_DAY = "https://www.googleapis.com/"
"""Any address of Google's tells the time, in the Date header of whatever it answers."""


class Newest(Struct, frozen=True, kw_only=True):
    """The newest thing that a source shows."""

    at: datetime | None
    """None: there was none in the last hour (metrics) or day (logs), or it could not be read; `says` which."""
    says: str = ""
    received: datetime | None = None
    """When Google received it, where it says so."""
    api: str = ""
    answered: bool = True
    mend: str = ""
    """Set when the API is off: what enables it."""


class Clock(Struct, frozen=True, kw_only=True):
    """Our clock against Google's."""

    ahead_s: float | None
    """Seconds that ours is ahead (negative: behind), to within a second or two; None: could not be told."""
    says: str = ""

    @property
    def skewed(self) -> bool:
        return self.ahead_s is not None and abs(self.ahead_s) > SKEWED_S


class Freshness(Struct, frozen=True, kw_only=True):
    metrics: Newest
    logs: Newest
    clock: Clock


def freshness(session: Session, pipeline: PipelineProfile) -> Freshness:
    """Asked at once. Never raises for what Google says."""
    questions: tuple[Callable[[], Newest | Clock], ...] = (
        lambda: newest_point(session, pipeline),
        lambda: newest_entry(session, pipeline),
        lambda: our_clock(session),
    )
    metrics, logs, clock = together(*questions)
    assert isinstance(metrics, Newest) and isinstance(logs, Newest) and isinstance(clock, Clock)
    if clock.ahead_s is None and logs.received and logs.received > session.now:
        behind = (logs.received - session.now).total_seconds()
        clock = Clock(ahead_s=-behind, says="Google received a log entry in what is the future here")
    return Freshness(metrics=metrics, logs=logs, clock=clock)


def newest_point(session: Session, pipeline: PipelineProfile) -> Newest:
    """Of the request subscription's backlog, which is reported while nothing moves, too."""
    _, project, _, name = full_subscription(pipeline, Leg.REQUEST).split("/")
    resource = Resource(project, "pubsub_subscription", (("subscription_id", name),))
    span = Span(session.now - BACK_METRICS, session.now, 60)
    try:
        got = fetch(session, resource, span, gauge(f"{PUBSUB}/subscription/num_undelivered_messages"))
    except ApiOff as off:
        return Newest(at=None, says=off.says, api=TIME_SERIES.api, answered=False, mend=off.mend)
    except NotSeen as failed:
        return Newest(at=None, says=failed.says, api=TIME_SERIES.api, answered=False)
    ends = [series.last.end for series in got.series[0] if series.last]
    says = "" if ends else f"no point of {name} in the last hour"
    return Newest(at=max(ends, default=None), says=says, api=TIME_SERIES.api)


def newest_entry(session: Session, pipeline: PipelineProfile) -> Newest:
    """Of any Cloud Run service of the project."""
    asked = 'resource.type="cloud_run_revision"'
    try:
        found = search(session, pipeline.log_places, asked, session.now - BACK_LOGS, session.now, most=1)
    except ApiOff as off:
        return Newest(at=None, says=off.says, api=LOG_ENTRIES.api, answered=False, mend=off.mend)
    except NotSeen as failed:
        return Newest(at=None, says=failed.says, api=LOG_ENTRIES.api, answered=False)
    if not found.items:
        says = found.note or "no entry of a Cloud Run service in the last day"
        return Newest(at=None, says=says, api=LOG_ENTRIES.api)
    entry = found.items[0]
    return Newest(at=moment(entry.timestamp), received=moment(entry.receive_timestamp), api=LOG_ENTRIES.api)


def our_clock(session: Session) -> Clock:
    try:
        theirs, ours = bounded_by(session.allowance(), lambda: _times(session))
    except (OSError, ValueError, LabError) as error:
        return Clock(ahead_s=None, says=f"Google's time could not be asked: {type(error).__name__}")
    return Clock(ahead_s=round((ours - theirs).total_seconds(), 1))


def _times(session: Session) -> tuple[datetime, datetime]:
    """(Google's time, ours at that moment). In the lab, the lab's, against that of this run."""
    if session.lab:
        return find_lab(session.lab.http, session.allowance()).now, session.now
    request = urllib.request.Request(TIME_OF_DAY, method="HEAD", headers={"User-Agent": OUR_USER_AGENT})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=session.allowance()) as answer:  # noqa: S310
            said = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        with error:
            said = error.headers["Date"]  # a 404 knows the time as well
    half = timedelta(seconds=(time.monotonic() - began) / 2)
    return parsedate_to_datetime(said or ""), datetime.now(UTC) - half
