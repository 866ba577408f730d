"""Every key of a profile is explained, by name and in a JSON Schema, and a mistyped one gets the nearest right name."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from diagnostics.evidence.model import Means
from diagnostics.pipeline import explained
from diagnostics.pipeline.explained import every
from diagnostics.pipeline.load import builtin_profiles, parse_profile
from diagnostics.pipeline.profile import ProfileError

SMALLEST = 'name = "n"\nproject = "p"\n[request]\nsubscription = "s"\n'
MARKER = '[[markers]]\nmeans = "created"\ncontains = "x"\n'


def test_every_key_and_every_word_says_what_it_is() -> None:
    assert [key.name for key in every() if not key.says] == []
    assert [word for word, says in explained.words(Means) if not says] == []


def test_a_key_is_found_by_its_last_part_and_a_table_with_all_that_is_in_it() -> None:
    assert {key.name for key in explained.explain("subscription")} == {
        "request.subscription",
        "completion.subscription",
    }
    assert {"markers", "markers.means"} <= {key.name for key in explained.explain("markers")}
    assert explained.explain("nonsense") == ()
    assert [word for word, _ in explained.choices("means")] == [means.value for means in Means]


@pytest.mark.parametrize("name", builtin_profiles())
def test_the_schema_takes_the_profiles_that_come_along(name: str) -> None:
    text = resources.files("diagnostics.pipeline").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    schema = explained.schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "wrong", ['means = "creatd"\ncontains = "x"\n', 'means = "created"\ncontain = "x"\n', 'means = "created"\n']
)
def test_the_schema_refuses_what_a_profile_may_not_say(wrong: str) -> None:
    document = tomllib.loads(f"{SMALLEST}[[markers]]\n{wrong}")
    assert not Draft202012Validator(explained.schema()).is_valid(document)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (f"{SMALLEST}{MARKER}pattern = '(?P<btch>x)'\n", "batch"),
        (f"{SMALLEST}{MARKER}pattern = '(?P<corelation>x)'\n", "correlation"),
        (f'{SMALLEST}{MARKER}captures = {{ itme = "jsonPayload.a" }}\n', "item"),
        (f"{SMALLEST}{MARKER}pattern = '(?P<batch_id>x)'\n", "batch"),
        (f'{SMALLEST}[[markers]]\nmeans = "creatd"\ncontains = "x"\n', "created"),
        (f"{SMALLEST}[worker]\nserver_timout_s = 3\n", "server_timeout_s"),
        (SMALLEST.replace("subscription", "subscripton"), "subscription"),
    ],
)
def test_a_mistyped_name_gets_the_nearest_right_one(text: str, meant: str) -> None:
    with pytest.raises(ProfileError, match=f'did you mean "{meant}"'):
        parse_profile(text, "mine.toml")


@pytest.mark.parametrize("name", ["skipped_existing", "on_hold", "predictions", "fail", "total"])
def test_reasons_of_a_gate_may_have_names_of_their_own(name: str) -> None:
    assert parse_profile(f"{SMALLEST}{MARKER}pattern = '(?P<{name}>x)'\n", "mine.toml").markers
