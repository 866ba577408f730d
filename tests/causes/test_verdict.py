"""How a verdict comes about, on a catalogue made for the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import BOTH, Cause, Confidence, Has, Role, all_of, ok
from diagnostics.causes.verdict import Verdict, decide
from diagnostics.evidence.model import Leg, PushCounts, Stage
from diagnostics.readings.stakes import Stakes
from diagnostics.readings.wholeness import Wholeness
from diagnostics.steps import closed, published, push_auth, requested
from diagnostics.steps.cold_start import instances
from diagnostics.steps.delivered import given_up, push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Bears, Code, Details, Finding, Kind, Status, Telling
from diagnostics.steps.outcome import claims
from diagnostics.steps.processed import acked, containers, failing_items
from diagnostics.steps.push_auth import entrance, may_mint, tokens
from diagnostics.steps.tells import Mended, Tells

T = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
REFUSED = Code("t.refused", Stage.DELIVERED, "refused", Kind.EFFECT)
SLOW = Code("t.slow", Stage.DELIVERED, "slow", Kind.EFFECT)
CONFIG = Code("t.config", Stage.DELIVERED, "config is wrong", Kind.MECHANISM)
OTHER = Code("t.other", Stage.DELIVERED, "other", Kind.MECHANISM)
PROVEN = Code("t.proven", Stage.DELIVERED, "proven")


def found(
    code: Code | Telling[Any],
    status: Status = Status.FAULT,
    bears: Bears = Bears.APART,
    leg: Leg | None = Leg.REQUEST,
    minute: float | None = None,
    held: int = 5,
    tells: Tells | None = None,
) -> Finding:
    since = T + timedelta(minutes=minute) if minute is not None else None
    held = held if bears is Bears.HOLDS else 0
    about: Details = {"leg": leg, "bears": bears, "held": held, "since": since}
    if isinstance(code, Telling):
        return code.says(status, code.title, tells=tells, **about)
    return code.says(status, code.title, **about)


def failing(**classes: float) -> Finding:
    """Pushes that fail, by class."""
    told = push_answers.Failing(share=1, per_min=8, acks=0, class_=classes)
    return found(push_answers.FAILING, bears=Bears.HOLDS, tells=told)


def cause(code: str, on: AnyCode, decisive: bool = False, effects: tuple[AnyCode, ...] = (), **more: object) -> Cause:
    return Cause(
        code=code,
        family="test",
        title=code,
        says=code,
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(on),
        decisive=Has(on) if decisive else None,
        effects=effects,
        **more,  # type: ignore[arg-type]
    )


def verdict(
    causes: Sequence[Cause],
    *findings: Finding,
    over: bool = False,
    forgiven: int = 0,
    whole: Wholeness | None = None,
) -> Verdict:
    return decide(causes, findings, tuple(Leg), Stakes(over=over, forgiven=forgiven), whole)


def named(v: Verdict) -> list[tuple[str, Role, Confidence]]:
    return [(x.match.cause.code, x.role, x.confidence) for x in v.live]


def test_a_decisive_cause_is_confirmed_and_blocks_what_it_holds() -> None:
    v = verdict([cause("wrong", CONFIG, True, (REFUSED,))], found(CONFIG), found(REFUSED, bears=Bears.HOLDS))
    assert named(v) == [("wrong", Role.BLOCKS, Confidence.CONFIRMED)]
    assert v.unexplained == ()


def test_every_decisive_cause_is_named_not_only_the_first() -> None:
    v = verdict(
        [cause("a", CONFIG, True, (REFUSED,)), cause("b", OTHER, True, (REFUSED,))],
        found(CONFIG),
        found(OTHER),
        found(REFUSED, bears=Bears.HOLDS),
    )
    assert {n for n, _, _ in named(v)} == {"a", "b"}


def test_a_cause_that_touches_no_item_of_the_batch_is_latent() -> None:
    assert named(verdict([cause("wrong", CONFIG, True)], found(CONFIG)))[0][1] is Role.LATENT


def test_a_cause_that_can_never_hold_a_batch_worsens_at_most() -> None:
    v = verdict(
        [cause("weak", CONFIG, True, (REFUSED,), never_blocks=True)], found(CONFIG), found(REFUSED, bears=Bears.HOLDS)
    )
    assert named(v)[0][1] is Role.WORSENS


def test_once_the_batch_is_over_nothing_blocks_it_any_more() -> None:
    v = verdict([cause("wrong", CONFIG, True)], found(CONFIG, bears=Bears.HOLDS), over=True)
    assert named(v)[0][1] is Role.LATENT


def test_a_cause_on_one_leg_explains_nothing_on_the_other() -> None:
    v = verdict(
        [cause("wrong", CONFIG, True, (REFUSED,))],
        found(CONFIG, leg=Leg.COMPLETION),
        found(REFUSED, bears=Bears.HOLDS, leg=Leg.REQUEST),
    )
    assert [x.match.leg for x in v.live] == [Leg.COMPLETION]
    assert [f.code for f in v.unexplained] == [REFUSED.name]


def test_a_cause_explains_nothing_that_began_before_it() -> None:
    v = verdict(
        [cause("late", CONFIG, True, (REFUSED,))], found(CONFIG, minute=30), found(REFUSED, bears=Bears.HOLDS, minute=0)
    )
    assert [f.code for f in v.unexplained] == [REFUSED.name]
    assert named(v)[0][1] is Role.LATENT


def test_what_a_settled_cause_accounts_for_gives_no_role_to_one_that_is_not() -> None:
    sure, unsure = cause("sure", CONFIG, True, (REFUSED,)), cause("unsure", OTHER, effects=(REFUSED,))
    v = verdict([sure, unsure], found(CONFIG), found(OTHER), found(REFUSED, bears=Bears.HOLDS))
    assert [(n, role) for n, role, _ in named(v)] == [("sure", Role.BLOCKS), ("unsure", Role.LATENT)]


def test_of_two_indecisive_causes_the_one_that_explains_more_is_taken() -> None:
    narrow, wide = cause("narrow", REFUSED), cause("wide", REFUSED, effects=(SLOW,))
    v = verdict([narrow, wide], found(REFUSED, bears=Bears.HOLDS), found(SLOW, Status.WARNING))
    assert named(v)[0][0] == "wide"
    assert all(c is not Confidence.CONFIRMED for _, _, c in named(v))


def test_two_causes_that_fit_alike_are_both_possible() -> None:
    v = verdict([cause("a", REFUSED), cause("b", REFUSED)], found(REFUSED, bears=Bears.HOLDS))
    assert [(n, c) for n, _, c in named(v)] == [("a", Confidence.POSSIBLE), ("b", Confidence.POSSIBLE)]


def test_a_refuted_cause_is_not_named_and_the_reason_is_kept() -> None:
    v = verdict([cause("wrong", CONFIG, True, refutes=ok(PROVEN))], found(CONFIG), found(PROVEN, Status.OK))
    assert v.live == () and v.refuted[0][0].code == "wrong"


def test_a_confirmed_cause_is_only_probable_beside_an_unexplained_hold_at_its_stage() -> None:
    v = verdict(
        [cause("wrong", CONFIG, True, (REFUSED,))],
        found(CONFIG),
        found(REFUSED, bears=Bears.HOLDS),
        found(OTHER, bears=Bears.HOLDS),
    )
    assert named(v) == [("wrong", Role.BLOCKS, Confidence.PROBABLE)]
    assert [f.code for f in v.unexplained] == [OTHER.name]


def test_what_messages_meet_first_may_be_another_thing_where_the_batch_is_not_seen() -> None:
    """Nothing is known to be held: then only what comes after the unexplained one is not sure."""
    met, before = found(REFUSED), found(OTHER)
    latent = verdict([cause("wrong", CONFIG, True, (REFUSED,))], found(CONFIG), met, before)
    assert named(latent) == [("wrong", Role.LATENT, Confidence.PROBABLE)]
    assert named(verdict([cause("wrong", CONFIG, True)], found(CONFIG), before)) == [
        ("wrong", Role.LATENT, Confidence.CONFIRMED)
    ], "how it is set up is known, whatever messages meet"


def test_a_cause_that_accounts_for_a_part_of_what_fails_is_probable() -> None:
    crashed = found(
        containers.CRASHING, bears=Bears.HOLDS, tells=containers.Crashing(exits=3, refused=3, why="", how="")
    )
    confidence = {}
    for classes in ({"remote_server_5xx": 0.9}, {"remote_server_4xx": 0.8, "remote_server_5xx": 0.1}):
        ((_, _, sure),) = named(
            verdict([cause("crash", containers.CRASHING, True, (containers.CRASHING,))], crashed, failing(**classes))
        )
        confidence[len(classes)] = sure
    assert confidence == {1: Confidence.CONFIRMED, 2: Confidence.PROBABLE}


@pytest.mark.parametrize(("answered", "sure"), [(5, Confidence.CONFIRMED), (0, Confidence.PROBABLE)])
def test_that_publishing_fails_for_what_has_no_name_is_sure_where_google_answered(
    answered: int, sure: Confidence
) -> None:
    """Else only the program says so."""
    told = published.NotPublished(
        failed=5, answered=answered, reason="500 Internal", code="internal" if answered else ""
    )
    failed = found(published.ERRORS, bears=Bears.HOLDS, tells=told)
    assert ("publish-failing", sure) in [(code, how) for code, _, how in named(verdict(CATALOGUE, failed))]


def test_nothing_found_names_nothing() -> None:
    assert verdict([cause("wrong", CONFIG, True)], found(CONFIG, Status.OK), found(CONFIG, Status.UNKNOWN)).live == ()


def test_what_was_found_and_no_cause_owns_is_said_and_holds_the_batch() -> None:
    v = verdict([], found(OTHER, bears=Bears.HOLDS))
    assert v.live == () and v.held
    assert [f.code for f in v.nameless] == [OTHER.name]


def test_four_causes_explain_four_effects_however_the_catalogue_is_ordered() -> None:
    effects = [Code(f"t.effect{n}", Stage.DELIVERED, f"effect {n}", Kind.EFFECT) for n in range(4)]
    causes = [cause(f"c{n}", effect) for n, effect in enumerate(effects)]
    for order in (causes, causes[::-1]):
        v = verdict(order, *(found(effect, bears=Bears.HOLDS) for effect in effects))
        assert sorted(n for n, _, _ in named(v)) == ["c0", "c1", "c2", "c3"]
        assert v.unexplained == ()


def test_five_causes_that_cannot_be_told_apart_are_one_group_and_none_is_sure() -> None:
    v = verdict([cause(name, REFUSED) for name in "abcde"], found(REFUSED, bears=Bears.HOLDS))
    assert {c for _, _, c in named(v)} == {Confidence.POSSIBLE}
    assert all(len(x.share.rivals) == 4 for x in v.live)


def test_a_cause_rests_on_what_needs_no_other_cause() -> None:
    quiet = cause("quiet", SLOW)
    assert named(verdict([quiet], found(SLOW, bears=Bears.HOLDS))) == [("quiet", Role.BLOCKS, Confidence.PROBABLE)]


def test_two_things_of_one_kind_are_two_effects() -> None:
    quota = cause("quota", CONFIG, True)
    v = verdict([quota], found(CONFIG, held=12, bears=Bears.HOLDS), found(REFUSED, held=243, bears=Bears.HOLDS))
    assert [f.held for f in v.nameless] == [243]
    assert named(v) == [("quota", Role.BLOCKS, Confidence.PROBABLE)]


def test_what_follows_is_of_the_class_that_the_cause_makes() -> None:
    """Pushes that expired are not the doing of a cause that makes refusals: it stays unexplained, and keeps the stall open."""
    crash = Cause(
        code="crash",
        family="test",
        title="crash",
        says="crash",
        stage=Stage.DELIVERED,
        requires=Has(push_auth.REFUSED),
        decisive=Has(push_auth.REFUSED),
    )
    late = failing(deadline_exceeded=40)
    refused = failing(remote_server_4xx=40)
    own = found(push_auth.REFUSED, bears=Bears.HOLDS, tells=push_auth.TurnedAway(refused=40))
    assert [f.code for f in verdict([crash], own, late).unexplained] == [push_answers.FAILING.name]
    assert verdict([crash], own, refused).unexplained == ()


@pytest.mark.parametrize(
    ("kind", "status", "bears", "explained"),
    [
        (CONFIG, Status.WARNING, Bears.APART, False),
        (CONFIG, Status.WARNING, Bears.SLOWS, True),
        (CONFIG, Status.FAULT, Bears.APART, True),
        (REFUSED, Status.WARNING, Bears.APART, True),
    ],
)
def test_nothing_follows_from_what_is_set_up_wrong_and_no_item_has_met(
    kind: Code, status: Status, bears: Bears, explained: bool
) -> None:
    """Messages that grow old beside a warning about the set-up have another reason; what happened to messages is one all the same."""
    old = found(what_waits.OLD_BACKLOG, Status.WARNING, tells=what_waits.OldBacklog(unacked=3, age_s=9e4))
    v = verdict([cause("c", kind, True)], found(kind, status, bears), old)
    assert [f.code for f in v.unexplained] == ([] if explained else [what_waits.OLD_BACKLOG.name])


@pytest.mark.parametrize(("began", "explained"), [(-30.0, True), (1.0, True), (60.0, False), (None, True)])
def test_dead_letters_follow_from_nothing_that_began_after_them(began: float | None, explained: bool) -> None:
    """Refusals used up attempts for an hour and are over; what stops pushes now did not make the dead letters of that hour."""
    dead = found(
        given_up.DEAD_LETTERED,
        bears=Bears.HOLDS,
        minute=0,
        tells=given_up.DeadLettered(dead_lettered=5, messages=5, last=T.timestamp()),
    )
    v = verdict([cause("c", REFUSED, True)], found(REFUSED, bears=Bears.HOLDS, minute=began), dead)
    assert [f.code for f in v.unexplained] == ([] if explained else [given_up.DEAD_LETTERED.name])


@pytest.mark.parametrize(
    ("statuses", "bears", "explained"),
    [
        ("105 × 429", Bears.APART, False),
        ("105 × 429, 3 × 401", Bears.APART, True),
        ("105 or more × 429", Bears.APART, True),
        (None, Bears.APART, True),
        ("105 × 429", Bears.HOLDS, True),
    ],
)
def test_pushes_that_fail_otherwise_do_not_follow_from_a_sign_in_that_nothing_met(
    statuses: str | None, bears: Bears, explained: bool
) -> None:
    told = push_answers.Failing(share=1, per_min=8, acks=0, class_={"remote_server_4xx": 40}, statuses=statuses)
    audience = found(tokens.AUDIENCE, bears=bears, tells=Mended())
    v = verdict([cause("c", tokens.AUDIENCE, True)], audience, found(push_answers.FAILING, tells=told))
    assert [f.code for f in v.unexplained] == ([] if explained else [push_answers.FAILING.name])


@pytest.mark.parametrize(("bears", "explained"), [(Bears.HOLDS, True), (Bears.APART, False)])
def test_what_becomes_of_the_batch_does_not_follow_from_what_none_of_its_items_has_met(
    bears: Bears, explained: bool
) -> None:
    hollow = found(closed.HOLLOW, bears=Bears.HOLDS, leg=None, tells=closed.Hollow(wanted=62, done=0))
    v = verdict([cause("c", CONFIG, True)], found(CONFIG, bears=bears), hollow)
    assert [f.code for f in v.unexplained] == ([] if explained else [closed.HOLLOW.name])


def test_the_role_is_by_its_own_findings_not_by_what_others_hold() -> None:
    cold, revoked = cause("cold", SLOW, True), cause("revoked", CONFIG, True, (REFUSED,))
    v = verdict(
        [cold, revoked],
        found(SLOW, Status.WARNING, bears=Bears.SLOWS, minute=0),
        found(CONFIG, minute=6),
        found(REFUSED, bears=Bears.HOLDS, minute=6),
    )
    assert {n: r for n, r, _ in named(v)} == {"revoked": Role.BLOCKS, "cold": Role.WORSENS}


def test_what_a_cause_holds_is_what_it_does_not_all_that_the_batch_lacks() -> None:
    few = replace(cause("few", REFUSED, True), requires=all_of(Has(closed.WAITS_FOR_UNPUBLISHED), Has(REFUSED)))
    waits = found(closed.WAITS_FOR_UNPUBLISHED, bears=Bears.HOLDS, held=100, leg=None)
    (only,) = verdict([few], waits, found(REFUSED, bears=Bears.HOLDS, held=7)).live
    assert (only.role, only.held) == (Role.BLOCKS, 7)
    (uncounted,) = verdict([few], waits, found(REFUSED, Status.WARNING, bears=Bears.SLOWS)).live
    assert uncounted.held == 100, "nothing else counts any"


def test_what_is_forgiven_does_not_block_by_itself() -> None:
    gate, lost = cause("gate", CONFIG, True), cause("lost", REFUSED, True)
    v = verdict(
        [gate, lost],
        found(CONFIG, bears=Bears.HOLDS, held=5),
        found(REFUSED, bears=Bears.HOLDS, held=167),
        forgiven=8,
    )
    assert {n: r for n, r, _ in named(v)} == {"lost": Role.BLOCKS, "gate": Role.WORSENS}


def test_two_that_are_forgiven_alone_block_together() -> None:
    v = verdict(
        [cause("a", CONFIG, True), cause("b", REFUSED, True)],
        found(CONFIG, bears=Bears.HOLDS, held=5),
        found(REFUSED, bears=Bears.HOLDS, held=5),
        forgiven=8,
    )
    assert {r for _, r, _ in named(v)} == {Role.BLOCKS}


def test_what_is_only_set_up_wrong_waits_behind_what_holds_all_that_it_would_hold() -> None:
    up = replace(cause("up", CONFIG, True), stage=Stage.ROUTED)
    down = cause("down", OTHER, True, (REFUSED,))
    whole, part = found(CONFIG, bears=Bears.HOLDS, held=9), found(CONFIG, bears=Bears.HOLDS, held=3)
    set_up = found(OTHER, bears=Bears.HOLDS, held=9)
    met = found(REFUSED, bears=Bears.HOLDS, held=9)

    def as_(*findings: Finding, causes: tuple[Cause, ...] = (up, down)) -> dict[str, Role]:
        return {n: role for n, role, _ in named(verdict(causes, *findings))}

    assert as_(whole, set_up) == {"up": Role.BLOCKS, "down": Role.LATENT}
    assert as_(part, set_up) == {"up": Role.BLOCKS, "down": Role.BLOCKS}
    assert as_(whole, set_up, met) == {"up": Role.BLOCKS, "down": Role.BLOCKS}
    assert as_(found(CONFIG, bears=Bears.HOLDS, held=9, leg=Leg.COMPLETION), set_up) == {
        "up": Role.BLOCKS,
        "down": Role.BLOCKS,
    }
    beside = (replace(cause("up", CONFIG, True, (SLOW,)), family="auth"), down)
    assert as_(whole, set_up, causes=beside) == {"up": Role.BLOCKS, "down": Role.BLOCKS}
    seen = found(SLOW, bears=Bears.HOLDS, held=9)
    assert as_(whole, seen, set_up, causes=beside) == {"up": Role.BLOCKS, "down": Role.LATENT}
    one_door = (beside[0], replace(down, family="auth"))
    assert as_(whole, seen, set_up, causes=one_door) == {"up": Role.BLOCKS, "down": Role.BLOCKS}


def test_what_lies_in_the_dead_letter_topic_waits_behind_nothing() -> None:
    """It has got as far as it ever will."""
    up = replace(cause("up", CONFIG, True), stage=Stage.ROUTED)
    spent = cause("spent", given_up.DEAD_LETTERED, True)
    told = given_up.DeadLettered(dead_lettered=3, messages=3, last=0)
    lie = found(given_up.DEAD_LETTERED, bears=Bears.HOLDS, held=3, tells=told)
    v = verdict((up, spent), found(CONFIG, bears=Bears.HOLDS, held=6), lie)
    assert {n: role for n, role, _ in named(v)} == {"up": Role.BLOCKS, "spent": Role.BLOCKS}


@pytest.mark.parametrize(
    ("seen_of_it", "first_is_sure", "first_is_met", "second"),
    [
        ((), True, False, Role.LATENT),
        ((SLOW,), True, False, Role.LATENT),  # the first would bring that about as well
        ((REFUSED,), True, False, Role.BLOCKS),  # only the second does
        ((), False, False, Role.BLOCKS),
        ((SLOW,), False, True, Role.LATENT),  # whatever it is, pushes end there
    ],
)
def test_of_two_on_the_way_of_one_push_the_first_blocks_unless_the_second_is_seen_by_what_only_it_brings(
    seen_of_it: tuple[Code, ...], first_is_sure: bool, first_is_met: bool, second: Role
) -> None:
    first = cause("no token", may_mint.MINTING, first_is_sure, (SLOW,) if first_is_sure or first_is_met else ())
    then = cause("no way in", entrance.INGRESS, True, (SLOW, REFUSED) if not first_is_met else (REFUSED,))
    v = verdict(
        (first, then),
        found(may_mint.MINTING, bears=Bears.HOLDS, held=9, tells=Mended()),
        found(entrance.INGRESS, bears=Bears.HOLDS, held=9),
        *(found(code, bears=Bears.HOLDS, held=9) for code in seen_of_it),
    )
    assert {n: role for n, role, _ in named(v)} == {"no token": Role.BLOCKS, "no way in": second}


def test_what_is_met_now_is_not_the_doing_of_a_cause_that_is_over_but_what_was_lost_is() -> None:
    effects = (REFUSED, failing_items.ALL_FAIL)
    killing = replace(cause("killed", SLOW, False, effects), requires=ok(SLOW), decisive=ok(SLOW))
    ended = structs.replace(found(SLOW, Status.OK, minute=1), until=T + timedelta(minutes=9))
    fails = found(
        failing_items.ALL_FAIL, bears=Bears.HOLDS, minute=2, tells=failing_items.AllFail(failed=9, tried=9, before=0)
    )
    lost = found(REFUSED, bears=Bears.HOLDS, minute=2)
    v = verdict([killing, cause("fails", failing_items.ALL_FAIL, True)], ended, fails)
    assert {n: role for n, role, _ in named(v)} == {"fails": Role.BLOCKS, "killed": Role.LATENT}
    v = verdict([killing], ended, lost)
    assert v.unexplained == () and named(v)[0][:2] == ("killed", Role.BLOCKS), "nothing else brings it back"


def test_the_onset_is_the_causes_own() -> None:
    v = verdict(
        [cause("revoked", CONFIG, True, (REFUSED,))],
        found(CONFIG, minute=6),
        found(REFUSED, bears=Bears.HOLDS, minute=7),
        found(what_waits.OLD_BACKLOG, Status.WARNING, minute=-90, tells=what_waits.OldBacklog(unacked=9, age_s=5400)),
    )
    assert v.live[0].since == T + timedelta(minutes=6)
    assert v.unexplained == ()


def test_what_could_overturn_it_has_to_be_seen_whole() -> None:
    wrong = cause("wrong", CONFIG, True, overturned_by=(PushCounts,))
    hidden = Wholeness(frozenset({("PushCounts", Leg.REQUEST)}))
    assert named(verdict([wrong], found(CONFIG)))[0][2] is Confidence.CONFIRMED
    assert named(verdict([wrong], found(CONFIG), whole=hidden))[0][2] is Confidence.PROBABLE


def test_what_is_harmless_in_the_attempt_that_was_seen_is_not_sure_to_be_the_answer_where_a_later_one_may_be_hidden() -> (
    None
):
    causes = [cause("harmless", CONFIG, True, benign=True), cause("wrong", OTHER, True)]
    seen = found(CONFIG), found(OTHER, bears=Bears.HOLDS)
    hidden = found(requested.LATER, Status.UNKNOWN, leg=None)
    assert {c for _, _, c in named(verdict(causes, *seen))} == {Confidence.CONFIRMED}
    assert {n: c for n, _, c in named(verdict(causes, *seen, hidden))} == {
        "harmless": Confidence.PROBABLE,
        "wrong": Confidence.CONFIRMED,
    }


def test_a_hundred_causes_and_twenty_findings_are_decided_at_once() -> None:
    """No bound on time here: the number of comparisons is bounded, and the benchmark prints the milliseconds."""
    codes = [Code(f"t.e{n}", Stage.DELIVERED, f"e{n}", Kind.EFFECT) for n in range(20)]
    causes = [cause(f"c{n}", codes[n % 20], effects=(codes[(n + 7) % 20],)) for n in range(100)]
    v = verdict(causes, *(found(code, bears=Bears.HOLDS) for code in codes))
    assert v.unexplained == ()


def test_of_one_role_what_messages_meet_now_comes_before_what_is_only_set_up_wrong() -> None:
    v = verdict(
        [cause("a-dormant", CONFIG, True), cause("b-met", OTHER, True, (REFUSED,))],
        found(CONFIG, status=Status.WARNING),
        found(OTHER, status=Status.WARNING),
        found(REFUSED),
    )
    assert [(n, role) for n, role, _ in named(v)] == [("b-met", Role.LATENT), ("a-dormant", Role.LATENT)]
    assert [x.met for x in v.live] == [True, False]


def test_what_shows_that_a_cause_is_over_has_no_end_itself() -> None:
    """All that it did has ended: then it is past, though the note that says so goes on to hold."""
    past = structs.replace(found(REFUSED, Status.OK, minute=0), until=T + timedelta(minutes=5))
    gone = replace(cause("gone", REFUSED), requires=ok(REFUSED), decisive=ok(REFUSED), over=ok(PROVEN))
    (live,) = verdict([gone], past, found(PROVEN, Status.OK)).live
    assert live.match.over
    assert live.until == T + timedelta(minutes=5)


def test_a_cause_that_only_notes_tell_of_is_past_when_they_are() -> None:
    past = structs.replace(found(PROVEN, Status.OK, minute=0), until=T + timedelta(minutes=5))
    note = replace(cause("blip", PROVEN), requires=ok(PROVEN), decisive=ok(PROVEN), benign=True)
    (live,) = verdict([note], past).live
    assert live.until == T + timedelta(minutes=5)


def test_a_write_that_failed_and_left_all_its_rows_was_made_good() -> None:
    said = found(acked.UNWRITTEN, Status.WARNING, tells=acked.Unwritten(unwritten=3, back=9))
    of_it = [c for c in CATALOGUE if c.code == "writes-fail-behind-acks"]
    assert [n for n, _, _ in named(verdict(of_it, said))] == ["writes-fail-behind-acks"]
    assert (
        named(
            verdict(
                of_it,
                said,
                found(
                    claims.COMPLETE,
                    Status.OK,
                    tells=claims.Claimed(claimed=9, found=9, date_="2026-02-08", by_worker=9),
                ),
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("recent", "ran", "bears", "how_sure"),
    [
        (9, None, Bears.HOLDS, Confidence.CONFIRMED),
        (0, 1.0, Bears.HOLDS, Confidence.CONFIRMED),
        (0, None, Bears.HOLDS, Confidence.PROBABLE),
        (9, 1.0, Bears.APART, Confidence.PROBABLE),
    ],
    ids=["now", "earlier, and counted", "earlier, not counted", "no item met it"],
)
def test_a_maximum_of_instances_that_used_up_attempts_is_sure_where_it_is_seen_now_or_instances_ran_then(
    recent: int, ran: float | None, bears: Bears, how_sure: Confidence
) -> None:
    told = instances.TurnedAway(turned_away=9, recent=recent, limit=1, instances=ran, dead_lettered=9)
    of_it = [c for c in CATALOGUE if c.code == "max-instances-saturated"]
    assert [sure for _, _, sure in named(verdict(of_it, found(instances.SATURATED, bears=bears, tells=told)))] == [
        how_sure
    ]
