from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from diagnostics.lab.scenario import ScenarioError, load
from diagnostics.scoring.expect import LATEST, schema, wanted

SCENARIO = """\
name: gated
story: The gate lets a few through.
vary: {items: [181, 181], gated: [166, 166]}
timeline:
  - {at: -19m, start_batch: {items: $items, name: tonight}}
ask: {batch: tonight, expect: $items}
expect:
  status: fault
  not: [poison-retry-storm]
  ladder: {published: $items - $gated, completion.delivered: [0, 15], routed: true, recorded: null}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gated.yaml"


def test_expectations_may_use_what_the_seed_draws(file: Path) -> None:
    file.write_text(SCENARIO)
    want = wanted(load(file, 7), file)
    assert want.expect.ladder == {"published": 15, "completion.delivered": (0, 15), "routed": True, "recorded": None}
    assert want.expect.never == ("poison-retry-storm",)
    assert (want.ask.batch, want.ask.expect, want.ask.command) == ("tonight", 181, "batch")


def test_without_ask_it_is_the_latest_batch(file: Path) -> None:
    file.write_text(SCENARIO.replace("ask: {batch: tonight, expect: $items}\n", ""))
    assert wanted(load(file, 7), file).ask.batch == LATEST


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("  status: fault", "  status: bad", 8, "bad"),
        ("  not: [", "  never: [", 9, "never"),
        ("{published: $items - $gated", "{published: many", 10, "ladder"),
        ("ask: {batch", "ask: {bacth", 6, "bacth"),
    ],
)
def test_a_typo_is_an_error_with_its_line(file: Path, old: str, new: str, line: int, says: str) -> None:
    file.write_text(SCENARIO.replace(old, new))
    with pytest.raises(ScenarioError, match=says) as error:
        wanted(load(file, 7), file)
    assert f"gated.yaml:{line}:" in str(error.value)


def test_a_scenario_has_to_expect_something(file: Path) -> None:
    file.write_text(SCENARIO.partition("expect:\n")[0])
    with pytest.raises(ScenarioError, match="expect"):
        wanted(load(file, 7), file)


def test_the_published_schema_takes_a_scenario_and_refuses_a_typo() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    document = yaml.safe_load(SCENARIO.replace("$items - $gated", "15").replace("$items", "181"))
    jsonschema.validate(document, schema())
    document["expect"]["blocsk"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())
