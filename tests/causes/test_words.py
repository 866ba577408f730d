"""Words are checked: what a cause says or offers by name, the findings that it rests on have to tell, and no others.

Which numbers a condition compares, and what a step tells, mypy checks.
"""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import AllOf, AnyOf, Cause, Has, Over, Predicate, all_of, any_of, none_of
from diagnostics.conclude.offers import OF_THE_RUN
from diagnostics.evidence.model import Stage
from diagnostics.steps import tells as telling
from diagnostics.steps.finding import AnyCode, Code, Telling
from diagnostics.steps.tells import Tells


def _told(predicate: Predicate) -> frozenset[str]:
    """Names that its findings tell, whichever way it holds."""
    if isinstance(predicate, Has | Over):
        return _names(predicate.code)
    if isinstance(predicate, AllOf):
        return frozenset().union(*map(_told, predicate.parts))
    if isinstance(predicate, AnyOf):
        first, *others = map(_told, predicate.parts)
        return first.intersection(*others)
    return frozenset()


def _names(code: AnyCode) -> frozenset[str]:
    return telling.names(code.tells) if isinstance(code, Telling) else frozenset()


def _unprovided(cause: Cause) -> set[str]:
    """What it says or offers by name, and nothing that it rests on tells."""
    told = _told(cause.requires)
    past = told | (_told(cause.over) if cause.over else frozenset())
    said = (_asked(cause.says) - told) | (_asked(cause.said) - past)
    return said.union(*(_asked(command) - told - set(OF_THE_RUN) for command in (*cause.next, *cause.settled_by)))


def _asked(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("cause", CATALOGUE, ids=lambda c: c.code)
def test_what_a_cause_says_or_offers_by_name_the_findings_that_it_rests_on_tell(cause: Cause) -> None:
    assert not _unprovided(cause)


# --- the check itself, on codes of one module ------------------------------------------------------------------------


class Few(Tells, frozen=True, kw_only=True):
    items: int


class More(Tells, frozen=True, kw_only=True):
    items: int
    blocker: str | None = None


FEW = Telling("t.few", Stage.DELIVERED, "few", tells=Few)
MORE = Telling("t.more", Stage.DELIVERED, "more", tells=More)
PLAIN = Code("t.plain", Stage.DELIVERED, "plain")
CAUSE = Cause(code="t", family="test", title="t", says="{items} wait", stage=Stage.DELIVERED, requires=Has(FEW))


def _lacks(**changes: Any) -> set[str]:
    return _unprovided(replace(CAUSE, **changes))


def test_a_name_that_only_another_code_of_the_module_tells_is_found() -> None:
    assert _lacks(says="{items} wait for {blocker}") == {"blocker"}
    assert _lacks(requires=Has(PLAIN)) == {"items"}
    assert not _lacks(says="{items} wait for {blocker}", requires=Has(MORE))


def test_a_name_has_to_be_told_whichever_way_the_cause_comes_about() -> None:
    says = "{items} wait for {blocker}"
    assert _lacks(says=says, requires=any_of(Has(FEW), Has(MORE))) == {"blocker"}
    assert not _lacks(says=says, requires=all_of(Has(FEW), Has(MORE)))
    assert _lacks(requires=all_of(Has(PLAIN), none_of(Has(FEW)))) == {"items"}
    assert _lacks(says=says, decisive=Has(MORE)) == {"blocker"}  # it may be named without what settles it


def test_a_command_may_name_the_run_or_what_is_told() -> None:
    assert _lacks(next=("pubsub-diag batch {blocker} --leg {leg}",)) == {"blocker"}
    assert _lacks(settled_by=("pubsub-diag batch {batches}",)) == {"batches"}
    assert not _lacks(next=("pubsub-diag batch {blocker} --leg {leg}",), requires=Has(MORE))
