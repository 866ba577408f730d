"""How a verdict comes about, on a catalogue made for the test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from diagnostics.causes.model import BOTH, Cause, Confidence, Has, Role, ok
from diagnostics.causes.verdict import Verdict, decide
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps.finding import Bears, Code, Finding, Status

T = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
REFUSED = Code("t.refused", Stage.DELIVERED, "refused")
SLOW = Code("t.slow", Stage.DELIVERED, "slow")
CONFIG = Code("t.config", Stage.DELIVERED, "config is wrong")
OTHER = Code("t.other", Stage.DELIVERED, "other")
PROVEN = Code("t.proven", Stage.DELIVERED, "proven")


def found(
    code: Code,
    status: Status = Status.FAULT,
    bears: Bears = Bears.APART,
    leg: Leg | None = Leg.REQUEST,
    minute: float | None = None,
) -> Finding:
    since = T + timedelta(minutes=minute) if minute is not None else None
    return code.says(status, code.title, leg=leg, bears=bears, held=5 if bears is Bears.HOLDS else 0, since=since)


def cause(code: str, on: Code, decisive: bool = False, explains: tuple[Code, ...] = (), **more: object) -> Cause:
    return Cause(
        code=code,
        family="test",
        title=code,
        says=code,
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(on),
        decisive=Has(on) if decisive else None,
        explains=explains,
        **more,  # type: ignore[arg-type]
    )


def verdict(causes: Sequence[Cause], *findings: Finding, over: bool = False) -> Verdict:
    return decide(causes, findings, tuple(Leg), over)


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


def test_of_two_indecisive_causes_the_one_that_explains_more_is_taken() -> None:
    narrow, wide = cause("narrow", REFUSED), cause("wide", REFUSED, explains=(SLOW,))
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


def test_nothing_found_names_nothing() -> None:
    assert verdict([cause("wrong", CONFIG, True)], found(CONFIG, Status.OK), found(CONFIG, Status.UNKNOWN)).live == ()
