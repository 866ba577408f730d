"""The collector: at once, in order of need, bounded, and never silent about what is missing."""

# ruff: noqa: ARG001  (a provider's parameters say what it needs, whether it looks at them here or not)

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from diagnostics.evidence.model import (
    AckCounts,
    Evidence,
    EvidenceSet,
    Leg,
    ProjectInfo,
    Provenance,
    PushCounts,
    PushHistory,
    TopicSubscriptions,
    Unseen,
    Why,
)
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.load import profile_of
from diagnostics.question.ask import Ask, window
from diagnostics.sources.collect import BY_THE_WAY, collect
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import SignIn

NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
SeenNames = Annotated[TopicSubscriptions, Leg.REQUEST]
TWO_LEGS = profile_of("projects/p/subscriptions/s", completion="c")
ONE_LEG = profile_of("projects/p/subscriptions/s")


def got(
    providers: Iterable[Any], *kinds: type[Evidence], timeout_s: float = 20, profile: Any = TWO_LEGS
) -> EvidenceSet:
    return collect(session(timeout_s), profile, kinds, Ask(), providers)


def session(timeout_s: float = 20) -> Session:
    who = SignIn(credentials=None, how="lab")
    return Session(now=NOW, timeout_s=timeout_s, signed_in=who, project="p", lab=None)


def topic_subscriptions(leg: Leg) -> TopicSubscriptions:
    return TopicSubscriptions(source=SOURCE, names=(f"of {leg}",))


def project_info(theirs: Annotated[TopicSubscriptions, Leg.COMPLETION]) -> ProjectInfo:
    return ProjectInfo(source=SOURCE, project=theirs.names[0], number="1")


def test_a_kind_of_a_leg_is_fetched_once_for_each_leg_that_exists() -> None:
    both = got([topic_subscriptions], TopicSubscriptions)
    assert {key[1] for key, _ in both.items()} == {Leg.REQUEST, Leg.COMPLETION}
    one = got([topic_subscriptions], TopicSubscriptions, profile=ONE_LEG)
    assert {key[1] for key, _ in one.items()} == {Leg.REQUEST}


def test_only_what_was_asked_for_and_what_it_needs_is_fetched() -> None:
    fetched: list[str] = []

    def unwanted(leg: Leg) -> PushCounts:
        fetched.append(leg)
        return PushCounts(source=SOURCE, series=())

    seen = got([topic_subscriptions, project_info, unwanted], ProjectInfo)
    assert not fetched
    info = seen.get(ProjectInfo)
    assert isinstance(info, ProjectInfo)
    assert info.project == "of completion"


def test_a_second_look_takes_what_the_first_one_saw_and_fetches_nothing_of_it_again() -> None:
    asked: list[str] = []

    def once(leg: Leg) -> TopicSubscriptions:
        asked.append(leg)
        return topic_subscriptions(leg)

    def hidden(leg: Leg) -> PushCounts:
        raise NotSeen(Why.PERMISSION_DENIED, f"no {leg}", "p")

    def counted(counts: Annotated[PushCounts | Unseen, Leg.REQUEST, BY_THE_WAY], names: SeenNames) -> ProjectInfo:
        assert isinstance(counts, Unseen) and counts.why is Why.PERMISSION_DENIED
        return ProjectInfo(source=SOURCE, project=names.names[0], number="1")

    providers = (once, hidden, counted)
    first = got(providers, TopicSubscriptions, PushCounts)
    both = collect(session(), TWO_LEGS, {ProjectInfo}, Ask(), providers, known=first)
    assert sorted(asked) == ["completion", "request"]
    assert isinstance(info := both.get(ProjectInfo), ProjectInfo)
    assert info.project == "of request"
    assert {key: both.get(*key) for key in ((TopicSubscriptions, Leg.REQUEST), (PushCounts, Leg.REQUEST))} == {
        key: first.get(*key) for key in ((TopicSubscriptions, Leg.REQUEST), (PushCounts, Leg.REQUEST))
    }


def test_a_second_look_has_what_is_left_of_the_time_and_costs_nothing_that_was_seen() -> None:
    def stuck() -> ProjectInfo:
        threading.Event().wait(30)
        raise AssertionError

    providers = (topic_subscriptions, stuck)
    first = got(providers, TopicSubscriptions)
    both = collect(session(timeout_s=0), TWO_LEGS, {ProjectInfo}, Ask(), providers, known=first)
    assert isinstance(both.get(TopicSubscriptions, Leg.REQUEST), TopicSubscriptions)
    assert isinstance(late := both.get(ProjectInfo), Unseen) and late.why is Why.TIMED_OUT


def test_what_is_taken_by_the_way_is_fetched_for_whoever_else_needs_it() -> None:
    fetched: list[str] = []

    def counts(leg: Leg) -> PushCounts:
        fetched.append(leg)
        return PushCounts(source=SOURCE, series=())

    def info(counted: Annotated[PushCounts | Unseen, Leg.REQUEST, BY_THE_WAY]) -> ProjectInfo:
        return ProjectInfo(source=SOURCE, project=counted.why if isinstance(counted, Unseen) else "seen", number="1")

    alone = got([counts, info], ProjectInfo)
    assert (fetched, [key for key, _ in alone.items()]) == ([], [("ProjectInfo", None)])
    assert isinstance(told := alone.get(ProjectInfo), ProjectInfo)
    assert told.project == Why.NOT_ASKED
    for kinds in ((ProjectInfo, PushCounts), (PushCounts, ProjectInfo)):
        assert isinstance(told := got([counts, info], *kinds).get(ProjectInfo), ProjectInfo)
        assert told.project == "seen"


def test_independent_providers_run_at_the_same_time() -> None:
    meeting = threading.Barrier(4, timeout=10)

    def counts(leg: Leg) -> PushCounts:
        meeting.wait()
        return PushCounts(source=SOURCE, series=())

    def history(leg: Leg) -> PushHistory:
        meeting.wait()
        return PushHistory(source=SOURCE, series=())

    assert not got([counts, history], PushCounts, PushHistory).unseen()


def test_what_a_provider_could_not_see_is_in_the_set_with_its_reason() -> None:
    def refused(leg: Leg) -> TopicSubscriptions:
        raise NotSeen(Why.PERMISSION_DENIED, "pubsub.topics.get is missing", "pubsub.topics.get", "ask for it")

    found = got([refused], TopicSubscriptions).get(TopicSubscriptions, Leg.REQUEST)
    assert found == Unseen(
        what="TopicSubscriptions",
        leg=Leg.REQUEST,
        why=Why.PERMISSION_DENIED,
        says="pubsub.topics.get is missing",
        permission="pubsub.topics.get",
        mend="ask for it",
    )


def test_a_dependant_is_not_asked_and_passes_the_first_reason_on() -> None:
    def refused(leg: Leg) -> TopicSubscriptions:
        raise NotSeen(Why.PERMISSION_DENIED, "pubsub.topics.get is missing", "pubsub.topics.get")

    def second(info: ProjectInfo, leg: Leg) -> PushCounts:
        raise AssertionError("must not be called")

    found = got([refused, project_info, second], PushCounts).get(PushCounts, Leg.REQUEST)
    assert isinstance(found, Unseen)
    assert found.why is Why.DEPENDS
    assert found.says == "not asked because pubsub.topics.get is missing"
    assert found.permission == "pubsub.topics.get"


def test_a_provider_that_takes_the_absence_is_asked() -> None:
    def refused(leg: Leg) -> TopicSubscriptions:
        raise NotSeen(Why.UNREACHABLE, "down")

    def tolerant(leg: Leg, names: TopicSubscriptions | Unseen) -> PushCounts:
        assert isinstance(names, Unseen)
        return PushCounts(source=SOURCE, series=())

    assert isinstance(got([refused, tolerant], PushCounts).get(PushCounts, Leg.REQUEST), PushCounts)


def test_the_leg_that_the_pipeline_lacks_is_not_configured() -> None:
    found = got([topic_subscriptions, project_info], ProjectInfo, profile=ONE_LEG).get(ProjectInfo)
    assert isinstance(found, Unseen)
    assert "names no completion subscription" in found.says


def test_what_does_not_answer_in_time_is_left_behind_and_the_rest_is_still_said() -> None:
    release = threading.Event()

    def stuck(leg: Leg) -> AckCounts:
        release.wait(60)
        return AckCounts(source=SOURCE, series=())

    def after(leg: Leg, acks: AckCounts) -> PushCounts:
        return PushCounts(source=SOURCE, series=())

    try:
        seen = got([stuck, after, topic_subscriptions], AckCounts, PushCounts, TopicSubscriptions, timeout_s=0.5)
    finally:
        release.set()
    for kind in (AckCounts, PushCounts):
        found = seen.get(kind, Leg.REQUEST)
        assert isinstance(found, Unseen)
        assert found.why is Why.TIMED_OUT
    assert isinstance(seen.get(TopicSubscriptions, Leg.REQUEST), TopicSubscriptions)


def test_an_answer_that_cannot_be_read_takes_nothing_else_along_and_leaks_no_token() -> None:
    def broken(leg: Leg) -> AckCounts:
        raise KeyError("Bearer ya29.abcdefghijklmnop")

    seen = got([broken, topic_subscriptions], AckCounts, TopicSubscriptions)
    found = seen.get(AckCounts, Leg.REQUEST)
    assert isinstance(found, Unseen)
    assert found.why is Why.FAILED
    assert "KeyError" in found.says
    assert "ya29" not in found.says
    assert isinstance(seen.get(TopicSubscriptions, Leg.REQUEST), TopicSubscriptions)


def test_two_providers_of_one_kind_are_a_mistake() -> None:
    with pytest.raises(TypeError, match="both give TopicSubscriptions"):
        got([topic_subscriptions, topic_subscriptions], TopicSubscriptions)


def test_providers_that_need_each_other_are_a_mistake() -> None:
    def first(leg: Leg, other: PushCounts) -> AckCounts:
        return AckCounts(source=SOURCE, series=())

    def second(leg: Leg, other: AckCounts) -> PushCounts:
        return PushCounts(source=SOURCE, series=())

    with pytest.raises(TypeError, match="need each other"):
        got([first, second], AckCounts)


def test_the_window_is_six_hours_while_the_start_is_unknown() -> None:
    seen = got([topic_subscriptions], TopicSubscriptions)
    assert (seen.now - seen.since).total_seconds() == 6 * 3600
    assert seen.lookback.days == 7


def test_a_long_window_has_coarser_points() -> None:
    since = NOW.replace(day=1)
    assert window(Ask(since=since), NOW).step_s == 900
    assert window(Ask(), NOW).step_s == 60
