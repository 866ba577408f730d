"""The files that a forge reads are what it takes, and the issue forms ask for what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.supply.picture import PICTURE, words

README = Path(__file__).parents[2] / "README.md"
HOME = Path(__file__).parents[2] / ".github"
FORMS = sorted((HOME / "ISSUE_TEMPLATE").glob("*.yml"))


def test_there_are_forms() -> None:
    assert len(FORMS) >= 2


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_each_form_can_be_read_and_asks_for_the_file_of_selftest(path: Path) -> None:
    form: Any = msgspec.yaml.decode(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    for field in form["body"]:
        assert field["type"] in ("markdown", "input", "textarea")
        assert field["attributes"].get("label") or field["type"] == "markdown"
    assert any("selftest" in field["attributes"].get("label", "") for field in form["body"])


def test_the_picture_shows_the_answer_that_the_readme_shows() -> None:
    """The README's words are held to the real answer by their own test; `make picture` draws it anew."""
    shown = README.read_text(encoding="utf-8").partition("```text demo\n")[2].partition("\n2 LATENT")[0]
    drawn = words(PICTURE.read_text(encoding="utf-8"))
    assert "".join(shown.split()) in drawn
    assert "url(http" not in PICTURE.read_text(encoding="utf-8"), "who looks at it asks nobody else"
    assert "](.github/answer.svg)" in README.read_text(encoding="utf-8")
