"""What a profile accepts is listed and does not count; it hides neither a stalled batch nor what is unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import product

import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Cause, Has, any_of
from diagnostics.causes.verdict import decide
from diagnostics.conclude.accepted import Sifted, sift
from diagnostics.conclude.standing import worst
from diagnostics.evidence.model import Leg, Stage
from diagnostics.pipeline.profile import Accepted
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status

NOW = datetime(2026, 2, 8, 14, 21, tzinfo=UTC)
STORM = Code("processed.poison", Stage.PROCESSED, "poison", Kind.EFFECT)
GRANTS = Code("dead_letter.grants", Stage.PROCESSED, "grants", Kind.MECHANISM)
BACKLOG = Code("delivered.old_backlog", Stage.DELIVERED, "old", Kind.CONSEQUENCE)
HIDDEN = Code("push_auth.not_checked", Stage.DELIVERED, "not checked")


def accept(code: str, until: date = date(2026, 2, 28), leg: Leg | None = None) -> Accepted:
    return Accepted(code=code, leg=leg, until=until, reason="ticket 77")


def cause(code: str, *rests_on: Code) -> Cause:
    needs = any_of(*(Has(c) for c in rests_on))
    return Cause(
        code=code,
        family="worker",
        title=code,
        says=code,
        stage=Stage.PROCESSED,
        requires=needs,
        decisive=needs,
    )


CATALOGUE = (
    cause("poison-retry-storm", STORM),
    cause("grants-missing", GRANTS),
)


def found(
    code: Code, status: Status = Status.WARNING, bears: Bears = Bears.APART, leg: Leg | None = Leg.REQUEST
) -> Finding:
    return code.says(status, code.title, leg=leg, bears=bears)


def sifted(findings: list[Finding], *accepted: Accepted) -> Sifted:
    return sift(accepted, findings, decide(CATALOGUE, findings, (Leg.REQUEST, Leg.COMPLETION)), NOW)


def codes(live: Sifted) -> set[str]:
    return {x.match.cause.code for x in live.verdict.live}


def test_without_acceptances_nothing_changes() -> None:
    findings = [found(STORM), found(HIDDEN, Status.UNKNOWN)]
    said = sifted(findings)
    assert (said.findings, said.counted, said.suppressed) == (tuple(findings), tuple(findings), ())
    assert codes(said) == {"poison-retry-storm"}


def test_an_accepted_finding_is_listed_and_does_not_count() -> None:
    said = sifted([found(BACKLOG), found(HIDDEN, Status.OK)], accept("delivered.old_backlog"))
    (listed,) = said.suppressed
    assert (listed.code, listed.status, listed.until, listed.reason) == (
        "delivered.old_backlog",
        Status.WARNING,
        date(2026, 2, 28),
        "ticket 77",
    )
    assert worst(f.status for f in said.counted) is Status.OK
    assert [f.code for f in said.findings] == [HIDDEN.name]
    assert said.verdict.unexplained == ()


def test_an_accepted_cause_takes_along_what_it_alone_explains() -> None:
    findings = [found(STORM), found(BACKLOG), found(GRANTS, bears=Bears.SLOWS)]
    said = sifted(findings, accept("poison-retry-storm"))
    assert codes(said) == {"grants-missing"}
    assert {f.code for f in said.findings} == {GRANTS.name, BACKLOG.name}, "the other cause explains the backlog, too"
    both = sifted(findings, accept("poison-retry-storm"), accept("grants-missing"))
    assert (both.findings, codes(both)) == ((), set())
    assert {s.code for s in both.suppressed} == {"poison-retry-storm", "grants-missing"}


def test_a_cause_goes_with_all_that_it_rests_on() -> None:
    assert codes(sifted([found(STORM)], accept(STORM.name))) == set()
    assert codes(sifted([found(STORM), found(BACKLOG)], accept(BACKLOG.name))) == {"poison-retry-storm"}


def test_who_accepts_a_cause_accepts_its_special_cases() -> None:
    special = (cause("out-of-memory", STORM),)
    findings = [found(STORM)]

    def left(code: str) -> set[str]:
        verdict = decide(special, findings, (Leg.REQUEST,))
        return {live.match.cause.code for live in sift([accept(code)], findings, verdict, NOW).verdict.live}

    assert left("worker-crashing") == set()
    assert left("every-item-fails") == {"out-of-memory"}


def test_an_acceptance_of_one_leg_is_not_of_the_other() -> None:
    findings = [found(BACKLOG), found(BACKLOG, leg=Leg.COMPLETION)]
    said = sifted(findings, accept(BACKLOG.name, leg=Leg.REQUEST))
    assert [f.leg for f in said.findings] == [Leg.COMPLETION]
    assert sifted([found(BACKLOG, leg=None)], accept(BACKLOG.name, leg=Leg.REQUEST)).suppressed == ()


def test_an_acceptance_ends_after_its_day_and_that_is_said() -> None:
    last_day = sifted([found(BACKLOG)], accept(BACKLOG.name, until=NOW.date()))
    assert last_day.findings == ()
    over = sifted([found(BACKLOG)], accept(BACKLOG.name, until=date(2026, 2, 7)))
    assert [f.code for f in over.findings] == [BACKLOG.name]
    assert over.suppressed[0].over
    longest = sifted([found(BACKLOG)], accept(BACKLOG.name, until=date(2026, 2, 7)), accept(BACKLOG.name))
    assert longest.findings == ()
    cause_over = sifted([found(STORM)], accept("poison-retry-storm", until=date(2026, 2, 7)))
    assert codes(cause_over) == {"poison-retry-storm"}


def test_what_holds_the_batch_is_never_set_apart() -> None:
    held = found(STORM, Status.FAULT, Bears.HOLDS)
    said = sifted([held], accept(STORM.name), accept("poison-retry-storm"))
    assert (said.findings, codes(said), said.suppressed) == ((held,), {"poison-retry-storm"}, ())


@pytest.mark.parametrize(("loud", "bears"), [*product([Status.FAULT, Status.WARNING, Status.ADVICE], Bears)])
def test_no_acceptance_turns_unknown_into_0(loud: Status, bears: Bears) -> None:
    findings = [found(BACKLOG, loud, bears), found(STORM, loud, bears), found(HIDDEN, Status.UNKNOWN)]
    everything = [accept(c) for c in (BACKLOG.name, STORM.name, HIDDEN.name, "poison-retry-storm", "grants-missing")]
    said = sifted(findings, *everything)
    assert worst(f.status for f in said.counted) in (Status.UNKNOWN, Status.FAULT)
    assert any(f.status is Status.UNKNOWN for f in said.findings)
    assert HIDDEN.name not in {s.code for s in said.suppressed}


def test_the_findings_themselves_stay_as_they_are() -> None:
    finding = found(BACKLOG)
    said = sifted([finding], accept(BACKLOG.name))
    assert said.counted == (replace(finding, status=Status.OK),)
    assert finding.status is Status.WARNING
