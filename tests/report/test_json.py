"""The JSON is API."""

from __future__ import annotations

import json as std

import jsonschema
import pytest
from msgspec.structs import replace

from diagnostics.cli import main
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report import json

PROMISED = {
    "schema_version", "status", "exit_code", "pipeline", "batch", "state", "finishes_alone", "forecast", "window", "as_of",
    "ladder", "causes", "ruled_out", "unknown", "findings", "unexplained", "recovery", "calls",
}  # fmt: skip


def test_the_night_is_what_the_schema_says(night: Diagnosis) -> None:
    schema = json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    said = std.loads(json.render(night))
    jsonschema.validate(said, schema)
    assert said.keys() >= PROMISED
    assert (said["schema_version"], said["status"], said["exit_code"], said["state"]) == (1, "fault", 2, "stalled")
    assert said["as_of"] == "2026-02-08T14:21:07Z"
    assert [r["where"] for r in said["ladder"] if r["stage"] == "published"] == [{"gated": 166}]


@pytest.mark.parametrize(("key", "value"), [("state", "sleeping"), ("status", None), ("ladder", [{"stage": "eaten"}])])
def test_the_schema_refuses_what_is_not_a_diagnosis(night: Diagnosis, key: str, value: object) -> None:
    said = std.loads(json.render(night))
    said[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said, json.schema())


def test_the_same_diagnosis_is_the_same_text(night: Diagnosis) -> None:
    shuffled = replace(night, sources={"B": "b", "A": "a"})
    ordered = replace(night, sources={"A": "a", "B": "b"})
    assert json.render(shuffled) == json.render(ordered)


def test_hostile_text_is_escaped_and_says_the_same(night: Diagnosis) -> None:
    evil = "x\x1b[2J\x9b31m\u202egnp\nnew\u2028line\U000e0041"
    output = json.render(replace(night, headline=evil))
    assert not any(c in output for c in "\x1b\x9b\u202e\u2028\U000e0041")
    assert std.loads(output)["headline"] == evil


def test_resubmit_is_a_plain_list(night: Diagnosis) -> None:
    assert std.loads(json.render_resubmit(night)) == ["1e5"]


def test_the_command_line_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--json-schema"]) == 0
    assert std.loads(capsys.readouterr().out) == std.loads(json.schema_text())
