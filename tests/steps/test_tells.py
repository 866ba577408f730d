"""What findings tell is typed, and is the same once it was written down and read again."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from diagnostics.causes.model import Board, Over
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps import tells as telling
from diagnostics.steps.finding import Code, Finding, ResourceKind, Status, Subject, Telling
from diagnostics.steps.rooms import codes
from diagnostics.steps.tells import Hidden, Tells


class Told(Tells, frozen=True, kw_only=True):
    pushes: int
    share: float | None = None
    reason: str = ""
    pushes_: str | None = None
    class_: dict[str, float] = {}


CODE = Telling("t.told", Stage.DELIVERED, "told", tells=Told)
OTHER = Code("t.other", Stage.DELIVERED, "other")
ALL = Told(pushes=3, share=0.5, reason="late", pushes_="a,b", class_={"internal": 2, "invalid": 1})


def written(finding: Finding) -> Finding:
    return msgspec.json.decode(msgspec.json.encode(finding), type=Finding)


def test_numbers_and_words_are_what_the_code_tells() -> None:
    said = CODE.says(Status.FAULT, "said", tells=ALL)
    assert said.numbers == {"pushes": 3, "share": 0.5, "class_internal": 2, "class_invalid": 1}
    assert said.words == {"reason": "late", "pushes": "a,b"}


def test_what_was_not_seen_is_left_out() -> None:
    said = CODE.says(Status.FAULT, "said", tells=Told(pushes=0))
    assert (said.numbers, said.words) == ({"pushes": 0}, {"reason": ""})


@pytest.mark.parametrize("told", [ALL, Told(pushes=0)])
def test_it_is_read_again_as_it_was_told(told: Told) -> None:
    said = CODE.says(Status.FAULT, "said", tells=told)
    assert CODE.of(said) == CODE.of(written(said)) == told
    assert list(CODE.told([OTHER.says(Status.OK, "else"), written(said)])) == [told]


def test_a_finding_of_another_code_tells_nothing_of_it() -> None:
    assert CODE.of(OTHER.says(Status.OK, "else")) is None


def test_a_finding_without_what_its_code_has_to_tell_is_an_error() -> None:
    said = msgspec.structs.replace(CODE.says(Status.FAULT, "said", tells=ALL), numbers={})
    with pytest.raises(msgspec.ValidationError, match="pushes"):
        CODE.of(said)


def test_what_is_misspelt_missing_or_not_declared_is_a_type_error() -> None:
    """For mypy these are errors, and each `type: ignore` that hides none is one itself; here they are what happens all the same."""
    board = Board([CODE.says(Status.FAULT, "said", tells=ALL)], Leg.REQUEST)
    with pytest.raises(TypeError):
        Told(pushes=3, shares=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Told(share=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        CODE.says(Status.FAULT, "said")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        OTHER.says(Status.FAULT, "said", tells=ALL)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Over(CODE, lambda told: told.shares, 0.1).match(board)  # type: ignore[attr-defined]
    CODE.says(Status.FAULT, "said", tells=Hidden())  # type: ignore[arg-type]


def test_a_condition_holds_for_a_number_that_was_seen_and_is_over_the_bound() -> None:
    said = CODE.says(Status.FAULT, "said", tells=Told(pushes=3))
    board = Board([said, OTHER.says(Status.FAULT, "else")], Leg.REQUEST)
    assert Over(CODE, lambda told: told.pushes, 2).match(board) == (said,)
    assert Over(CODE, lambda told: told.pushes, 3).match(board) is None
    assert Over(CODE, lambda told: told.share, -1).match(board) is None


def test_why_it_is_hidden_and_what_mends_it_is_told_of_any_finding() -> None:
    code = Telling("t.hidden", Stage.DELIVERED, "hidden", tells=Hidden)
    said = code.says(Status.UNKNOWN, "hidden", tells=Hidden(permission="a.b.get", mend="gcloud x", why="denied"))
    assert (said.mend, said.hidden) == ("gcloud x", Hidden(permission="a.b.get", mend="gcloud x", why="denied"))
    assert (OTHER.says(Status.OK, "else").mend, OTHER.says(Status.OK, "else").hidden) == ("", Hidden())


def test_the_subject_is_part_of_the_json() -> None:
    said = OTHER.says(Status.OK, "else", subject=Subject(ResourceKind.TOPIC, "requests"))
    assert msgspec.to_builtins(said)["subject"] == {"kind": "topic", "name": "requests"}
    assert written(said) == said


def _declared() -> dict[str, Telling[Any]]:
    return {name: code for name, code in codes().items() if isinstance(code, Telling)}


@pytest.mark.parametrize("code", _declared().values(), ids=lambda code: code.name)
def test_a_field_is_a_number_a_word_or_numbers_by_name(code: Telling[Any]) -> None:
    for field in msgspec.structs.fields(code.tells):
        kinds = {option for option in get_args(field.type) or (field.type,) if option is not type(None)}
        assert kinds in ({int}, {float}, {str}) or field.type == dict[str, float], field.name
    assert telling.names(code.tells), f"{code.name} declares that it tells something, and names nothing"
