"""The configuration steps at their edges: what is equal, what is not stated, what could not be seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from diagnostics.evidence.model import (
    Leg,
    Point,
    Provenance,
    PushCounts,
    ReceiverTraffic,
    RevisionSettings,
    Series,
    ServiceConfig,
    ServiceSettings,
    SubscriptionConfig,
    SubscriptionSettings,
    Traffic,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.readings.addresses import host_of, path_of, tag_of, untagged
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.limits import limits
from diagnostics.steps.limits.addressing import addressing
from diagnostics.steps.limits.capacity import capacity
from diagnostics.steps.limits.upkeep import upkeep

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
URL = "https://worker-abc-wl.a.run.app"
DENIED = Unseen(what="X", why=Why.PERMISSION_DENIED, says="x.get is missing", permission="x.get")


def profile(**worker: Any) -> PipelineProfile:
    return PipelineProfile(name="p", project="p", request=LegProfile(subscription="s"), worker=ServiceProfile(**worker))


def subscription(**changes: Any) -> SubscriptionConfig:
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s", topic="projects/p/topics/t", push_endpoint=f"{URL}/work", ack_deadline_s=300
    )
    return SubscriptionConfig(source=SOURCE, settings=msgspec.structs.replace(settings, **changes))


def service(traffic: tuple[Traffic, ...] = (), manual: int | None = None, **revision: Any) -> ServiceConfig:
    template = RevisionSettings(name="worker-2", created=NOW, **{"min_instances": 1, "timeout_s": 300, **revision})
    settings = ServiceSettings(
        name="worker", region="us-west2", uri=URL, urls=(URL,), template=template, latest_ready="worker-2",
        traffic=traffic, manual_instances=manual,
    )  # fmt: skip
    return ServiceConfig(source=SOURCE, name="worker", settings=settings)


def ladder(stated: PipelineProfile, deadline_s: float = 300, **revision: Any) -> dict[str, Status]:
    found = limits(Leg.REQUEST, stated, subscription(ack_deadline_s=deadline_s), service(**revision), DENIED)
    return {f.code: f.status for f in found}


# --- limits in time --------------------------------------------------------------------------------------------------


def test_equal_is_in_order_between_cloud_run_and_the_ack_deadline_and_nowhere_else() -> None:
    assert ladder(profile(service="worker")) == {"limits.in_order": Status.OK}
    assert ladder(profile(service="worker", server_timeout_s=300)) == {"limits.server_over_run": Status.WARNING}
    assert ladder(profile(service="worker", item_timeout_s=300)) == {"limits.item_over_server": Status.WARNING}
    whole = profile(service="worker", item_timeout_s=200, server_timeout_s=200)
    assert ladder(whole) == {"limits.item_over_server": Status.WARNING}


def test_a_service_of_which_nothing_is_stated_is_advised_not_warned() -> None:
    assert ladder(profile(), deadline_s=60) == {"limits.run_over_deadline": Status.ADVICE}
    assert ladder(profile(service="worker"), deadline_s=60) == {"limits.run_over_deadline": Status.WARNING}


def test_a_service_that_takes_start_calls_may_take_longer() -> None:
    assert ladder(profile(service="worker", start_path="/start"), deadline_s=60) == {"limits.in_order": Status.OK}


@pytest.mark.parametrize(("deadline_s", "warm", "told"), [(10, 0, True), (11, 0, False), (10, 1, False)])
def test_ten_seconds_are_too_few_for_a_start(deadline_s: float, warm: int, told: bool) -> None:
    found = ladder(profile(service="worker"), deadline_s, min_instances=warm, timeout_s=10)
    assert ("limits.cold_deadline" in found) is told


# --- retention and expiration ----------------------------------------------------------------------------------------


def kept(**changes: Any) -> list[Finding]:
    return list(upkeep(Leg.REQUEST, Ledger(), profile(), subscription(**changes), DENIED, DENIED, DENIED))


def test_what_is_kept_for_ever_and_never_expires_is_not_mentioned() -> None:
    assert kept() == []
    assert [f.code for f in kept(expiration_s=86400.0)] == ["limits.expires"]
    assert [f.status for f in kept(retention_s=3600)] == [Status.ADVICE]


# --- capacity --------------------------------------------------------------------------------------------------------


def series(*values: float) -> tuple[Series, ...]:
    points = []
    for n, value in enumerate(values, 1):
        end = NOW - timedelta(minutes=n)
        points.append(Point(start=end - timedelta(minutes=1), end=end, value=value))
    return (Series(points=tuple(reversed(points))),)


def fits(rate_per_min: float, takes_s: float, target: ServiceConfig, **hidden: Unseen) -> dict[str, Status]:
    pushes = PushCounts(source=SOURCE, series=series(rate_per_min))
    traffic = ReceiverTraffic(source=SOURCE, requests=(), p50=series(takes_s), p99=())
    seen: dict[str, Any] = {"pushes": pushes, "traffic": traffic, **hidden}
    found = capacity(
        Leg.REQUEST,
        Ledger(),
        profile(service="worker"),
        target,
        DENIED,
        seen["pushes"],
        seen["traffic"],
        DENIED,
        DENIED,
    )
    return {f.code: f.status for f in found}


def test_requests_at_once_are_rate_times_latency() -> None:
    small = service(max_instances=2, concurrency=5)
    assert fits(60, 10, small) == {"limits.capacity": Status.OK}
    assert fits(61, 10, small) == {"limits.too_small": Status.WARNING}


def test_instances_set_by_hand_are_all_there_are() -> None:
    assert fits(60, 10, service(max_instances=100, concurrency=1, manual=9)) == {"limits.too_small": Status.WARNING}


def test_what_was_not_measured_is_not_judged() -> None:
    assert fits(0, 10, service()) == {"limits.capacity_unseen": Status.IDLE}
    assert fits(60, 0, service()) == {"limits.capacity_unseen": Status.IDLE}
    assert fits(60, 10, service(), pushes=DENIED) == {"limits.capacity_unseen": Status.UNKNOWN}
    assert fits(60, 10, service(), traffic=DENIED) == {"limits.capacity_unseen": Status.UNKNOWN}


# --- addresses -------------------------------------------------------------------------------------------------------


def test_parts_of_an_endpoint() -> None:
    url = "https://Blue---worker-abc-wl.a.run.app/work/now?key=1"
    assert (host_of(url), tag_of(url)) == ("blue---worker-abc-wl.a.run.app", "blue")
    assert (untagged(host_of(url)), path_of(url)) == ("worker-abc-wl.a.run.app", "/work/now")
    assert (tag_of(URL), path_of(URL)) == ("", "/")


def test_a_tag_is_told_by_where_it_points() -> None:
    tagged = subscription(push_endpoint="https://blue---worker-abc-wl.a.run.app/work")
    all_else = Traffic(revision="worker-2", percent=100)
    for rows, status in (
        ((all_else,), Status.FAULT),
        ((all_else, Traffic(revision="worker-1", percent=0, tag="blue")), Status.WARNING),
        ((all_else, Traffic(revision="worker-2", percent=0, tag="blue")), Status.ADVICE),
        ((all_else, Traffic(revision="", percent=0, tag="blue")), Status.ADVICE),
    ):
        found = addressing(Leg.REQUEST, profile(), tagged, service(traffic=rows), DENIED, DENIED)
        assert [(f.code, f.status) for f in found] == [("limits.tag_url", status)]
