"""What fuzzing found once is read again: a value or one line, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import KEPT, SEEDS, TARGETS, check

FOUND = sorted(path for target in TARGETS for path in (KEPT / target).glob("*"))


def test_something_is_kept_for_each_target() -> None:
    assert {path.parent.name for path in FOUND} == set(TARGETS)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_read_or_refused_in_one_line(path: Path) -> None:
    check(path.parent.name, path.read_bytes())


@pytest.mark.parametrize(("target", "text"), [(name, text) for name, texts in SEEDS.items() for text in texts])
def test_what_the_fuzzer_begins_with_is_proper(target: str, text: str) -> None:
    assert TARGETS[target](text.encode()) == ""
