"""Pull, and the switch between push and pull, as Google documents them; asked by Google's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from tests.lab.bench import ASK, PROJECT, Bench, bench, sub


@pytest.fixture
def site() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


def switch(site: Bench, push_config: dict[str, Any], name: str = "jobs-push") -> None:
    site.subscriber.modify_push_config(request={"subscription": sub(name), "push_config": push_config}, **ASK)


def shown(site: Bench, name: str = "jobs-push") -> types.Subscription:
    return site.subscriber.get_subscription(subscription=sub(name), **ASK)


# --- pull --------------------------------------------------------------------------------------------------------------


def test_a_message_comes_with_all_that_was_published(site: Bench) -> None:
    (id_,) = site.publish("one", attributes={"kind": "x"})
    message = site.pull()["one"].message
    assert (message.message_id, dict(message.attributes)) == (id_, {"kind": "x"})
    assert 0 < site.lab.now() - message.publish_time.timestamp() < 2


def test_what_is_leased_comes_again_after_its_deadline_unless_it_is_moved(site: Bench) -> None:
    site.publish("one", "two")
    first = site.pull(limit=1)
    second = site.pull()
    assert (len(first), len(second), site.pull()) == (1, 1, {})
    site.give_back(first, seconds=600)
    site.lab.advance(31)
    assert set(site.pull()) == set(second)
    site.lab.advance(570)
    assert set(site.pull()) == {"one", "two"}
    assert site.truth()["waiting"] == 2


def test_a_nack_gives_a_message_back_at_once(site: Bench) -> None:
    site.publish("one")
    site.give_back(site.pull())
    site.lab.advance(0.1)
    assert set(site.pull()) == {"one"}


def test_an_ack_counts_while_the_lease_holds(site: Bench) -> None:
    site.publish("one", "two")
    leased = site.pull()
    site.subscriber.acknowledge(subscription=sub("jobs-pull"), ack_ids=[leased["one"].ack_id], **ASK)
    site.lab.advance(31)
    site.subscriber.acknowledge(subscription=sub("jobs-pull"), ack_ids=[leased["two"].ack_id], **ASK)
    told = site.truth()
    assert (told["acked_by_pull"], told["waiting"], told["delivered_by_pull"]) == (1, 1, 2)


def test_a_pull_may_return_nothing_while_messages_wait() -> None:
    with bench(short_pulls="0.5") as site:
        site.publish(*(f"m{n}" for n in range(10)))
        got = []
        for _ in range(30):
            leased = site.pull()
            got.append(len(leased))
            if leased:
                site.give_back(leased)
            site.lab.advance(0.1)
        assert max(got) == 10
        assert 0 in got and any(0 < n < 10 for n in got)


def test_delivery_attempts_are_told_with_a_dead_letter_policy_only(site: Bench) -> None:
    site.publish("one")
    assert site.pull("jobs-pull")["one"].delivery_attempt == 0
    attempts = []
    for _ in range(3):
        leased = site.pull("jobs-strict")
        attempts.append(leased["one"].delivery_attempt)
        site.give_back(leased, "jobs-strict")
        site.lab.advance(1)
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("lapses", [True, False])
def test_the_last_attempt_dead_letters_whether_given_back_or_lapsed(site: Bench, lapses: bool) -> None:
    site.publish("one")
    for _ in range(5):
        leased = site.pull("jobs-strict")
        if not lapses:
            site.give_back(leased, "jobs-strict")
        site.lab.advance(11)
    assert site.truth("jobs-strict")["dead_lettered_by_pull"] == 1
    assert site.truth("jobs-strict")["waiting"] == 0
    assert set(site.pull("dead-pull")) == {"one"}


def test_a_pull_that_does_not_count_burns_no_attempt() -> None:
    with bench(pull_counts="false") as site:
        site.publish("one")
        for _ in range(6):
            site.give_back(site.pull("jobs-strict"), "jobs-strict")
            site.lab.advance(1)
        assert site.truth("jobs-strict")["dead_lettered_by_pull"] == 0


def test_one_message_of_an_ordering_key_at_a_time(site: Bench) -> None:
    create(site, "ordered", enable_message_ordering=True)
    site.publish("a1", "a2", ordering_key="a")
    site.publish("b1", ordering_key="b")
    site.publish("free")
    first = site.pull("ordered")
    assert set(first) == {"a1", "b1", "free"}
    assert first["a1"].message.ordering_key == "a"
    site.give_back(first, "ordered")
    site.lab.advance(1)
    again = site.pull("ordered")
    assert "a2" not in again
    site.subscriber.acknowledge(subscription=sub("ordered"), ack_ids=[again["a1"].ack_id], **ASK)
    assert set(site.pull("ordered")) == {"a2"}


@pytest.mark.parametrize(
    ("method", "request_", "error", "says"),
    [
        ("pull", {"subscription": sub("jobs-push"), "max_messages": 1}, exceptions.FailedPrecondition, "push subscri"),
        ("pull", {"subscription": sub("jobs-pull"), "max_messages": 0}, exceptions.InvalidArgument, "max_messages"),
        ("pull", {"subscription": sub("gone"), "max_messages": 1}, exceptions.NotFound, "not found"),
        ("acknowledge", {"subscription": sub("jobs-pull"), "ack_ids": []}, exceptions.InvalidArgument, "ack ids"),
        ("acknowledge", {"subscription": sub("jobs-pull"), "ack_ids": ["x"]}, exceptions.InvalidArgument, "ack ID"),
        (
            "modify_ack_deadline",
            {"subscription": sub("jobs-pull"), "ack_ids": ["1:1"], "ack_deadline_seconds": 601},
            exceptions.InvalidArgument,
            "0 to 600",
        ),
    ],
)
def test_what_google_refuses_of_a_pull(
    site: Bench, method: str, request_: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        getattr(site.subscriber, method)(request=request_, **ASK)


# --- push to pull and back ---------------------------------------------------------------------------------------------


def test_a_switch_to_pull_shows_at_once_and_takes_its_time(site: Bench) -> None:
    before = shown(site).push_config
    switch(site, {})
    assert shown(site).push_config.push_endpoint == ""
    site.publish("one")
    pushed = site.truth("jobs-push")["delivered_by_push"]
    assert pushed > 0, "until the change-over pushes go on"
    assert site.pull("jobs-push") == {}
    site.lab.advance(120)
    pushed = site.truth("jobs-push")["delivered_by_push"]
    site.lab.advance(120)
    assert site.truth("jobs-push")["delivered_by_push"] == pushed
    assert set(site.pull("jobs-push")) == {"one"}
    assert before.push_endpoint == "https://nobody.example.com/do"


def test_messages_gather_in_pull_mode_and_are_pushed_after_it(site: Bench) -> None:
    push_config = types.PushConfig.to_dict(shown(site).push_config)
    switch(site, {})
    site.lab.advance(61)
    site.publish("one", "two")
    assert set(site.pull("jobs-push")) == {"one", "two"}
    switch(site, push_config)
    assert types.PushConfig.to_dict(shown(site).push_config) == push_config
    with pytest.raises(exceptions.FailedPrecondition):
        site.pull("jobs-push")
    site.lab.advance(600)
    told = site.truth("jobs-push")
    assert (told["waiting"], told["delivered_by_pull"], told["acked_by_pull"]) == (2, 2, 0)
    assert told["delivered_by_push"] > 0


def test_another_update_does_not_put_off_the_change_over(site: Bench) -> None:
    switch(site, {})
    site.publish("one")
    for n in range(7):
        site.lab.advance(10)
        update(site, "jobs-push", "labels", labels={"n": str(n)})
    assert set(site.pull("jobs-push")) == {"one"}


def test_a_switch_there_and_back_before_the_change_over_changes_nothing(site: Bench) -> None:
    push_config = types.PushConfig.to_dict(shown(site).push_config)
    switch(site, {})
    switch(site, push_config)
    site.publish("one")
    site.lab.advance(120)
    assert site.truth("jobs-push")["delivered_by_push"] > 0


@pytest.mark.parametrize(
    "push_config",
    [
        {"push_endpoint": "https://a.example.com/x?key=1"},
        {"push_endpoint": "https://a.example.com", "oidc_token": {"service_account_email": "a@b", "audience": "c"}},
        {"push_endpoint": "https://a.example.com", "no_wrapper": {"write_metadata": True}},
        {"push_endpoint": "https://a.example.com", "no_wrapper": {}},
        {"push_endpoint": "https://a.example.com", "pubsub_wrapper": {}},
        {"push_endpoint": "https://a.example.com", "attributes": {"x-goog-version": "v1beta1"}},
    ],
)
def test_every_push_config_comes_back_as_it_was_given(site: Bench, push_config: dict[str, Any]) -> None:
    given = types.PushConfig(push_config)
    given.attributes.setdefault("x-goog-version", "v1")
    switch(site, push_config)
    assert shown(site).push_config == given
    switch(site, {})
    assert shown(site).push_config == types.PushConfig()
    switch(site, push_config)
    assert shown(site).push_config == given


def test_the_version_stays_when_it_is_not_given(site: Bench) -> None:
    switch(site, {"push_endpoint": "https://a.example.com", "attributes": {"x-goog-version": "v1beta1"}})
    switch(site, {})
    switch(site, {"push_endpoint": "https://a.example.com"})
    assert dict(shown(site).push_config.attributes) == {"x-goog-version": "v1beta1"}


@pytest.mark.parametrize(
    "push_config",
    [
        {"push_endpoint": "http://a.example.com"},
        {"push_endpoint": "nonsense"},
        {"oidc_token": {"service_account_email": "a@b"}},
        {"push_endpoint": "https://a.example.com", "oidc_token": {"audience": "c"}},
        {"push_endpoint": "https://a.example.com", "attributes": {"x-goog-version": "v9"}},
        {"push_endpoint": "https://a.example.com", "attributes": {"colour": "red"}},
    ],
)
def test_a_push_config_that_is_none_is_refused_and_changes_nothing(site: Bench, push_config: dict[str, Any]) -> None:
    before = shown(site)
    with pytest.raises(exceptions.InvalidArgument):
        switch(site, push_config)
    assert shown(site) == before


def test_who_attaches_a_push_account_has_to_be_able_to_act_as_it() -> None:
    with bench(lacks="iam.serviceAccounts.actAs") as site:
        push_config = types.PushConfig.to_dict(shown(site).push_config)
        switch(site, {})
        with pytest.raises(exceptions.PermissionDenied):
            switch(site, push_config)
        switch(site, {"push_endpoint": push_config["push_endpoint"]})


# --- subscriptions -----------------------------------------------------------------------------------------------------


def create(site: Bench, name: str, topic: str = "jobs", **fields: Any) -> types.Subscription:
    request = {"name": sub(name), "topic": f"{PROJECT}/topics/{topic}", **fields}
    return site.subscriber.create_subscription(request=request, **ASK)


def update(site: Bench, name: str, *mask: str, **fields: Any) -> types.Subscription:
    request = {"subscription": {"name": sub(name), **fields}, "update_mask": {"paths": mask}}
    return site.subscriber.update_subscription(request=request, **ASK)


def test_a_created_subscription_has_googles_defaults(site: Bench) -> None:
    made = create(site, "new")
    assert (made.ack_deadline_seconds, made.message_retention_duration.days, made.expiration_policy.ttl.days) == (
        10,
        7,
        31,
    )
    assert not types.Subscription.pb(made).HasField("retry_policy")
    assert made == shown(site, "new")
    never = create(site, "never", expiration_policy=types.ExpirationPolicy())
    assert not types.ExpirationPolicy.pb(never.expiration_policy).HasField("ttl")


def test_a_new_subscription_gets_what_comes_after_it_and_passes_its_filter(site: Bench) -> None:
    site.publish("before", attributes={"kind": "x"})
    create(site, "new", filter='attributes.kind = "x"', labels={"made-by": "probe"})
    site.publish("match", attributes={"kind": "x"})
    site.publish("other")
    assert set(site.pull("new")) == {"match"}
    assert dict(shown(site, "new").labels) == {"made-by": "probe"}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "ab"}, exceptions.InvalidArgument),
        ({"name": "9abc"}, exceptions.InvalidArgument),
        ({"name": "google"}, exceptions.InvalidArgument),
        ({"name": "jobs-pull"}, exceptions.AlreadyExists),
        ({"topic": "none"}, exceptions.NotFound),
        ({"ack_deadline_seconds": 9}, exceptions.InvalidArgument),
        ({"ack_deadline_seconds": 601}, exceptions.InvalidArgument),
        ({"message_retention_duration": {"seconds": 599}}, exceptions.InvalidArgument),
        ({"message_retention_duration": {"seconds": 32 * 86400}}, exceptions.InvalidArgument),
        (
            {"expiration_policy": {"ttl": {"seconds": 86399}}, "message_retention_duration": {"seconds": 600}},
            exceptions.InvalidArgument,
        ),
        ({"expiration_policy": {"ttl": {"seconds": 86400}}}, exceptions.InvalidArgument),
        ({"filter": "nonsense"}, exceptions.InvalidArgument),
        ({"labels": {"Upper": "x"}}, exceptions.InvalidArgument),
        ({"labels": {"x": "with space"}}, exceptions.InvalidArgument),
        ({"tags": {"a": "b"}}, exceptions.InvalidArgument),
        (
            {"dead_letter_policy": {"dead_letter_topic": f"{PROJECT}/topics/none"}},
            exceptions.NotFound,
        ),
        (
            {"dead_letter_policy": {"dead_letter_topic": f"{PROJECT}/topics/dead", "max_delivery_attempts": 4}},
            exceptions.InvalidArgument,
        ),
        (
            {"enable_exactly_once_delivery": True, "push_config": {"push_endpoint": "https://a.example.com"}},
            exceptions.InvalidArgument,
        ),
    ],
)
def test_a_subscription_that_google_refuses_is_not_created(
    site: Bench, fields: dict[str, Any], error: type[Exception]
) -> None:
    before = site.control("GET", "/lab/truth")
    with pytest.raises(error):
        create(site, **{"name": "new", **fields})
    assert site.control("GET", "/lab/truth") == before


def test_an_update_sets_what_the_mask_names_and_nothing_else(site: Bench) -> None:
    update(site, "jobs-push", "labels", labels={"a": "b"}, ack_deadline_seconds=99)
    found = shown(site)
    assert (dict(found.labels), found.ack_deadline_seconds) == ({"a": "b"}, 10)
    assert found.push_config.push_endpoint
    update(site, "jobs-push", "labels", "push_config")
    found = shown(site)
    assert (dict(found.labels), found.push_config.push_endpoint) == ({}, "")
    update(site, "jobs-strict", "dead_letter_policy")
    assert not types.Subscription.pb(shown(site, "jobs-strict")).HasField("dead_letter_policy")


@pytest.mark.parametrize(
    "mask",
    [(), ("pushConfig",), ("push_config.push_endpoint",), ("labels", "nonsense"), ("filter",), ("topic",), ("name",)],
)
def test_a_mask_that_google_does_not_take_changes_nothing(site: Bench, mask: tuple[str, ...]) -> None:
    before = shown(site)
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        update(site, "jobs-push", *mask, labels={"a": "b"})
    assert shown(site) == before


def test_a_deleted_subscription_is_gone(site: Bench) -> None:
    site.subscriber.delete_subscription(subscription=sub("jobs-pull"), **ASK)
    with pytest.raises(exceptions.NotFound):
        shown(site, "jobs-pull")
    create(site, "jobs-pull")
    assert site.pull() == {}


def test_changes_leave_the_audit_entries_of_their_author_and_pulls_none(site: Bench) -> None:
    create(site, "new")
    update(site, "new", "labels", labels={"a": "b"})
    switch(site, {})
    site.publish("one")
    site.give_back(site.pull("new"), "new")
    site.subscriber.delete_subscription(subscription=sub("new"), **ASK)
    site.lab.advance(10)
    caller = site.control("GET", "/lab")["caller"]
    written = [p for p in site.audited() if p["authenticationInfo"]["principalEmail"] == caller]
    methods = [p["methodName"].rpartition(".")[2] for p in written]
    assert methods == ["CreateSubscription", "UpdateSubscription", "ModifyPushConfig", "DeleteSubscription"]
    assert written[1]["request"]["updateMask"] == "labels"


def test_what_comes_in_is_what_went_and_what_waits(site: Bench) -> None:
    site.publish(*(f"m{n}" for n in range(20)))
    leased = site.pull("jobs-strict", 8)
    acked = [r.ack_id for r in list(leased.values())[:3]]
    site.subscriber.acknowledge(subscription=sub("jobs-strict"), ack_ids=acked, **ASK)
    for _ in range(5):
        site.lab.advance(12)
        site.pull("jobs-strict", 4)
    site.lab.advance(60)
    told = site.truth("jobs-strict")
    went = sum(told[k] for k in ("acked_by_pull", "dead_lettered_by_pull", "dropped", "purged"))
    assert told["published"] == 20 == went + told["waiting"]
    assert (told["acked_by_pull"], len(told["waiting_ids"])) == (3, told["waiting"])
