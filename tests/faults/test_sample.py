"""A few of the sweep (all of it: `make faults`), and proof that its judge can say no."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from diagnostics.lab.servers.faults import HTTP
from diagnostics.lab.servers.front import METHODS
from tests.faults.commands import COMMANDS, Command
from tests.faults.faults import EVERYTHING, KINDS, Kind
from tests.faults.judge import flaws
from tests.faults.running import Ran, Slot, slots
from tests.faults.sweep import Case, tried

KIND = {kind.name: kind for kind in KINDS}
COMMAND = {command.name: command for command in COMMANDS}
SAMPLE = (
    ("delivery", "permission denied", EVERYTHING),
    ("delivery", "garbage", "google.pubsub.v1.Subscriber/GetSubscription"),
    ("delivery", "unavailable from the second call on", "google.logging.v2.LoggingServiceV2/ListLogEntries"),
    ("batches", "resource exhausted", EVERYTHING),
    ("batches", "hang", EVERYTHING),
    ("capture", "unauthenticated", EVERYTHING),
    ("capture", "bad gateway", "google.monitoring.v3.MetricService/ListTimeSeries"),
    ("probe status", "cut", EVERYTHING),
    ("probe status", "hang", "google.pubsub.v1.Subscriber/ListSnapshots"),
)
LOADED_S = 40.0
"""How late a machine may be that does much else; `make faults` tells how late it is that does nothing else."""


@pytest.fixture(scope="module")
def slot() -> Iterator[Slot]:
    with slots("typical-batch", 1) as made:
        yield made[0]


@pytest.fixture(scope="module")
def wholes() -> dict[Command, Ran]:
    return {}


@pytest.mark.parametrize(("command", "kind", "rpc"), SAMPLE, ids=lambda word: str(word).rpartition("/")[2])
def test_less_is_seen_and_no_more_is_said(
    slot: Slot, wholes: dict[Command, Ran], command: str, kind: str, rpc: str
) -> None:
    asked = COMMAND[command]
    whole = wholes.setdefault(asked, wholes.get(asked) or slot.run(asked.line, 60))
    assert rpc == EVERYTHING or rpc in whole.rpcs
    result = tried(slot, Case("typical-batch", asked, KIND[kind], rpc), whole, tries=1)
    assert [flaw for flaw in result.flaws if flaw.rule != "late"] == [], result.said
    assert result.over_s < LOADED_S


def test_what_is_struck_is_served() -> None:
    served = {method.name for method in METHODS}
    assert all(rpc in served for _, _, rpc in SAMPLE if rpc != EVERYTHING)


# --- the judge ----------------------------------------------------------------------------------------------------------

RPC = "google.pubsub.v1.Subscriber/GetSubscription"
PUSH = {"code": "push_auth.denied", "leg": "request", "status": "fault"}


def ran(code: int = 0, seconds: float = 1.0, err: str = "", failed: tuple[str, ...] = (), **said: object) -> Ran:
    return Ran(code, json.dumps(said), err, seconds, (RPC,), failed)


def rules(whole: Ran, met: Ran, kind: Kind = KIND["cut"], command: str = "health", rpc: str = RPC) -> list[str]:
    return [flaw.rule for flaw in flaws(COMMAND[command], kind, rpc, whole, met, 3.0)]


def test_the_judge_can_say_no() -> None:
    well, ill = ran(0), ran(2, findings=[PUSH])
    unsaid = ran(0, failed=(RPC,))
    told = ran(0, failed=(RPC,), unknown=[{"what": "SubscriptionConfig"}])
    assert rules(well, ran(3)) == rules(ill, ran(2, findings=[PUSH])) == rules(well, told) == []
    assert rules(well, ran(3, seconds=4.1)) == ["late"]
    assert rules(well, ran(3, seconds=4.1), command="watch") == []
    assert rules(well, ran(3, err="pubsub-diag: internal error: KeyError: 'x'")) == ["crash"]
    assert rules(well, ran(-11)) == ["crash"]
    assert rules(ill, ran(0)) == ["all-clear"]
    assert rules(well, ran(2, findings=[PUSH])) == ["alarm", "another finding"]
    assert rules(well, ran(0), rpc=EVERYTHING) == ["nothing seen"]
    assert rules(well, ran(0), KIND["slow"], rpc=EVERYTHING) == []
    assert rules(well, unsaid) == ["unsaid"]
    assert rules(well, unsaid, command="batches") == ["unsaid"]
    assert rules(well, ran(0, failed=(RPC,), err="not seen: x"), command="batches") == []
    sure = {"code": "push-invoker-missing", "leg": "request", "confidence": "confirmed"}
    assert rules(ill, ran(2, findings=[PUSH], causes=[sure])) == ["another confirmed"]
    assert rules(ill, ran(2, findings=[PUSH], ruled_out=[{"code": "cold_start", "leg": None}])) == ["cleared"]


def test_what_a_live_call_is_told_is_an_answer() -> None:
    refused = {"code": "push_auth.live", "leg": "request", "status": "fault"}
    well, told, more = ran(0), ran(2, findings=[refused]), ran(2, findings=[refused, PUSH])
    denied = KIND["permission denied"]
    assert rules(well, told, denied, "push-auth", HTTP) == []
    assert rules(well, told, KIND["cut"], "push-auth", HTTP) == ["alarm", "another finding"]
    assert rules(well, told, denied, "push-auth", RPC) == ["alarm", "another finding"]
    assert rules(well, more, denied, "push-auth", HTTP) == ["alarm", "another finding"]
