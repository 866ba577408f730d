"""What an answer to a command that met a fault must not be: late, a crash, an all-clear, or more than without the fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from diagnostics.lab.servers.faults import HTTP
from tests.faults.commands import Command
from tests.faults.faults import EVERYTHING, Kind
from tests.faults.running import Ran

GRACE_S = 1.0
"""For deciding and saying it, once the time is over."""
SURE = ("fault", "warning")
CRASHES = ("Traceback (most recent call last)", "internal error", "Fatal Python error")
UNSAID_IF_NONE = (
    "not seen", "seen in part", "unknown", "could not", "not known", "not looked", "not read", "did not answer", "cannot", "is missing",
    "not asked", "refuse", "used up", "did not say", "in part", '"not_seen":["',
)  # fmt: skip
"""Words of which a plain answer that leaves something out has one, on stdout or stderr."""


REFUSED = frozenset({"permission denied", "unauthenticated"})
"""Faults that a service's own URL answers with a status: to a live call that is the answer, and says that nobody gets in."""
LIVE = frozenset({"push_auth.live@request", "push_auth.live@completion"})


LET_IN = frozenset({("cold-start", "garbage")})
"""A page with 200 is an answer to a live first call, whatever stands on it: somebody was let in."""


class Flaw(NamedTuple):
    rule: str
    what: str


def flaws(command: Command, kind: Kind, rpc: str, whole: Ran, met: Ran, timeout_s: float) -> Iterator[Flaw]:
    """`whole`: the same command without a fault; `rpc`: what met it, HTTP or EVERYTHING."""
    over = met.seconds - command.ends(timeout_s)
    if over > GRACE_S:
        yield Flaw("late", f"{over:.1f} s over")
    crash = next((word for word in CRASHES if word in met.err or word in met.out), "")
    if crash or not 0 <= met.code <= 3:
        yield Flaw("crash", crash or f"exit {met.code}")
        return
    if met.code == 0 and whole.code != 0 and not (rpc == HTTP and (command.name, kind.name) in LET_IN):
        yield Flaw("all-clear", f"0, was {whole.code}")
    heard = LIVE if rpc == HTTP and kind.name in REFUSED else frozenset()
    new = _claimed(answer(met), SURE) - _claimed(answer(whole), (*SURE, "advice"))
    if met.code in (1, 2) and whole.code == 0 and not (new and new <= heard):
        yield Flaw("alarm", f"{met.code}, was 0")
    if rpc == EVERYTHING and kind.hides and whole.rpcs and met.code != 3:
        yield Flaw("nothing seen", f"exit {met.code}")
    if command.json:
        yield from _more(answer(whole), answer(met), new - heard)
    if met.code == 0 and kind.hides and met.failed and not says_so(command, met):
        yield Flaw("unsaid", ", ".join(name.rpartition("/")[2] for name in met.failed))


def answer(ran: Ran) -> dict[str, Any]:
    """The diagnosis; empty where there is none."""
    try:
        said = json.loads(ran.out)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def says_so(command: Command, met: Ran) -> bool:
    """Whether it says at all that something was not seen."""
    if command.json:
        said = answer(met)
        return bool(said.get("unknown")) or any(f["status"] == "unknown" for f in said.get("findings", ()))
    return any(word in f"{met.out}{met.err}".lower() for word in UNSAID_IF_NONE)


def _claimed(said: dict[str, Any], statuses: tuple[str, ...]) -> set[str]:
    """Findings that are said as these."""
    return _named(said, "findings", "status", statuses)


def _more(whole: dict[str, Any], met: dict[str, Any], found: set[str]) -> Iterator[Flaw]:
    """Claims that are not made where all is seen; `found`: findings, what a live call was told apart."""
    if found:
        yield Flaw("another finding", ", ".join(sorted(found)))
    if new := _named(met, "causes", "confidence", ("confirmed",)) - _named(
        whole, "causes", "confidence", ("confirmed",)
    ):
        yield Flaw("another confirmed", ", ".join(sorted(new)))
    if new := _named(met, "ruled_out") - _named(whole, "ruled_out"):
        yield Flaw("cleared", ", ".join(sorted(new)))


def _named(said: dict[str, Any], kind: str, field: str = "", values: tuple[str, ...] = ()) -> set[str]:
    return {
        f"{one['code']}@{one.get('leg') or ''}" for one in said.get(kind, ()) if not field or one.get(field) in values
    }
