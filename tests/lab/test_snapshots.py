"""Snapshots and seek, as Google documents them; asked by Google's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from tests.lab.bench import ASK, PROJECT, Bench, bench, snap, sub

DAY = 86400.0
HOUR = 3600.0


@pytest.fixture
def site() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


def take(site: Bench, name: str = "before", of: str = "jobs-pull", **fields: Any) -> types.Snapshot:
    request = {"name": snap(name), "subscription": sub(of), **fields}
    return site.subscriber.create_snapshot(request=request, **ASK)


def seek(site: Bench, to: str | float, name: str = "jobs-pull") -> None:
    """To a snapshot, or to a moment (simulated seconds since the epoch)."""
    target = {"snapshot": snap(to)} if isinstance(to, str) else {"time": datetime.fromtimestamp(to, UTC)}
    site.subscriber.seek(request={"subscription": sub(name), **target}, **ASK)
    site.lab.advance(0.5)


def create(site: Bench, name: str, topic: str = "jobs", **fields: Any) -> None:
    request = {"name": sub(name), "topic": f"{PROJECT}/topics/{topic}", **fields}
    site.subscriber.create_subscription(request=request, **ASK)


def ack(site: Bench, received: dict[str, Any], *texts: str, name: str = "jobs-pull") -> None:
    ids = [received[text].ack_id for text in texts]
    site.subscriber.acknowledge(subscription=sub(name), ack_ids=ids, **ASK)


# --- snapshots ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_retains_what_is_unacked_and_what_is_published_later(site: Bench) -> None:
    site.publish("done", "leased", "waiting")
    ack(site, site.pull(), "done")
    take(site)
    site.publish("later")
    site.lab.advance(31)
    ack(site, site.pull(), "leased", "waiting", "later")
    assert site.pull() == {}
    seek(site, "before")
    assert set(site.pull()) == {"leased", "waiting", "later"}


def test_it_gives_another_subscription_the_same_state_and_leaves_its_source_alone(site: Bench) -> None:
    site.publish("done", "open")
    ack(site, site.pull(), "done")
    take(site)
    before = site.truth()
    create(site, "copy")
    seek(site, "before", "copy")
    found = site.pull("copy")
    assert set(found) == {"open"}
    site.give_back(found, "copy")
    assert site.truth() == before


def test_a_later_subscription_may_not_get_what_is_older_than_itself() -> None:
    with bench(snapshot_brings_older="false") as site:
        site.publish("old")
        take(site)
        site.publish("between")
        create(site, "copy")
        site.publish("new")
        seek(site, "before", "copy")
        assert set(site.pull("copy")) == {"new"}
        seek(site, "before")
        assert set(site.pull()) == {"old", "between", "new"}, "an older subscription gets all of it"


def test_what_the_target_had_beyond_the_snapshot_is_acknowledged(site: Bench) -> None:
    create(site, "copy")
    site.publish("done", "open")
    ack(site, site.pull(), "done")
    take(site)
    seek(site, "before", "copy")
    assert set(site.pull("copy")) == {"open"}
    assert site.truth("copy")["purged"] == 1


def test_the_targets_filter_and_retention_hold(site: Bench) -> None:
    site.publish("old", attributes={"kind": "x"})
    site.lab.advance(HOUR)
    site.publish("wanted", attributes={"kind": "x"})
    site.publish("other")
    take(site)
    create(site, "copy", filter='attributes.kind = "x"', message_retention_duration={"seconds": 1800})
    seek(site, "before", "copy")
    assert set(site.pull("copy")) == {"wanted"}


def test_its_lifetime_is_seven_days_less_the_age_of_the_oldest_message(site: Bench) -> None:
    assert take(site, "empty").expire_time.timestamp() == pytest.approx(site.lab.now() + 7 * DAY, abs=1)
    site.publish("old")
    site.lab.advance(3 * DAY)
    made = take(site, labels={"made-by": "probe"})
    assert made.expire_time.timestamp() == pytest.approx(site.lab.now() + 4 * DAY, abs=2)
    assert (made.topic, dict(made.labels)) == (f"{PROJECT}/topics/jobs", {"made-by": "probe"})
    assert site.subscriber.get_snapshot(snapshot=snap("before"), **ASK) == made
    assert made in list(site.subscriber.list_snapshots(project=PROJECT, **ASK))
    site.lab.advance(4 * DAY + 5)
    with pytest.raises(exceptions.NotFound):
        site.subscriber.get_snapshot(snapshot=snap("before"), **ASK)
    (gone, _) = (p["methodName"] for p in site.audited("system_event"))
    assert gone == "google.pubsub.v1.Subscriber.InternalExpireInactiveSnapshot"


@pytest.mark.parametrize(("age_s", "refused"), [(7 * DAY - HOUR - 60, False), (7 * DAY - HOUR + 60, True)])
def test_it_is_refused_when_the_backlog_is_older_than_six_days_and_23_hours(age_s: float, refused: bool) -> None:
    with bench() as site:
        create(site, "keeps", message_retention_duration={"seconds": 31 * 86400}, expiration_policy={})
        site.publish("old")
        site.lab.advance(age_s)
        if not refused:
            take(site, of="keeps")
            return
        with pytest.raises(exceptions.FailedPrecondition, match="source subscription's backlog is too old"):
            take(site, of="keeps")
        assert list(site.subscriber.list_snapshots(project=PROJECT, **ASK)) == []


def test_a_deleted_snapshot_is_gone_and_a_name_is_taken_once(site: Bench) -> None:
    take(site)
    with pytest.raises(exceptions.AlreadyExists):
        take(site)
    site.subscriber.delete_snapshot(snapshot=snap("before"), **ASK)
    for again in (site.subscriber.get_snapshot, site.subscriber.delete_snapshot):
        with pytest.raises(exceptions.NotFound):
            again(snapshot=snap("before"), **ASK)
    take(site)


def test_a_snapshot_outlives_its_subscription(site: Bench) -> None:
    site.publish("one")
    take(site)
    site.subscriber.delete_subscription(subscription=sub("jobs-pull"), **ASK)
    create(site, "copy")
    seek(site, "before", "copy")
    assert set(site.pull("copy")) == {"one"}


def test_its_metrics_count_the_backlog_without_a_pull(site: Bench) -> None:
    site.publish("one", "two")
    site.lab.advance(100)
    take(site)
    assert site.gauge("snapshot/num_messages", snapshot_id="before") == 2
    assert site.gauge("snapshot/oldest_message_age", snapshot_id="before") == pytest.approx(101, abs=2)
    assert site.gauge("snapshot/backlog_bytes", snapshot_id="before") == 6
    site.publish("three")
    assert site.gauge("snapshot/num_messages", snapshot_id="before") == 3
    site.subscriber.delete_snapshot(snapshot=snap("before"), **ASK)
    assert site.gauge("snapshot/num_messages", snapshot_id="before") is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": snap("ab")}, exceptions.InvalidArgument),
        ({"name": sub("before")}, exceptions.InvalidArgument),
        ({"subscription": sub("gone")}, exceptions.NotFound),
        ({"labels": {"Made By": "probe"}}, exceptions.InvalidArgument),
        ({"tags": {"a": "b"}}, exceptions.InvalidArgument),
    ],
)
def test_a_snapshot_that_google_refuses(site: Bench, fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        site.subscriber.create_snapshot(
            request={"name": snap("x-y"), "subscription": sub("jobs-pull"), **fields}, **ASK
        )


@pytest.mark.parametrize("lacks", ["pubsub.snapshots.create", "pubsub.subscriptions.consume"])
def test_a_snapshot_needs_two_permissions(lacks: str) -> None:
    with bench(lacks=lacks) as site, pytest.raises(exceptions.PermissionDenied, match="User not authorized"):
        take(site)


def test_seeking_to_a_snapshot_needs_more_than_seeking_to_a_time() -> None:
    with bench(lacks="pubsub.snapshots.seek") as site:
        take(site)
        seek(site, site.lab.now())
        with pytest.raises(exceptions.PermissionDenied):
            seek(site, "before")


def test_changes_are_audited_and_a_seek_is_not(site: Bench) -> None:
    take(site)
    seek(site, "before")
    site.subscriber.delete_snapshot(snapshot=snap("before"), **ASK)
    written = site.audited()
    assert [p["methodName"].rpartition(".")[2] for p in written] == ["CreateSnapshot", "DeleteSnapshot"]
    assert {p["resourceName"] for p in written} == {snap("before")}


# --- seek --------------------------------------------------------------------------------------------------------------


def test_a_seek_forward_purges_and_one_back_brings_only_what_is_retained(site: Bench) -> None:
    site.publish("old")
    site.lab.advance(60)
    since = site.lab.now()
    site.publish("new")
    seek(site, since)
    assert set(site.pull()) == {"new"}
    seek(site, since - 600)
    site.lab.advance(31)
    assert set(site.pull()) == {"new"}, "acknowledged messages are not retained"


def test_retained_messages_come_back(site: Bench) -> None:
    create(site, "keeps", retain_acked_messages=True)
    start = site.lab.now()
    site.publish("one")
    site.lab.advance(60)
    site.publish("two")
    ack(site, site.pull("keeps"), "one", "two", name="keeps")
    seek(site, start + 30, "keeps")
    assert set(site.pull("keeps")) == {"two"}
    seek(site, start, "keeps")
    assert set(site.pull("keeps")) == {"one"}, "two is still leased"


def test_a_topic_that_retains_brings_what_is_older_than_the_subscription(site: Bench) -> None:
    site.lab.world.topics["jobs"].retention_s = HOUR
    start = site.lab.now()
    site.publish("too old")
    site.lab.advance(HOUR)
    site.publish("old")
    create(site, "late")
    seek(site, start, "late")
    assert set(site.pull("late")) == {"old"}


def test_a_seek_may_take_a_minute_to_be_fully_effective() -> None:
    with bench(seek_settles_s="55") as site:
        texts = {f"m{n}" for n in range(30)}
        site.publish(*texts)
        take(site)
        create(site, "copy")
        seek(site, "before", "copy")
        first = set(site.pull("copy"))
        assert first < texts
        site.lab.advance(60)
        assert set(site.pull("copy")) | first == texts
        seek(site, site.lab.now())
        assert site.truth()["waiting"] == 0
        late = set(site.pull())
        assert late, "what was waiting may yet be delivered"
        site.lab.advance(60)
        assert site.pull() == {}


def test_a_seek_back_before_the_first_has_settled_loses_nothing() -> None:
    with bench(seek_settles_s="55") as site:
        texts = {f"m{n}" for n in range(30)}
        site.publish(*texts)
        take(site)
        seek(site, site.lab.now())
        seek(site, "before")
        site.lab.advance(60)
        assert set(site.pull()) == texts
        assert site.truth()["waiting"] == 30


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        ({"subscription": sub("jobs-pull")}, exceptions.InvalidArgument, "No target"),
        ({"subscription": sub("jobs-pull"), "snapshot": snap("gone")}, exceptions.NotFound, "not found"),
        ({"subscription": sub("other-pull"), "snapshot": snap("before")}, exceptions.FailedPrecondition, "topic"),
    ],
)
def test_a_seek_that_google_refuses(site: Bench, request_: dict[str, Any], error: type[Exception], says: str) -> None:
    take(site)
    with pytest.raises(error, match=says):
        site.subscriber.seek(request=request_, **ASK)
