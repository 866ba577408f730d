"""The witness of a self-test: looks at every answer as it arrives and keeps its shape."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.run.selftest.entries import Entries
from diagnostics.run.selftest.points import Points
from diagnostics.run.selftest.shape import Shape, plain, spread
from diagnostics.run.selftest.words import Words, host_kind
from diagnostics.transport.rpcs import GET_ROLE, LIST_DESCRIPTORS, LOG_ENTRIES, TIME_SERIES, Rpc
from diagnostics.transport.witness import Witness

LOG_PAGES = 30
"""Pages of logs that a self-test reads at most: half of what a project may read in a minute (60)."""
REASONS = frozenset(
    {
        "IAM_PERMISSION_DENIED", "SERVICE_DISABLED", "USER_PROJECT_DENIED", "CONSUMER_INVALID", "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "BILLING_DISABLED", "RATE_LIMIT_EXCEEDED", "RESOURCE_QUOTA_EXCEEDED", "SECURITY_POLICY_VIOLATED", "RESOURCE_NOT_FOUND",
        "ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "CREDENTIALS_MISSING", "ACCOUNT_STATE_INVALID",
    }
)  # fmt: skip
"""Reasons in errors that the code has been told of (google.api.ErrorReason)."""
OPEN_ROLE, INVOKES = "roles/run.developer", "run.routes.invoke"
"""A role of Google's of which public pages disagree whether it lets one invoke a service, and the permission for that."""
LISTS = ("entries", "time_series", "metric_descriptors", "subscriptions", "services", "revisions")
"""Fields that hold what a list call is about."""


@dataclass
class Calls:
    """What became of the calls of one kind."""

    shape: Shape
    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)


class Watcher(Witness):
    """Safe to use from many threads. Never raises but to keep a log from being read beyond `log_pages`."""

    def __init__(self, words: Words, now: datetime, log_pages: int = LOG_PAGES) -> None:
        self.words = words
        self.entries = Entries(words)
        self.points = Points(words, now)
        self.odd: Counter[str] = Counter()
        self.status_calls: Counter[str] = Counter()
        self.status_seconds: list[float] = []
        self.hosts: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()
        self._calls: dict[str, Calls] = {}
        self._left = log_pages
        self._lock = threading.Lock()

    # --- as a witness ---------------------------------------------------------------------------------------------------

    def asks(self, rpc: Rpc) -> None:
        if rpc != LOG_ENTRIES:
            return
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise NotSeen(Why.NOT_ASKED, "the self-test has read as many pages of logs as it may")

    def answered(self, rpc: Rpc, request: dict[str, Any], reply: Any, seconds: float) -> None:
        with self._lock:
            self._safely(rpc, lambda: self._answered(rpc, request, reply, seconds))

    def failed(self, rpc: Rpc, request: dict[str, Any], error: Exception, seconds: float) -> None:
        with self._lock:
            self._safely(rpc, lambda: self._failed(rpc, request, error, seconds))

    def visited(self, status: int, content_type: str, text: str, seconds: float) -> None:
        with self._lock:
            kind = content_type.partition(";")[0].strip()
            held = f"JSON, {len(said)} fields" if isinstance(said := _json(text), dict) else "not a JSON object"
            self.status_calls[f"{status or 'no answer'}, {self.words.name(kind) or 'no content type'}, {held}"] += 1
            self.status_seconds.append(seconds)

    # --- what was seen --------------------------------------------------------------------------------------------------

    def told(self) -> dict[str, Any]:
        """Each kind of call: how often, how long, with which errors, how the pages were filled, which fields came."""
        with self._lock:
            return {
                name: {
                    "outcomes": dict(calls.outcomes),
                    "seconds": spread(calls.seconds),
                    **({"pages": dict(calls.pages)} if calls.pages else {}),
                    **({"fields": plain(calls.shape.fields)} if calls.shape.fields else {}),
                }
                for name, calls in sorted(self._calls.items())
            }

    def pages(self) -> Counter[str]:
        """How the pages of logs were filled."""
        return self._calls[LOG_ENTRIES.name].pages if LOG_ENTRIES.name in self._calls else Counter()

    def field(self, name: str, path: str) -> Counter[str]:
        """What one field of the replies to one kind of call held."""
        return self._calls[name].shape.fields.get(path, Counter()) if name in self._calls else Counter()

    def oddities(self) -> Counter[str]:
        """All that was not understood, in a sentence, and how often."""
        found = Counter(self.odd) + self.entries.odd + self.points.odd()
        for name, calls in self._calls.items():
            found.update({f"{name}: {says}": n for says, n in calls.shape.odd.items()})
        return found

    def _answered(self, rpc: Rpc, request: dict[str, Any], reply: Any, seconds: float) -> None:
        calls = self._of(rpc)
        calls.seconds.append(seconds)
        calls.outcomes["answered"] += 1
        if not hasattr(reply, "DESCRIPTOR"):
            return  # no message of Google's: the library that asked has made something of it
        calls.shape.add(reply)
        self._page(calls, request, reply)
        if rpc == LOG_ENTRIES:
            self.entries.add(reply.entries)
        elif rpc == TIME_SERIES:
            self.points.add(request, reply)
        elif rpc == GET_ROLE and reply.name == OPEN_ROLE:
            self.roles[f"{OPEN_ROLE} {'holds' if INVOKES in reply.included_permissions else 'lacks'} {INVOKES}"] += 1
        elif rpc == LIST_DESCRIPTORS:
            for described in reply.metric_descriptors:
                self.points.describe(described)
        self._receivers(reply)

    def _page(self, calls: Calls, request: dict[str, Any], reply: Any) -> None:
        names = reply.DESCRIPTOR.fields_by_name
        held = next((getattr(reply, name) for name in LISTS if name in names), None)
        if held is None or "next_page_token" not in names:
            return
        size = int(request.get("page_size") or 0)
        if not reply.next_page_token:
            calls.pages["last"] += 1
        elif not held:
            calls.pages["empty, and more to come"] += 1
        else:
            calls.pages["short, and more to come" if size and len(held) < size else "full, and more to come"] += 1

    def _receivers(self, reply: Any) -> None:
        """The kinds of hosts that pushes go to."""
        found = reply.subscriptions if "subscriptions" in reply.DESCRIPTOR.fields_by_name else (reply,)
        for one in found:
            push = getattr(one, "push_config", None)
            if push is not None and push.push_endpoint:
                self.hosts[host_kind(_host(push.push_endpoint))] += 1

    def _failed(self, rpc: Rpc, request: dict[str, Any], error: Exception, seconds: float) -> None:
        calls = self._of(rpc)
        calls.seconds.append(seconds)
        reason = str(getattr(error, "reason", "") or "")
        domain = str(getattr(error, "domain", "") or "")
        text = str(getattr(error, "message", "") or error)
        shown = " ".join(
            part for part in (self.words.name(reason), f"of {self.words.name(domain)}" if domain else "") if part
        )
        says = f"{type(error).__name__}{f' ({shown})' if shown else ''}: {self.words.sentence(text)}"
        calls.outcomes[says] += 1
        if reason and reason not in REASONS:
            self.odd[f"{rpc.name} was refused for a reason that is not known: {says}"] += 1
        if rpc == TIME_SERIES and type(error).__name__ == "NotFound":
            self.points.missing(request)

    def _of(self, rpc: Rpc) -> Calls:
        return self._calls.setdefault(rpc.name, Calls(Shape(self.words)))

    def _safely(self, rpc: Rpc, work: Callable[[], None]) -> None:
        """What we cannot look at must not disturb the run, and is told."""
        try:
            work()
        except Exception as error:
            self.odd[
                f"{rpc.name}: looking at an answer failed: {type(error).__name__}: {self.words.sentence(str(error))}"
            ] += 1


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
