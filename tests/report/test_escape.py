from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from diagnostics.report.escape import clean, clean_json


def test_controls_are_shown() -> None:
    assert clean("a\x1b[31m\nb\u202ec\u200b") == "a\\x1b[31m\\nb\\u202ec\\u200b"


def test_ordinary_text_is_left_alone() -> None:
    assert clean("Dončić – 15/181 ◀ 日本 José") == "Dončić – 15/181 ◀ 日本 José"


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in clean(text))
    assert all(
        unicodedata.bidirectional(c) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for c in clean(text)
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_says_the_same(text: str) -> None:
    encoded = json.dumps({"key": text}, ensure_ascii=False)
    assert json.loads(clean_json(encoded)) == {"key": text}
