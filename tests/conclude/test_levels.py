"""How a health check's three claims stand, from what was and was not seen."""

from __future__ import annotations

import pytest

from diagnostics.conclude.levels import levels, status_of_levels
from diagnostics.evidence.model import Unseen, Why
from diagnostics.question.ask import SHOWN
from diagnostics.steps import model_drift, push_auth, serving, traffic
from diagnostics.steps.finding import Code, Finding, Status, Telling
from diagnostics.steps.push_auth import invoker
from diagnostics.steps.run import not_checked
from diagnostics.steps.tells import Hidden

HIDDEN = Hidden.of(Unseen(what="ModelRegistry", why=Why.PERMISSION_DENIED, says="denied"))
WELL = (
    serving.NEWEST.says(Status.OK, "the newest build serves"),
    invoker.GRANTED.says(Status.OK, "may call"),
    traffic.FLOWS.says(Status.OK, "flows"),
)
REQUIRED = ("config", "path", SHOWN)


def status(*more: Finding) -> Status:
    return status_of_levels(levels((*WELL, *more), REQUIRED))


def test_all_well_is_well() -> None:
    assert status() is Status.OK


@pytest.mark.parametrize("code", [model_drift.HIDDEN, not_checked(push_auth.push_auth)], ids=lambda c: c.name)
def test_what_could_hide_more_than_advice_leaves_its_claim_open(code: Telling[Hidden]) -> None:
    assert status(code.says(Status.UNKNOWN, "was not seen", tells=HIDDEN)) is Status.UNKNOWN


@pytest.mark.parametrize("code", [model_drift.LOADED_UNTOLD, model_drift.ROWS_UNTOLD], ids=lambda c: c.name)
def test_what_could_hide_only_advice_does_not(code: Code) -> None:
    assert status(code.says(Status.UNKNOWN, "the worker does not say it")) is Status.OK


def test_that_nothing_was_made_since_a_promotion_leaves_the_configuration_well() -> None:
    assert status(model_drift.ROWS_OLD.says(Status.IDLE, "the newest results are older")) is Status.OK
    alone = levels((model_drift.ROWS_OLD.says(Status.IDLE, "older"), *WELL[1:]), REQUIRED)
    assert status_of_levels(alone) is Status.UNKNOWN, "nothing else speaks of the configuration"
