"""Profiles from TOML: an error names file, key and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diagnostics.evidence.model import Leg, Means
from diagnostics.pipeline.load import builtin_profiles, load_profile, override, parse_profile, profile_of
from diagnostics.pipeline.profile import ProfileError
from diagnostics.sources.route import full_subscription

SMALL = 'name = "n"\nproject = "p"\n[request]\nsubscription = "s"\n'


def test_the_built_in_profiles_load_and_describe_every_stage() -> None:
    assert builtin_profiles() == ("image-drops", "nba-predictions", "orders-export", "scan-reading", "tile-rendering")
    for name in builtin_profiles():
        assert load_profile(name).name == name
    for name in ("image-drops", "nba-predictions", "orders-export"):
        profile = load_profile(name)
        assert profile.has(
            Means.RECEIVED, Means.REFUSED, Means.CREATED, Means.GATE, Means.PUBLISHED, Means.PUBLISH_ERROR, Means.EMPTY,
            Means.STARTED_ITEM, Means.DONE_ITEM, Means.SKIPPED_ITEM, Means.FAILED_ITEM, Means.BAD_MESSAGE, Means.COMPLETION_ERROR,
            Means.RETURNED_ITEM, Means.RETURN_REJECTED, Means.RECORDED_ITEM, Means.RECORD_ERROR, Means.CLOSED, Means.FORCED,
        )  # fmt: skip


def test_a_profile_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(SMALL)
    assert load_profile(str(file)).request.subscription == "s"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "x.toml: expected TOML"),
        (SMALL + "subscriptoin = 's'\n", "x.toml: request: .*unknown field `subscriptoin`"),
        ('name = "n"\nproject = "p"\n', "x.toml: top level: .*missing required field `request`"),
        ("one_way = true\n" + SMALL + "[completion]\nsubscription = 't'\n", "x.toml: one_way: expected neither completion"),
        ("one_way = true\n" + SMALL + "[coordinator]\nservice = 'c'\n", "x.toml: one_way: expected neither completion"),
        (SMALL + "[closing]\nshare = 'all'\n", "x.toml: closing.share: Expected `float`, got `str`"),
        (SMALL + "[[markers]]\nmeans = 'creatd'\ncontains = 'x'\n", r"means: Invalid enum value 'creatd'; expected one of rec"),
        (SMALL + "[[markers]]\nmeans = 'created'\ncontains = ''\n", r"x.toml: markers\[0\].contains: expected a literal"),
        (SMALL + "[[markers]]\nmeans = 'created'\ncontains = 'x'\npattern = '('\n", r"x.toml: markers\[0\].pattern: expected a Python"),
        (SMALL + "[[markers]]\nmeans = 'created'\ncontains = 'x'\nfield = 'text'\n", r"x.toml: markers\[0\].field: expected textPayload"),
    ],
)  # fmt: skip
def test_an_error_names_file_key_and_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(ProfileError) as error:
        parse_profile(text, "x.toml")
    assert re.search(says, str(error.value)), str(error.value)


@pytest.mark.parametrize(
    ("says", "good", "bad"),
    [
        ("log_dataset = '{}'", ["d", "p-1.d", "example.com:p-1.d"], ["a.b.c", "p.", ".d", "a b", "`x`"]),
        ("results.table = '{}'\nresults.date = 'day'", ["d.t", "p-1.d.t-1", "example.com:p.d.t"], ["t", "a.b.c.d", "d.t t", "D:p.d.t"]),
        ("results.table = 'd.t'\nresults.date = '{}'", ["day", "_d1"], ["", "a.b", "1d", "a-b", "`x`"]),
        ("model.registry = {{table = '{}', name = 'n'}}", ["d.t", "example.com:p.d.t"], ["t", "a.b.c.d"]),
        ("model.registry = {{table = 'd.t', name = '{}'}}", ["n"], ["", "n n", "1"]),
        ("model.variable = '{}'", ["MODEL_PATH"], ["A-B", "1A", "A=b"]),
        ("model.manifest = '{}'", ["gs://my-bucket/a/b.json", "models.json"], ["gs://my-bucket", "gs:///a", "gs://B_1/a", "gs://b/a"]),
        ("keep.store = '{}'", ["gs://my-bucket", "gs://my-bucket/a/", "/shared"], ["gs://", "gs://B/a", "shared"]),
    ],
)  # fmt: skip
def test_a_name_that_google_cannot_have_given_is_refused(says: str, good: list[str], bad: list[str]) -> None:
    for name in good:
        parse_profile(f"{says.format(name)}\n{SMALL}", "x.toml")
    for name in bad:
        with pytest.raises(ProfileError, match="expected"):
            parse_profile(f"{says.format(name)}\n{SMALL}", "x.toml")


def test_a_file_that_is_not_there_names_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="nba-predictions"):
        load_profile(str(tmp_path / "none.toml"))


def test_the_smallest_profile_is_one_subscription() -> None:
    profile = profile_of("projects/p/subscriptions/s", completion="c")
    assert (profile.project, profile.request.subscription) == ("p", "s")
    assert profile.completion is not None
    assert profile_of("s", project="q").project == "q"
    with pytest.raises(ProfileError, match="--project"):
        profile_of("s")
    with pytest.raises(ProfileError, match="expected a subscription name"):
        profile_of("projects/p/topics/t")


def test_the_command_line_overrides_a_profile() -> None:
    profile = override(load_profile("nba-predictions"), project="other", region="us-east1", subscription="s2")
    assert (profile.project, profile.region, profile.request.subscription) == ("other", "us-east1", "s2")
    assert override(profile) == profile


def test_a_subscription_of_another_project_keeps_its_full_name() -> None:
    theirs = "projects/team-b/subscriptions/back"
    profile = profile_of("mine", project="team-a", completion=theirs)
    assert profile.completion is not None
    assert profile.completion.subscription == theirs
    assert full_subscription(profile, Leg.COMPLETION) == theirs
    assert override(profile, subscription="projects/team-c/subscriptions/x").request.subscription == (
        "projects/team-c/subscriptions/x"
    )
    assert override(profile, subscription="projects/team-a/subscriptions/x").request.subscription == "x"


@pytest.mark.parametrize("name", ["nba-predictions", "orders-export", "image-drops"])
def test_a_marker_pattern_matches_only_what_contains_its_literal(name: str) -> None:
    """A pattern that could match without the literal would never be asked for."""
    for marker in load_profile(name).markers:
        assert marker.pattern
        plain = re.sub(r"\(\?P<\w+>", "(", marker.pattern).replace("\\", "")
        words = re.sub(r"[^A-Za-z0-9_ ]", "", plain)
        for word in re.findall(r"[A-Za-z]{4,}", marker.contains):
            assert word in words, (marker.contains, marker.pattern)
