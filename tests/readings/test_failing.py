"""A few items that fail whatever others do, or everything since a moment: told apart by what others do, and by nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from diagnostics.evidence.model import ItemMarks, Leg, Mark, Means, Point, PushCounts, Series, Unseen, Why
from diagnostics.readings.failing import Failing, _others, _Try, at_first_tries, failing
from diagnostics.readings.ledger import build
from diagnostics.readings.ledger.ledger import DeadLetters
from tests.readings.ledger.test_ledger import BATCH, PROFILE, SOURCE, START, evidence, items, mark
from tests.sampling import examples

UNSEEN = Unseen(what="PushCounts", why=Why.PERMISSION_DENIED, says="may not be read")


def tries(item: str, *minutes: float, good: bool = False, batch: str = "B", takes: float = 0.1) -> list[Mark]:
    """Starts at these minutes; each fails, the last gets through if it is `good`."""
    lines = []
    for n, minute in enumerate(minutes, 1):
        end = Means.DONE_ITEM if good and n == len(minutes) else Means.FAILED_ITEM
        lines += [mark(Means.STARTED_ITEM, minute, item, batch), mark(end, minute + takes, item, batch)]
    return lines


def pushed(until: float = 18, **classes: dict[float, float]) -> PushCounts:
    """Pushes by class: minutes after the batch's begin to how many."""

    def point(minute: float, value: float) -> Point:
        end = START + timedelta(minutes=minute)
        return Point(start=end - timedelta(minutes=1), end=end, value=value)

    return PushCounts(
        source=replace(SOURCE, as_of=START + timedelta(minutes=until)),
        series=tuple(
            Series(labels={"response_class": name}, points=tuple(point(m, v) for m, v in sorted(points.items())))
            for name, points in classes.items()
        ),
    )


def found(
    *lines: Iterable[Mark], pushes: PushCounts | Unseen | None = None, complete: bool = True, since: float = -5
) -> Failing:
    seen = pushed(remote_server_5xx={17: 3}) if pushes is None else pushes
    marks = ItemMarks(
        source=replace(SOURCE, complete=complete),
        since=START + timedelta(minutes=since),
        marks=tuple(sorted((m for each in lines for m in each), key=lambda m: m.at)),
    )
    legged = [] if isinstance(seen, Unseen) else [(("PushCounts", Leg.REQUEST), seen)]
    return failing(build(evidence(BATCH, marks, *legged), PROFILE), marks, seen)


def names(said: Failing) -> list[str]:
    return [i.name for i in said.repeats]


def test_one_that_fails_while_others_get_through_is_the_message() -> None:
    others = [line for n in range(12) for line in tries(f"ok{n}", 1 + n / 2, good=True)]
    said = found(tries("a", 1, 4, 9), others, pushes=pushed(ack={6: 12}))
    assert names(said) == ["a"]
    assert said.broken is None


def test_those_that_finish_with_nothing_do_not_show_that_the_work_can_be_done() -> None:
    """A program that cannot do its work may still finish what needs none."""
    others = [line for n in range(12) for line in tries(f"ok{n}", 1 + n / 2, good=True)]
    hollow = [replace(m, numbers={"results": 0}) if m.means is Means.DONE_ITEM else m for m in others]
    skipped = [replace(m, means=Means.SKIPPED_ITEM) if m.means is Means.DONE_ITEM else m for m in others]
    for finished in (hollow, skipped):
        said = found(tries("a", 1, 4, 9), finished, pushes=pushed(ack={6: 12}))
        assert names(said) == [] and said.broken is None


def test_what_was_given_up_is_no_share_of_luck_and_no_proof_of_this_revision() -> None:
    """Failed twice and then skipped: that the rest fail twice, too, does not mean that they get through later."""
    given_up = [line for n in range(12) for line in tries(f"no{n}", 1 + n / 4, 5 + n / 4, 9 + n / 4, good=True)]
    skipped = [replace(m, means=Means.SKIPPED_ITEM) if m.means is Means.DONE_ITEM else m for m in given_up]
    late = [line for n in range(3) for line in tries(f"a{n}", 10 + n / 4, 11.5 + n / 4)]
    acked = pushed(ack={9: 6, 12: 6}, remote_server_5xx={17: 3})
    lucky, none = (found(lines, late, pushes=acked) for lines in (given_up, skipped))
    assert [i.name for i in lucky.unlucky] == ["a0", "a1", "a2"]
    assert none.unlucky == ()


def test_what_ended_without_a_start_began_before_all_that_was_read() -> None:
    """Work of twenty minutes that ended well does not tell how what is taken up now would fare."""
    long = [mark(Means.DONE_ITEM, 5 + n / 4, f"long{n}") for n in range(8)]
    since = [line for n in range(4) for line in tries(f"a{n}", 2 + n, 9 + n, 13 + n, 13.5 + n)]
    said = found(long, since, pushes=pushed(remote_server_5xx={17: 3}))
    assert names(said) == [] and said.broken is not None


def test_everything_since_a_moment_is_the_worker_though_earlier_ones_got_through() -> None:
    """26 got through, then what the worker calls failed. Only the oldest few come round, and they look like poison."""
    good = [line for n in range(26) for line in tries(f"ok{n}", 1 + n / 10, good=True)]
    bad = [line for item in "abc" for line in tries(item, 5, 7, 10, 14)]
    said = found(good, bad, pushes=pushed(ack={2: 10, 4: 16}, remote_server_5xx={17: 3}))
    assert names(said) == []
    assert said.broken is not None
    assert said.broken.since == START + timedelta(minutes=5.1)
    assert (len(said.broken.items), said.broken.before) == (3, 26)


def test_everything_from_the_start_is_the_worker() -> None:
    said = found(*(tries(item, 1, 3, 8) for item in "abcd"))
    assert said.broken is not None
    assert said.broken.before == 0
    assert names(said) == []


def test_one_that_was_in_work_when_it_broke_does_not_turn_the_rest_into_poison() -> None:
    good = [line for n in range(26) for line in tries(f"ok{n}", 1 + n / 10, good=True)]
    slow = tries("slow", 3.5, good=True, takes=2.0)  # taken up before, done after the first failure
    bad = [line for item in "abc" for line in tries(item, 5, 7, 10)]
    said = found(good, slow, bad, pushes=pushed(ack={4: 27}, remote_server_5xx={17: 3}))
    assert said.broken is not None
    assert names(said) == []


def test_acks_since_then_speak_against_a_broken_worker() -> None:
    said = found(*(tries(item, 1, 3, 8) for item in "abcd"), pushes=pushed(ack={12: 5}))
    assert said.broken is None
    assert names(said) == []


@pytest.mark.parametrize("until", [18, 1.5])
def test_counters_that_do_not_reach_the_moment_prove_nothing_by_themselves(until: float) -> None:
    seen = pushed(until=until, remote_server_5xx={1: 3})
    lines = [tries(item, 1, 3, 8) for item in "abcd"]
    assert found(*lines, pushes=seen).broken is not None  # all lines were read, and none got through
    told = found(*lines, pushes=seen, complete=False)
    assert (told.broken is not None) is (until == 18)


def test_unseen_counters_and_lines_that_were_cut_leave_it_open() -> None:
    lines = [tries(item, 1, 3, 8) for item in "abcd"]
    assert found(*lines, pushes=UNSEEN).broken is not None
    assert found(*lines, pushes=UNSEEN, complete=False).broken is None


def test_of_lines_that_were_cut_the_first_tries_of_poison_may_be_missing() -> None:
    """The older half of the lines was not read, and with it what got through: what is left looks as if everything failed."""
    poison = [line for item in "abc" for line in tries(item, 6, 9, 14)]
    said = found(
        poison, tries("ok", 5, good=True), complete=False, pushes=pushed(ack={2: 40}, remote_server_5xx={17: 3})
    )
    assert said.broken is None


def test_failures_by_chance_are_nobodys_fault() -> None:
    """Half of all tries fail: that one item failed twice says nothing of it."""
    flaky = [line for n in range(10) for line in tries(f"f{n}", 1 + n, 1.5 + n, good=True)]
    assert names(found(flaky, tries("a", 2, 8), pushes=pushed(ack={6: 10}))) == []
    assert names(found(flaky, tries("a", *(1 + n for n in range(12))), pushes=pushed(ack={6: 10}))) == ["a"]


def test_an_item_that_failed_and_was_done_is_no_storm() -> None:
    others = [line for n in range(5) for line in tries(f"ok{n}", 2 + n, good=True)]
    assert names(found(tries("a", 1, 3, 5, good=True), others, pushes=pushed(ack={6: 6}))) == []


@pytest.mark.parametrize(
    ("others", "first", "ours", "broken"),
    [
        (12, 1, 4, True),  # nothing tells that those were bad, and four of ours are
        (12, 1, 3, False),
        (4, 40, 0, True),  # taken up for the first time in the window
        (3, 40, 0, False),
        (12, 1, 0, False),  # they may have failed before it
    ],
)
def test_where_nothing_at_all_gets_through_many_that_fail_are_no_bad_messages(
    others: int, first: float, ours: int, broken: bool
) -> None:
    of_others = [line for n in range(others) for line in tries(f"o{n}", first, first + 3, batch="old")]
    of_ours = [line for n in range(ours) for line in tries(f"i{n}", first + 2)]
    counted = pushed(until=first + 12, remote_server_5xx={first + 1: 3})
    assert (found(of_others, of_ours, pushes=counted, since=0).broken is not None) is broken


def test_others_of_another_batch_that_fail_do_not_make_a_broken_worker() -> None:
    """Old poison of other batches, and nothing of this one came through: whether it fails since today no line tells."""
    said = found(*(tries(item, 1, 3, 8, batch="old") for item in "abcd"))
    assert said.broken is None


@pytest.mark.parametrize(
    ("reason", "other", "broken"),
    [
        ("429 Quota exceeded", "429 Quota exceeded", True),
        ("429 Quota exceeded", "400 no date", False),
        ("x", "x", False),
    ],
)
def test_what_fails_over_a_quota_fails_for_no_fault_of_a_message(reason: str, other: str, broken: bool) -> None:
    """Those of another batch failed before, and two of this one as they came round."""
    old = [line for item in "abcd" for line in why(tries(item, 1, 3, 8, batch="old"), other)]
    ours = [line for item in "ef" for line in why(tries(item, 9), reason)]
    said = found(old, ours)
    assert (said.broken is not None) is broken
    assert said.broken is None or len(said.broken.items) == 2, "those that came round since"


@pytest.mark.parametrize(
    ("ours", "others", "reason", "broken"),
    [
        ("e", "abcd", "429 Quota exceeded", True),
        ("e", "a", "429 Quota exceeded", False),
        ("", "abcd", "429 Quota exceeded", False),
        ("e", "abcd", "x", False),
    ],
    ids=["one of ours among many", "two in all", "none of ours", "for another reason"],
)
def test_one_of_ours_among_many_that_fail_over_a_quota_is_enough(
    ours: str, others: str, reason: str, broken: bool
) -> None:
    old = [line for item in others for line in why(tries(item, 1, 3, 8, batch="old"), reason)]
    said = found(old, [line for item in ours for line in why(tries(item, 9), reason)], since=0)
    assert (said.broken is not None) is broken


@pytest.mark.parametrize(
    ("tries_each", "attempts", "went", "broken"),
    [(5, 5, 4, True), (4, 5, 4, False), (6, 5, 4, False), (5, 5, 0, False), (5, None, 4, False)],
    ids=["all of its tries", "fewer", "more, so that none is dead-lettered", "none goes there", "there is no limit"],
)
def test_what_had_all_its_tries_in_the_window_did_not_fail_before_it(
    tries_each: int, attempts: int | None, went: int, broken: bool
) -> None:
    """Of others, whose begin no line tells: each came right at the begin of what was read, and nothing got through since."""
    marks = ItemMarks(
        source=SOURCE,
        since=START - timedelta(minutes=5),
        marks=tuple(
            sorted(
                (m for item in "abcd" for m in tries(item, *range(-4, tries_each - 4), batch="other")),
                key=lambda m: m.at,
            )
        ),
    )
    seen = pushed(remote_server_5xx={-2: 8, 1: 4})
    ledger = build(evidence(BATCH, marks, (("PushCounts", Leg.REQUEST), seen)), PROFILE)
    dead = DeadLetters(messages=went, attempts=attempts, pause=timedelta(minutes=20))
    said = failing(dataclasses.replace(ledger, dead_letters={Leg.REQUEST: dead}), marks, seen)
    assert (said.broken is not None) is broken


def test_a_row_of_failures_that_a_storm_makes_likely_is_no_break() -> None:
    """Three hundred of others fail, eleven of ours get through: twenty failures in a row are nothing new."""
    storm = [line for n in range(300) for line in tries(f"p{n}", 1 + n / 20, batch="old")]
    ours = [line for n in range(11) for line in tries(f"ok{n}", 1 + n, good=True)]
    late = [line for item in "ab" for line in tries(item, 15, 15.5)]
    assert found(storm, ours, late, pushes=pushed(ack={8: 6, 12: 5})).broken is None


@pytest.mark.parametrize(("row", "broken"), [(6, False), (14, True)])
def test_a_few_in_a_row_are_what_a_share_of_half_brings_now_and_then(row: int, broken: bool) -> None:
    """Of 30 tries half failed. Six in a row come of it at one look in sixty, fourteen at one in sixteen thousand."""
    half = [line for n in range(15) for line in tries(f"h{n}", 1 + n / 4, 1.1 + n / 4, good=True, takes=0.02)]
    late = [line for n in range(row) for line in tries(f"n{n}", 8 + n / 10)]
    said = found(half, late, pushes=pushed(ack={4: 15}, remote_server_5xx={17: 3}))
    assert (said.broken is not None) is broken
    assert bool(said.unlucky) is not broken


def test_poison_of_before_stays_poison_when_the_worker_breaks() -> None:
    good = [line for n in range(26) for line in tries(f"ok{n}", 2 + n / 20, good=True)]
    bad = [line for item in "bc" for line in tries(item, 8, 10)]
    said = found(tries("a", 1, 2.5, 3, 9), good, bad, pushes=pushed(ack={4: 26}, remote_server_5xx={17: 3}))
    assert names(said) == ["a"]
    assert said.broken is not None
    assert said.broken.since == START + timedelta(minutes=8.1)


def test_without_lines_nothing_is_said() -> None:
    assert failing(build(evidence(BATCH, items()), PROFILE), UNSEEN, UNSEEN) == Failing()


def why(lines: Iterable[Mark], reason: str) -> list[Mark]:
    return [replace(m, words={"reason": reason}) if m.means is Means.FAILED_ITEM else m for m in lines]


def test_the_last_of_those_that_fail_for_one_reason_is_one_of_them() -> None:
    """Nothing was tried after it that tells, but nobody ever overcame what it fails for."""
    good = [line for n in range(26) for line in tries(f"ok{n}", 2 + n / 20, good=True)]
    poison = [line for item in "abc" for line in why(tries(item, 1, 4, 9), "no such player")]
    last = tries("z", 4, 9)
    pushes = pushed(ack={4: 26}, remote_server_5xx={17: 3})
    assert names(found(poison, good, why(last, "no such player"), pushes=pushes)) == ["a", "b", "c", "z"]
    assert names(found(poison, good, why(last, "time-out"), pushes=pushes)) == ["a", "b", "c"]
    assert names(found(poison, good, last, pushes=pushes)) == ["a", "b", "c"]


def test_a_reason_that_somebody_overcame_makes_nothing_alike() -> None:
    good = [line for n in range(26) for line in tries(f"ok{n}", 2 + n / 20, good=True)]
    overcame = why(tries("ok", 1.5, 2.5, good=True), "time-out")
    poison = [line for item in "abc" for line in why(tries(item, 1, 4, 9), "time-out")]
    said = found(poison, overcame, good, why(tries("z", 4, 9), "time-out"), pushes=pushed(ack={4: 27}))
    assert names(said) == ["a", "b", "c"]


# --- who got through meanwhile, counted in few steps as it would be counted plainly


def one_try(name: str, ours: bool, good: bool, taken: int, takes: int) -> _Try:
    begun = START + timedelta(minutes=taken)
    return _Try(name, ours, good, begun, begun + timedelta(minutes=takes), "")


TRIES = st.lists(
    st.builds(one_try, st.sampled_from("ABCD"), st.booleans(), st.booleans(), st.integers(0, 12), st.integers(0, 4)),
    max_size=14,
)


@settings(max_examples=examples(500), deadline=None)
@given(TRIES)
def test_others_are_counted_as_by_looking_at_every_try_for_every_item(tries: list[_Try]) -> None:
    tries = sorted(tries, key=lambda t: t.at)
    good = [t for t in tries if t.good]
    runs: dict[tuple[str, bool], list[_Try]] = {}
    for one in tries:
        if not one.good:
            runs.setdefault(one.who, []).append(one)
    plainly = [
        len({t.name for t in good if run[0].taken < t.taken and t.at < run[-1].at and t.who != run[0].who})
        for run in runs.values()
    ]
    assert _others(good, list(runs.values())) == plainly


LATE = replace(BATCH, marks=(*BATCH.marks[:2], mark(Means.PUBLISHED, 12, count=3, of=4)))
FEW = [line for n in range(3) for line in tries(f"i{n}", 14 + n, 15 + n, 16 + n)]


@pytest.mark.parametrize(
    ("lines", "since", "early"),
    [
        (FEW, 10, True),
        (FEW, 14.5, False),
        ([*FEW, *tries("many", 13, 14, 15, 16, 17)], 10, False),
        ([line for n in range(6) for line in tries(f"i{n}", 14, 15)], 10, False),
        ([], 10, False),
    ],
    ids=[
        "a few, of late",
        "one was taken up long ago",
        "one has tried five times",
        "six, and nothing passes",
        "none",
    ],
)
def test_a_few_items_that_failed_a_few_times_of_late_are_at_their_first_tries(
    lines: list[Mark], since: float, early: bool
) -> None:
    marks = ItemMarks(source=SOURCE, since=START, marks=tuple(sorted(lines, key=lambda m: m.at)))
    ledger = build(evidence(LATE, marks), PROFILE)
    said = failing(ledger, marks, UNSEEN)
    assert at_first_tries(said, ledger, START + timedelta(minutes=since)) is early


def test_what_others_were_given_up_for_is_no_first_try() -> None:
    lines = [*tries("spent", 1, 2, 3, 4, 5), *FEW, *(line for n in range(9) for line in tries(f"ok{n}", 16, good=True))]
    marks = ItemMarks(source=SOURCE, since=START, marks=tuple(sorted(lines, key=lambda m: m.at)))
    ledger = build(evidence(LATE, marks), PROFILE)
    since = START + timedelta(minutes=10)
    next(x for x in ledger.lives if x.name == "spent").dead_lettered = True
    assert at_first_tries(failing(ledger, marks, UNSEEN), ledger, since)
    reasoned = [replace(m, words={"reason": "no features"}) if m.means is Means.FAILED_ITEM else m for m in marks.marks]
    told = replace(marks, marks=tuple(reasoned))
    assert not at_first_tries(failing(ledger, told, UNSEEN), ledger, since)


def test_a_reason_that_more_others_gave_while_items_got_through_is_one_of_their_own() -> None:
    """Ten fail for one reason while others get through, and the last two that are tried give the same: that is no break."""
    good = [line for n in range(26) for line in tries(f"ok{n}", 2 + n / 5, good=True)]
    known = [line for n in range(10) for line in why(tries(f"bad{n}", 1 + n / 10, 9 + n / 10), "customer blocked")]
    last = [line for item in "yz" for line in why(tries(item, 8, 12), "customer blocked")]
    other = [line for item in "yz" for line in why(tries(item, 8, 12), "ledger down")]
    pushes = pushed(ack={4: 26}, remote_server_5xx={17: 3})
    assert found(good, known, last, pushes=pushes).broken is None
    few = [line for item in "b" for line in why(tries(item, 1, 9), "ledger down")]
    assert found(good, few, other, pushes=pushes).broken is not None, "one of old that gives the same reason is no kind"
