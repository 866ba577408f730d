"""The scenario format: a typo is an error with its file and line, varied numbers follow the seed, nothing is ignored."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from diagnostics.lab.document import DEEPEST, Document
from diagnostics.lab.durations import moment, seconds
from diagnostics.lab.scenario import ScenarioError, load, parse, scenario_schema

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SCHEMA = jsonschema.Draft202012Validator(scenario_schema())
HEAD = "name: n\nstory: s\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (HEAD + "timeline:\n  - at: -3m\n    start_batch: {items: 3,\n      gatd: {existing: 1}}\n", 6, "gatd"),
        (HEAD + "timeline:\n  - {at: -3m, start_bach: {items: 3}}\n", 4, "start_bach"),
        (HEAD + "timeline:\n  - {at: 3m, start_batch: {items: 3}}\n", 4, "timeline[0].at"),
        (HEAD + "timeline:\n  - {at: -3m}\n", 4, "exactly one event"),
        (
            HEAD + "timeline:\n  - {at: -3m, restart: {service: worker}, start_batch: {items: 1}}\n",
            4,
            "start_batch, restart",
        ),
        (HEAD + "timeline:\n  - {at: -3m, every: 1m, start_batch: {items: 1}}\n", 4, "go together"),
        (HEAD + "timeline:\n  - at: -3m\n    start_batch:\n      items: $many\n", 6, "$many"),
        (HEAD + "vary: {many: [9, 3]}\n", 3, "[9, 3]"),
        (HEAD + "pipeline:\n  request:\n    subscription:\n      ack_deadline: 10\n", 6, "Expected `str`"),
        (HEAD + "story: again\n", 3, "given twice"),
        (HEAD + "faults: [{rpc: Publish, kind: flood}]\n", 3, "flood"),
        (HEAD + "timeline: [\n", 4, "expected"),
        ("name: n\n", 1, "story"),
    ],
)
def test_a_typo_is_an_error_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "folder/f.yaml")
    assert str(caught.value).startswith(f"folder/f.yaml:{line}: ")
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_varied_numbers_follow_the_seed_everywhere() -> None:
    text = (
        HEAD
        + "vary: {items: [100, 200], kept: [1, 9]}\n"
        + "timeline:\n  - {at: -3m, start_batch: {items: $items, gated: {existing: $items - $kept}}}\n"
        + "expect: {ladder: {published: $kept, created: $items, closed: 5}}\n"
    )
    drawn = [parse(text, seed=seed) for seed in range(5)]
    for scenario in drawn:
        batch = scenario.timeline[0].start_batch
        assert batch is not None
        ladder = scenario.expect["ladder"]
        assert ladder == {"published": batch.items - batch.gated.existing, "created": batch.items, "closed": 5}
    assert len({s.expect["ladder"]["created"] for s in drawn}) > 1
    assert parse(text, seed=3) == parse(text, seed=3)


def test_a_key_called_on_is_a_key_and_dates_stay_text() -> None:
    text = HEAD + (
        "timeline:\n"
        "  - {at: 2026-02-08T14:02:00Z, grant: {on: project, role: r, member: agent}}\n"
        "  - {at: -1h, start_batch: {items: 1, date: 2026-02-01}}\n"
    )
    first, second = parse(text).timeline
    assert first.grant is not None
    assert first.grant.on == "project"
    assert first.at == "2026-02-08T14:02:00Z"
    assert second.start_batch is not None
    assert second.start_batch.date == "2026-02-01"


def test_the_wanted_answer_is_carried_along_unread() -> None:
    scenario = parse(HEAD + "ask: {anything: [1, {x: y}]}\nexpect: {blocks: [whatever]}\n")
    assert (scenario.ask, scenario.expect) == ({"anything": [1, {"x": "y"}]}, {"blocks": ["whatever"]})


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("2h", 7200), ("3d12h", 302400), ("-3d2h", -266400), ("1.5m", 90), ("250ms", 0.25)]
)
def test_lengths_of_time(text: str, value: float) -> None:
    assert seconds(text) == value


def test_moments() -> None:
    assert moment("-2m", 1000.0) == 880
    assert moment("1970-01-01T00:10:00Z", 5.0) == 600


@pytest.mark.parametrize("path", sorted(SCENARIOS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_of_the_repository_reads_and_is_named_as_its_file(path: Path) -> None:
    assert load(path).name == path.stem


@pytest.mark.parametrize("path", sorted(SCENARIOS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_published_schema_accepts_what_the_loader_accepts(path: Path) -> None:
    SCHEMA.validate(Document(path.read_text(), path.name).value)


@pytest.mark.parametrize(
    "wrong",
    [{"tmeline": []}, {"timeline": [{"at": "3m"}]}, {"vary": {"a": ["$b", 3]}}, {"pipeline": {"dialect": "other"}}],
)
def test_the_published_schema_refuses_what_the_loader_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({"name": "n", "story": "s", **wrong})


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_a_document_is_read_no_deeper_than_anybody_nests(opening: str, closing: str) -> None:
    inside = DEEPEST - 1
    assert Document(opening * inside + "x" + closing * inside, "a.yaml").value
    for deeper in (DEEPEST + 1, 100_000):
        with pytest.raises(ScenarioError, match=r"a\.yaml:1: it is nested too deeply"):
            Document(opening * deeper, "a.yaml")


def test_what_is_no_text_is_refused_with_its_line() -> None:
    with pytest.raises(ScenarioError, match=r"^a\.yaml:2: special characters are not allowed$"):
        Document("name: a\nstory: \0", "a.yaml")
