"""What a self-test reads beyond what the commands read: a few lines of each service, audit entries, series as they are stored."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from diagnostics.evidence.model import Leg
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Marker, PipelineProfile
from diagnostics.run.freshness import Freshness, freshness
from diagnostics.run.markers import known_services
from diagnostics.run.selftest.watcher import OPEN_ROLE
from diagnostics.run.selftest.words import Words
from diagnostics.sources.audit_entries import ACTIVITY, POLICY, SYSTEM_EVENT
from diagnostics.sources.entries import both, logs, of_service, one_of
from diagnostics.sources.entries import field as field_of
from diagnostics.sources.route import Receiver, Services, audit_places, full_subscription, log_places
from diagnostics.sources.search import search
from diagnostics.sources.series import PUBSUB, RUN
from diagnostics.transport.call import NotThere, call, pages
from diagnostics.transport.rpcs import GET_ROLE, TIME_SERIES
from diagnostics.transport.session import Session, together

LINES, CHANGES = 200, 200
"""Entries of a service, and of the audit logs, that are enough."""
LINES_BACK, CHANGES_BACK, SERIES_BACK = timedelta(days=1), timedelta(days=30), timedelta(hours=3)
APIS = ("pubsub.googleapis.com", "run.googleapis.com", "iam.googleapis.com")


@dataclass
class Samples:
    """What became of the reading; what the answers looked like, the witness has seen."""

    lines: Counter[str] = field(default_factory=Counter)
    """Lines of the applications, by what the profile's markers make of them."""
    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Lines with the literal of a marker that no marker reads: (service, what that marker means)."""
    failed: list[str] = field(default_factory=list)
    """What could not be read, and why, by its known words."""
    fresh: Freshness | None = None


def take(session: Session, pipeline: PipelineProfile, words: Words) -> Samples:
    """Read all samples at once. Never raises for what Google says."""
    taken = Samples()
    try:
        services = known_services(session, pipeline)
    except NotSeen as failed:
        services = Services(coordinator=None, worker=None, why=failed.says)
    questions: list[tuple[str, Callable[[], Any]]] = [
        ("freshness and clock", partial(_fresh, session, pipeline, taken)),
        ("audit logs", partial(_changes, session, pipeline, services)),
        (f"the role {OPEN_ROLE}", partial(_role, session)),
        *((f"series of {metric}", partial(_series, session, *of)) for metric, of in _stored(pipeline, services)),
    ]
    for role, receiver, leg in (
        ("worker", services.worker, Leg.REQUEST),
        ("coordinator", services.coordinator, Leg.COMPLETION),
    ):
        if receiver:
            questions.append((f"lines of the {role}", partial(_lines, session, pipeline, receiver, role, taken)))
        elif pipeline.leg(leg):
            taken.failed.append(
                f"lines of the {role}: not asked because {words.sentence(services.why or 'it is not known')}"
            )
    told = together(*(partial(_outcome, words, name, ask) for name, ask in questions))
    taken.failed += [says for says in told if says]
    return taken


def _outcome(words: Words, name: str, ask: Callable[[], Any]) -> str:
    """Why a question was not answered; empty when it was."""
    try:
        ask()
    except (NotSeen, NotThere) as failed:
        return f"{name}: {words.sentence(str(failed))}"
    except Exception as error:
        return f"{name}: reading the answer failed: {type(error).__name__}: {words.sentence(str(error))}"
    return ""


def _fresh(session: Session, pipeline: PipelineProfile, taken: Samples) -> None:
    taken.fresh = freshness(session, pipeline)


def _role(session: Session) -> None:
    with contextlib.suppress(NotThere):  # in the lab
        call(session, GET_ROLE, {"name": OPEN_ROLE})


def _changes(session: Session, pipeline: PipelineProfile, services: Services) -> None:
    asked = both(logs(ACTIVITY, SYSTEM_EVENT, POLICY), one_of("protoPayload.serviceName", APIS))
    places = audit_places(pipeline, services)
    search(session, places, asked, session.now - CHANGES_BACK, session.now, most=CHANGES)


def _lines(session: Session, pipeline: PipelineProfile, receiver: Receiver, role: str, taken: Samples) -> None:
    places = log_places(pipeline, receiver)
    found = search(session, places, of_service(receiver), session.now - LINES_BACK, session.now, most=LINES)
    for entry in found.items:
        if not entry.HasField("http_request") and entry.WhichOneof("payload") in ("text_payload", "json_payload"):
            read, near = marked(entry, [m for m in pipeline.markers if m.service == role])
            taken.lines[f"{role}: {read}"] += 1
            taken.missed.update((role, means) for means in near)


def marked(entry: Any, markers: Sequence[Marker]) -> tuple[str, set[str]]:
    """What the markers make of a line; where none reads it, what those mean whose literal it has."""
    near = set()
    for marker in markers:
        text = field_of(entry, marker.field)
        if marker.contains.lower() in text.lower():
            if re.search(marker.pattern, text):
                return f"read as {marker.means.value}", set()
            near.add(marker.means.value)
    return ("has a marker's literal, and fits no pattern" if near else "fits no marker"), near


def _stored(pipeline: PipelineProfile, services: Services) -> Iterable[tuple[str, tuple[str, str]]]:
    """Metric to project and filter, of series that are read as they are stored: neither aligned nor reduced."""
    _, project, _, name = full_subscription(pipeline, Leg.REQUEST).split("/")
    for metric in ("push_request_count", "num_undelivered_messages"):
        of = f'metric.type="{PUBSUB}/subscription/{metric}" AND resource.type="pubsub_subscription"'
        yield metric, (project, f'{of} AND resource.labels.subscription_id="{name}"')
    if services.worker:
        of = f'metric.type="{RUN}/container/instance_count" AND resource.type="cloud_run_revision"'
        home = services.worker.home(pipeline)
        yield "instance_count", (home, f'{of} AND resource.labels.service_name="{services.worker.service}"')


def _series(session: Session, project: str, query: str) -> None:
    request = {
        "name": f"projects/{project}",
        "filter": query,
        "interval": {"start_time": session.now - SERIES_BACK, "end_time": session.now},
        "page_size": 10_000,
    }
    pages(session, TIME_SERIES, request, "time_series", most=1)
