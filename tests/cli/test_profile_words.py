"""What a profile may say, said by the program."""

from __future__ import annotations

import json

import pytest

from diagnostics.cli import main
from diagnostics.cli.do.explain import SCHEMAS
from diagnostics.cli.schema import Of
from diagnostics.pipeline.load import parse_profile


def test_a_key_is_explained_with_the_words_that_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["profile", "explain", "means"]) == 0
    said = capsys.readouterr().out
    assert "markers.means" in said and "started_item" in said and "reached worker code" in said


def test_an_unknown_key_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["profile", "explain", "pattrn"]) == 3
    assert "did you mean pattern?" in capsys.readouterr().err


def test_the_example_is_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["profile", "example", "orders-export"]) == 0
    assert parse_profile(capsys.readouterr().out, "printed").markers
    assert main.run(["profile", "example", "orders-exprt"]) == 3
    assert "did you mean orders-export?" in capsys.readouterr().err


@pytest.mark.parametrize("of", list(Of))
def test_every_schema_is_printed(of: Of, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema", of.value]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(SCHEMAS[of.value]()))
    assert printed["$schema"].startswith("https://json-schema.org/")


def test_profile_schema_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["profile", "schema"]) == 0
    printed = capsys.readouterr().out
    assert main.run(["schema", "profile"]) == 0
    assert capsys.readouterr().out == printed
