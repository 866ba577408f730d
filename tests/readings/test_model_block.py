"""The marked block of a document: what is written is read again, and nothing outside its marks is touched."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.readings.model_block import BEGIN, END, difference, inside, put, read, write
from tests.readings.test_models import NINE, OTHER

BLOCK = write([OTHER, NINE], [NINE.name])
TEXT = f"# Models\n\nBy hand.\n\n{BEGIN}\nold\n{END}\n\nMore by hand: 5 | 6\n"


def test_what_is_written_is_read_again() -> None:
    found = read(BLOCK)
    assert found.production == (NINE.name,)
    assert [m.name for m in found.models] == [NINE.name, "other"], "the one in production first"
    assert found.models[0] == replace(NINE, sha256=NINE.sha256[:12])
    assert read("") == ((), ())


def test_a_name_cannot_leave_its_cell() -> None:
    odd = replace(NINE, name="a|b", status="new\nline | x")
    found = read(write([odd], ()))
    assert (found.models[0].name, found.models[0].status) == ("a|b", "new line | x")


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    changed = put(TEXT, BLOCK)
    assert inside(changed) == BLOCK
    assert changed.replace(BLOCK, "old\n") == TEXT
    assert put(changed, BLOCK) == changed


def test_lines_end_as_they_did() -> None:
    changed = put(TEXT.replace("\n", "\r\n"), BLOCK)
    assert "\n" not in changed.replace("\r\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "# no marks\n",
        f"{BEGIN}\nx\n",
        f"{END}\nx\n{BEGIN}\n",
        f"{BEGIN}\n{BEGIN}\n{END}\n",
        f"{BEGIN} x {END}\n",
        f"{BEGIN}\nx {END}\n",
        f"text {BEGIN} text\n{END}\n",
    ],
)
def test_marks_that_are_not_there_once_each_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="begin"):
        put(text, BLOCK)


@pytest.mark.parametrize(
    "block", ["| other | table |\n| --- | --- |\n", BLOCK + "| one |\n", BLOCK.replace("2026-01-08", "soon")]
)
def test_another_table_is_not_read_as_ours(block: str) -> None:
    with pytest.raises(ValueError):
        read(block)


def test_a_diff_is_empty_where_there_is_none() -> None:
    assert difference(BLOCK, BLOCK, "D.md") == []
    assert any(line.startswith("+| catboost") for line in difference("", BLOCK, "D.md"))
