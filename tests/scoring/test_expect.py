from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from diagnostics.lab.document import Document
from diagnostics.lab.scenario import ScenarioError, load
from diagnostics.pipeline import places
from diagnostics.scoring.expect import LATEST, Expected, wanted
from diagnostics.scoring.schema import schema
from diagnostics.scoring.world import files

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


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (
            "blocks: [push-invoker-mising]",
            'no cause "push-invoker-mising" in the catalogue; did you mean "push-invoker-missing"?',
        ),
        ("worsens: [no-such-cause]", "no-such-cause"),
        ("latent: [no-such-cause]", "no-such-cause"),
        ("benign: [no-such-cause]", "no-such-cause"),
        ("allow: [no-such-cause]", "what has no name yet is expected by its findings"),
        ("not: [no-such-cause]", "no-such-cause"),
        ("not: [delivered.failing]", "it is a finding"),
        ("not: [push-invoker-missing@back]", 'not of "back"'),
        ("not: [gated-batch-never-closes@completion]", "is a cause of the request leg"),
        ("confidence: {no-such-cause: confirmed}", "no-such-cause"),
        ("one_of: [no-such-cause]", "no-such-cause"),
        ("not_confirmed: [no-such-cause]", "no-such-cause"),
        ("over: [no-such-cause]", "no-such-cause"),
        ("over: [delivered.fialing]", "delivered.failing"),
        ("findings: [delivered.fialing]", 'did you mean "delivered.failing"?'),
        ("findings: [push-invoker-missing]", "it is a cause"),
        ("findings: [delivered.failing@back]", 'no leg "back"'),
        ("not_findings: [delivered.fialing]", "delivered.failing"),
        ("told: {delivered.fialing: ok}", "delivered.failing"),
        ("not_told: [delivered.fialing]", "delivered.failing"),
        ("unexplained: [delivered.fialing]", "delivered.failing"),
        ("ladder: {eaten: 1}", 'no stage "eaten"'),
        ("ladder: {back.delivered: 1}", 'no stage "back.delivered"'),
        ("ladder: {completion.deliverd: 1}", 'did you mean "completion.delivered"?'),
        ("here: deliverd", 'did you mean "delivered"?'),
        ("where: {eaten: {}}", 'no stage "eaten"'),
        ("where: {delivered: {lost: 1}}", "lost"),
        ("recovery: {resubmitted: 1}", "resubmitted"),
        ("suspect_at: yesterday", "suspect_at"),
        ("offers: ['/pubsub-diag (batch/']", "no regular expression: missing"),
        ("not_offers: ['/*/']", "no regular expression: nothing to repeat"),
        ("says: ['/[/']", "no regular expression"),
        ("not_says: ['']", "length"),
    ],
)
def test_a_name_that_nothing_has_is_an_error_with_its_line(file: Path, key: str, says: str) -> None:
    file.write_text(SCENARIO.partition("  not:")[0] + f"  {key}\n")
    with pytest.raises(ScenarioError, match=re.escape(says)) as error:
        wanted(load(file, 7), file)
    assert f"gated.yaml:9: expect.{key.partition(':')[0]}" in str(error.value)


def test_all_names_that_nothing_has_are_told_at_once(file: Path) -> None:
    file.write_text(SCENARIO.replace("not: [poison", "findings: [nonsense]\n  not: [nonsense, poison"))
    with pytest.raises(ScenarioError) as error:
        wanted(load(file, 7), file)
    lines = [line.partition(": ")[0].rpartition(":")[2] for line in str(error.value).splitlines()]
    assert sorted(lines) == ["10", "9"]


@pytest.mark.parametrize("path", files([places.scenarios()]), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_scenario_expects_what_there_is_and_its_schema_takes_it(path: Path) -> None:
    wanted(load(path, 1), path)
    CHECKER.validate(Document(path.read_text(), str(path)).value)


def test_a_scenario_has_to_expect_something(file: Path) -> None:
    file.write_text(SCENARIO.partition("expect:\n")[0])
    with pytest.raises(ScenarioError, match="expect"):
        wanted(load(file, 7), file)


CHECKER = jsonschema.Draft202012Validator(schema())


def test_the_published_schema_takes_a_scenario_and_refuses_a_typo() -> None:
    CHECKER.check_schema(schema())
    document = yaml.safe_load(SCENARIO)
    CHECKER.validate(document)
    document["expect"]["blocsk"] = []
    with pytest.raises(jsonschema.ValidationError):
        CHECKER.validate(document)


def test_the_published_schema_says_what_each_key_is_for() -> None:
    keys = schema()["$defs"]["Expected"]["properties"]
    assert set(keys) == set(Expected.__struct_encode_fields__)
    assert [key for key, said in keys.items() if "description" not in said] == []
    assert keys["not"]["description"] == "Causes that must not be named, in whatever role."
    assert "[from, to]" in keys["suspect_at"]["description"]
    assert "named" in schema()["$defs"]["Recovered"]["properties"]["resubmit"]["description"]
    assert "drawn from the seed" in schema()["$defs"]["Scenario"]["properties"]["vary"]["description"]
