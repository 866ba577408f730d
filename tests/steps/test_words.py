"""How steps put numbers into words."""

from __future__ import annotations

import pytest

from diagnostics.steps.words import at_least


@pytest.mark.parametrize(
    ("whole", "counted", "said"),
    [
        (True, "100 pushes", "100 pushes"),
        (False, "100 pushes", "100 or more pushes"),
        (False, "1 push", "at least 1 push"),
    ],
)
def test_of_what_was_not_read_whole_it_is_so_many_or_more(whole: bool, counted: str, said: str) -> None:
    assert at_least(whole, counted) == said
