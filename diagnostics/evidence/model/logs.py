"""What Cloud Logging tells: calls, marker lines, requests, instances, changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from diagnostics.evidence.model.answered import (
    IN_CACHE,
    PASSED_ON,
    By,
    Death,
    Ended,
    answered_by,
    death,
    ended,
    reached,
)
from diagnostics.evidence.model.base import OUR_USER_AGENT, Evidence


class StartCall(Struct, frozen=True, kw_only=True):
    """One request to the coordinator's start path, from its request log."""

    at: datetime
    """When the call began, as well as the log can say."""
    status: int
    latency_s: float
    user_agent: str = ""
    trace: str = ""
    reached_app: bool = True
    """False: Google's front end answered (no instanceId)."""
    text: str = ""


class StartCalls(Evidence, frozen=True, kw_only=True):
    """Calls to the coordinator's start path over the look-back, oldest first."""

    calls: tuple[StartCall, ...]


class Means(StrEnum):
    """What a marker line means. The profile maps log lines of a pipeline to these."""

    RECEIVED = "received"
    """The coordinator took a start call."""
    REFUSED = "refused"
    """It refused one; captures `blocker`, the batch that is in the way, where it can."""
    PHASE = "phase"
    """A phase of a start began or ended; captures `phase`."""
    CREATED = "created"
    """Batch state was written; captures `batch` and `expected`."""
    GATE = "gate"
    """A gate decided how many items to publish; captures `count` (passed), `of`, and optional reasons as further numbers."""
    PUBLISH_ERROR = "publish_error"
    """Publishing an item failed; captures `item` where it can."""
    PUBLISHED_ITEM = "published_item"
    """One item was published; captures `item`."""
    PUBLISHED = "published"
    """The coordinator's count for the batch; captures `count`, optional `failed` and `of`."""
    EXPECTED = "expected"
    """What the batch expects was changed after it was made; captures `batch` and `expected`."""
    EMPTY = "empty"
    """The batch is empty by design; captures `reason` where it can."""
    STARTED_ITEM = "started_item"
    """A push of this item reached worker code."""
    DONE_ITEM = "done_item"
    """The worker finished the item."""
    SKIPPED_ITEM = "skipped_item"
    """The worker gave the item up and acked it; captures `reason`."""
    FAILED_ITEM = "failed_item"
    """The worker failed on the item and did not ack it; captures `reason`."""
    WRITE_FAILED = "write_failed"
    """The worker could not store what it had made of the item, whatever it answered then; captures `item`, and `reason` where it can."""
    BAD_MESSAGE = "bad_message"
    """A message the worker cannot read."""
    COMPLETION_ERROR = "completion_error"
    """Publishing the completion failed; captures `topic` or `reason` where it can."""
    RETURNED_ITEM = "returned_item"
    """The coordinator took the completion of an item."""
    RETURN_REJECTED = "return_rejected"
    """It did not take one; captures `item` and `reason` where it can."""
    RECORDED_ITEM = "recorded_item"
    """It counted the item in the batch state; captures `item`."""
    RECORD_ERROR = "record_error"
    """It could not; captures `item` and `reason` where it can."""
    CLOSED = "closed"
    """The batch was closed; captures `count` and `of` where it can."""
    FORCED = "forced"
    """The batch was closed or reset by hand or by age, with work missing."""


class Mark(Struct, frozen=True, kw_only=True):
    """One marker line: what the profile's pattern captured of it."""

    means: Means
    at: datetime
    service: str
    revision: str = ""
    instance: str = ""
    trace: str = ""
    batch: str = ""
    item: str = ""
    correlation: str = ""
    date: str = ""
    numbers: dict[str, int] = {}
    """Captured groups that are whole numbers: expected, count, of, failed, …"""
    words: dict[str, str] = {}
    """Other captured groups: reason, blocker, topic, phase."""
    many: int = 1
    """So many items have this line, each a line of its own: where a batch has too many to read each, one item stands for all whose story
    is the same."""


def items_of(marks: Iterable[Mark]) -> int:
    """How many items these lines name, those included that they stand for."""
    return sum({m.item: m.many for m in marks if m.item}.values())


class BatchMarks(Evidence, frozen=True, kw_only=True):
    """Marker lines about whole batches (received to published, closed) over the look-back, oldest first."""

    marks: tuple[Mark, ...]


class ItemMarks(Evidence, frozen=True, kw_only=True):
    """Marker lines about items in the window, both services, oldest first."""

    by_line: ClassVar[bool] = True
    since: datetime
    marks: tuple[Mark, ...]
    unread_until: datetime | None = None
    """Where there were too many: until when lines of the batch may have been left out between those that were read; None: none were."""
    engine: str = ""
    """Where the profile names a dataset of Log Analytics: that the lines were read by SQL, and how much of it, or why not; else empty."""


class LogRow(Struct, frozen=True, kw_only=True):
    """One request-log entry of a receiving service."""

    at: datetime
    method: str
    path: str
    status: int
    latency_s: float
    user_agent: str = ""
    instance: str = ""
    """Empty: the request never reached a container. Not empty: it did, which does not say that its program answered (`by`)."""
    revision: str = ""
    text: str = ""

    @property
    def by(self) -> By:
        """Who answered."""
        return answered_by(self.status, self.instance, self.text)

    @property
    def ended(self) -> Ended | None:
        """How Cloud Run ended the request, where it did."""
        return ended(self.status, self.instance, self.text)

    @property
    def reached(self) -> bool:
        """Whether a program took the request, whoever answered it in the end."""
        return reached(self.status, self.instance, self.text)

    @property
    def ours(self) -> bool:
        """Whether some version of this tool made the call."""
        return self.user_agent.startswith(OUR_USER_AGENT.split("/")[0])

    @property
    def uptime(self) -> bool:
        """Whether it is one of Google's uptime checks."""
        return "UptimeChecks" in self.user_agent

    def pushed_to(self, path: str) -> bool:
        """Whether it may be a push to this path: pushes are POST, and neither an uptime check nor a call of this tool."""
        return self.method == "POST" and self.path.split("?")[0] == path and not self.ours and not self.uptime


PUSHERS = ("APIs-Google", "CloudPubSub")
"""In the user agents of pushes, as public logs have them: Google documents none, and they have changed over the years."""

FINE_AT_MOST = 100
"""So many entries below 300 are read of a service at most: enough to know that its log is written and that pushes arrive."""


class RequestLog(Evidence, frozen=True, kw_only=True):
    """Request log of the leg's receiving service in the window, oldest first: every refusal and failure, on any path,
    and a sample of what went well (so that silence can be told from a log that is not written)."""

    per_leg: ClassVar[bool] = True
    push_path: str
    refused: tuple[LogRow, ...]
    """Status 300 and up."""
    fine: tuple[LogRow, ...]
    """Newest entries below 300, `FINE_AT_MOST` of them."""
    fine_since: datetime | None = None
    """The log was read for them back to then; None: not known."""

    def pushes(self, path: str = "") -> tuple[LogRow, ...]:
        """The entries that are pushes, to the path of the profile or to this one. A person or a scanner may call them, too: where
        entries have the user agent of pushes as it is known, those of another are no pushes."""
        paths = {self.push_path, path} - {""}
        called = tuple(r for r in (*self.refused, *self.fine) if any(r.pushed_to(at) for at in paths))
        known = tuple(r for r in called if any(name in r.user_agent for name in PUSHERS))
        return known or called

    def has_all_fine(self, since: datetime) -> bool:
        """Whether all entries below 300 since then were read."""
        if not self.source.complete:
            return False
        if len(self.fine) < FINE_AT_MOST:
            return self.fine_since is None or self.fine_since <= since
        return self.fine[0].at < since


class BalancedRow(Struct, frozen=True, kw_only=True):
    """One request-log entry of a load balancer."""

    at: datetime
    method: str
    status: int
    latency_s: float
    user_agent: str = ""
    details: str = ""
    """Why it ended so, in the balancer's word: `statusDetails` of a global one, `proxyStatus` of a regional one."""
    policy: str = ""
    """The security policy of Cloud Armor that denied it."""
    backend: str = ""
    """The backend service that it was for; empty: none was picked."""

    @property
    def by(self) -> By:
        """Who answered. Without a word of its own the balancer passed on what it was given."""
        return By.BALANCER if self.policy or self.details not in ("", PASSED_ON, IN_CACHE) else By.BACKEND


class BalancerLog(Evidence, frozen=True, kw_only=True):
    """Pushes of the leg that were not acked, in the log of the load balancer that answers at the endpoint's own domain, oldest first.

    It tells of some: each backend service says of how many requests it logs, from all to none. What is not there is no absence."""

    per_leg: ClassVar[bool] = True
    host: str
    rows: tuple[BalancedRow, ...]


class PlatformLine(Struct, frozen=True, kw_only=True):
    at: datetime
    log: str
    """"varlog/system", "stderr" or "stdout"."""
    severity: str
    text: str
    """Redacted, at most 300 characters."""
    revision: str = ""
    instance: str = ""

    @property
    def death(self) -> Death | None:
        """How a container went away, where the line tells of it."""
        return death(self.text)

    @property
    def printed(self) -> bool:
        """Whether the program printed it."""
        return self.log in ("stdout", "stderr")


class PlatformLines(Evidence, frozen=True, kw_only=True):
    """Lines of Cloud Run about instances (starts, exits, memory, probes) of the receiving service in the window, its ERROR lines, and the
    last lines, of any severity, of containers that went away: plain text has none, so the reason of a crash mostly has none, either."""

    per_leg: ClassVar[bool] = True
    by_line: ClassVar[bool] = True
    lines: tuple[PlatformLine, ...]


class Change(Struct, frozen=True, kw_only=True):
    """One configuration change from the audit logs, failed attempts included."""

    at: datetime
    api: str
    """pubsub.googleapis.com, run.googleapis.com, iam.googleapis.com, …"""
    method: str
    """Last part of the method name: UpdateSubscription, ReplaceService, SetIamPolicy, …"""
    resource: str
    """Short resource name: kind/name, e.g. "subscriptions/prediction-request-prod"."""
    by: str
    """Service principals as they are; people as "person-1f0c", the same wherever that person occurs."""
    ok: bool = True
    says: str = ""
    """What changed where the payload tells, else the status message."""
    failed: str = ""
    """What Cloud Run said of it when it did not come to its end; empty: it did, or that is not known."""


class ChangeLog(Evidence, frozen=True, kw_only=True):
    """Activity, system-event and policy log entries about the pipeline's resources over the look-back, oldest first; where no batch of
    it was good, of the time before it, too."""

    by_line: ClassVar[bool] = True
    since: datetime
    changes: tuple[Change, ...]
