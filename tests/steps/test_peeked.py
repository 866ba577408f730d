"""What the messages themselves say: named, and never more than was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from diagnostics.evidence.model import Leg, Peeked, Probed, Provenance, Unseen, Why
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import peeked
from diagnostics.steps.finding import Bears, Finding, Status

NOW = datetime(2026, 2, 8, 22, 21, tzinfo=UTC)
PROFILE = PipelineProfile(name="p", project="p", request=LegProfile(subscription="s"), item="player")


def message(number: int, minutes: float = 1, **fields: Any) -> Peeked:
    return Peeked(id=str(number), published=NOW - timedelta(minutes=minutes), size=2, **fields)


def probed(*messages: Peeked, **fields: Any) -> Probed:
    source = Provenance(source="probe", fetched_at=NOW, as_of=NOW)
    known: dict[str, Any] = {"mode": "snapshot", "subscription": "s", "asked_for": 20, "pulls": 6, "empty_pulls": 5}
    return Probed(source=source, messages=tuple(messages), tried_s=1800, **{**known, **fields})


def found(seen: Probed | Unseen, batch: str = "b1") -> dict[str, Finding]:
    ledger = cast(Ledger, SimpleNamespace(batch=batch))
    return {f.code: f for f in peeked.peeked(Leg.REQUEST, ledger, PROFILE, NOW, seen)}


def test_without_a_probe_nothing_is_said() -> None:
    assert found(Unseen(what="Probed", why=Why.NOT_ASKED, says="")) == {}


def test_a_probe_that_could_not_look_is_unknown() -> None:
    said = found(Unseen(what="Probed", why=Why.FAILED, says="refused"))
    assert said["peeked.unseen"].status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "telling"),
    [
        ({"backlog": 7}, "although the backlog metric counts 7"),
        ({"backlog": 7, "snapshot": 9}, "although the snapshot holds 9"),
        ({"backlog": 0}, "does not prove"),
        ({}, "no metric tells"),
        ({"unanswered_pulls": 2}, "2 of them unanswered"),
    ],
)
def test_nothing_handed_over_is_unknown_with_its_reason(fields: dict[str, Any], telling: str) -> None:
    said = found(probed(**fields))
    assert list(said) == ["peeked.empty"]
    assert said["peeked.empty"].status is Status.UNKNOWN
    assert telling in said["peeked.empty"].says


def test_unreadable_messages_are_named_with_what_they_lack() -> None:
    said = found(
        probed(
            message(1, 60, missing=("player",)), message(2, unreadable="its data is not JSON"), message(3, item="ann")
        )
    )
    finding = said["peeked.unreadable"]
    assert finding.status is Status.WARNING and finding.bears is Bears.APART
    assert "2 messages of 3" in finding.says
    assert "lacks player" in finding.says and "message 1" in finding.says
    assert finding.numbers == {"messages": 2, "tried": 1}


def test_unreadable_messages_of_the_batch_hold_it() -> None:
    finding = found(probed(message(1, missing=("player",), batch="b1")))["peeked.unreadable"]
    assert (finding.status, finding.bears, finding.held) == (Status.FAULT, Bears.HOLDS, 1)


@pytest.mark.parametrize(("minutes", "attempts", "stuck"), [(29, 0, False), (31, 0, True), (1, 5, False), (1, 6, True)])
def test_a_readable_message_is_stuck_when_it_has_been_tried_by_age_or_by_count(
    minutes: float, attempts: int, stuck: bool
) -> None:
    said = found(probed(message(1, minutes, item="ann", attempts=attempts)))
    assert ("peeked.stuck" in said) is stuck
    assert ("peeked.fresh" in said) is not stuck


def test_messages_of_the_batch_are_said_to_wait_and_not_to_wait_only_if_all_were_seen() -> None:
    ours, theirs = message(1, batch="b1", item="ann"), message(2, batch="b0", item="bob")
    assert "ann" in found(probed(ours, theirs))["peeked.waiting"].says
    assert "peeked.none_waits" in found(probed(theirs, backlog=1))
    assert "peeked.none_waits" not in found(probed(theirs, backlog=2))
    assert "peeked.none_waits" not in found(probed(theirs, backlog=1, empty_pulls=0))
    assert "peeked.none_waits" not in found(probed(theirs))


def test_an_item_with_several_messages_is_told_from_one_delivered_twice() -> None:
    twice = [
        message(1, batch="b", item="ann"),
        message(2, batch="b", item="ann"),
        message(3, batch="b", item="bob", times=2),
    ]
    assert peeked.repeated(twice) == {("b", "ann"): 2}
