"""What another version wrote is never refused and never guessed: it is set apart, it is said, and what is left says no more for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from diagnostics import __version__
from diagnostics.cli import main
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import (
    BatchMarks,
    ChangeLog,
    Evidence,
    ItemMarks,
    Key,
    Leg,
    Means,
    PlatformLines,
    PushCounts,
    ServicePolicy,
    Unseen,
    Why,
)
from diagnostics.keep import apart
from diagnostics.keep.apart import Parts, Read, Unreadable, newer, read
from diagnostics.keep.bundle import Bundle, BundleError, dump, load, parse, replay
from diagnostics.keep.contents import KINDS
from diagnostics.pipeline.profile import Accepted, Closing, LegProfile, PipelineProfile
from diagnostics.run.investigate import investigate
from diagnostics.steps.finding import Status
from tests.keep.versions import NEWER, OLD, OLDER, Change, changed, changes, document, packed
from tests.matrices.answers import Answer
from tests.matrices.blindness import says_more
from tests.matrices.blinds import seeing
from tests.sampling import examples

NIGHT = document(dump(load(OLD).case, replay(load(OLD)), load(OLD).notes))
"""The night, as this version would have written it."""


def written(change: Callable[[dict[str, Any]], object], made_by: str = NEWER) -> Bundle:
    """The night, as a version wrote it that did this otherwise."""
    said = document(packed(NIGHT)) | {"made_by": made_by}
    change(said)
    return parse(packed(said))


def piece(said: dict[str, Any], kind: str, leg: str | None = None) -> dict[str, Any]:
    """A piece of evidence of a document."""
    (found,) = [entry["seen"] for entry in said["evidence"] if (entry["kind"], entry["leg"]) == (kind, leg)]
    assert isinstance(found, dict)
    return found


def told(bundle: Bundle) -> list[str]:
    return [f"{one.what}{f' ({one.leg})' if one.leg else ''}: {one.says}" for one in bundle.apart]


def unseen(bundle: Bundle, kind: type[Evidence], leg: Leg | None = None) -> Unseen:
    found = bundle.case.evidence.get(kind, leg)
    assert isinstance(found, Unseen)
    return found


@cache
def whole() -> Answer:
    return Answer.of(replay(parse(packed(NIGHT))))


# --- a bundle of a newer version, whole -------------------------------------------------------------------------------------


def of_tomorrow(said: dict[str, Any]) -> None:
    said["weather"] = "fog"
    said["evidence"].append({"kind": "Telepathy", "leg": None, "seen": {"thoughts": []}})
    said["profile"]["tracing"] = True
    said["profile"]["markers"].append(said["profile"]["markers"][0] | {"means": "paused"})
    for mark in piece(said, "ItemMarks")["marks"][:2]:
        mark["means"] = "paused"
    piece(said, "ServicePolicy", "request")["bindings"][0].pop("condition")
    piece(said, "PushCounts", "request")["series"][0]["unit"] = "1"
    next(one for one in said["unseen"] if one["what"] == "LiveHealth")["why"] = "on_strike"
    said["diagnosis"] = {"status": "fault", "headline": "it was the fog", "alternatives": []}


@pytest.fixture(scope="module")
def tomorrow() -> Bundle:
    return written(of_tomorrow)


def test_a_bundle_of_a_newer_version_opens_and_says_what_is_set_apart(tomorrow: Bundle) -> None:
    wrote = f"set apart, as pubsub-diag {NEWER} wrote it:"
    unknown = f"fields that pubsub-diag {__version__} does not know:"
    assert sorted(told(tomorrow)) == sorted(
        [
            f"bundle: {unknown} weather",
            f"profile: {wrote} 1 of 37 markers (markers.means: Invalid enum value 'paused')",
            f"profile: {unknown} tracing",
            f"ItemMarks: {wrote} 2 of 233 marks (marks.means: Invalid enum value 'paused')",
            f"PushCounts (request): {unknown} series.unit",
            f"ServicePolicy (request): {wrote} bindings.condition: not there",
            f"Telepathy: a kind of evidence that pubsub-diag {__version__} does not know",
            f"LiveHealth (completion): not seen then, for a reason that pubsub-diag {__version__} does not know: "
            "live calls were not asked for",
        ]
    )


def test_of_a_list_only_the_entry_is_set_apart_and_the_kind_is_not_complete(tomorrow: Bundle) -> None:
    marks = tomorrow.case.evidence.get(ItemMarks)
    assert not isinstance(marks, Unseen)
    assert len(marks.marks) == 231
    assert not marks.source.complete
    assert "2 of 233 marks" in marks.source.note


def test_of_a_policy_nothing_is_left_where_one_binding_cannot_be_read(tomorrow: Bundle) -> None:
    """A policy without one of its bindings says that somebody may not what he may."""
    assert unseen(tomorrow, ServicePolicy, Leg.REQUEST).why is Why.SET_APART
    assert not isinstance(tomorrow.case.evidence.get(ServicePolicy, Leg.COMPLETION), Unseen)


def test_a_field_more_leaves_the_rest_as_it_was(tomorrow: Bundle) -> None:
    counts = tomorrow.case.evidence.get(PushCounts, Leg.REQUEST)
    assert counts == parse(packed(NIGHT)).case.evidence.get(PushCounts, Leg.REQUEST)


def test_the_answer_says_among_what_it_did_not_see_what_is_set_apart(tomorrow: Bundle) -> None:
    found = replay(tomorrow)
    gaps = {(gap.what, gap.leg): gap for gap in found.unknown if gap.why == "set_apart"}
    assert {what for what, _ in gaps} >= {"Telepathy", "ItemMarks", "ServicePolicy", "PushCounts", "profile", "bundle"}
    assert not gaps["Telepathy", None].matters
    assert len([g for g in found.unknown if g.what == "ServicePolicy"]) == 1, "it is said once"
    assert found.concluded is not None
    assert (found.concluded.status, found.concluded.headline) == (Status.FAULT, "it was the fog")


def test_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tomorrow.gz"
    said = document(packed(NIGHT)) | {"made_by": NEWER}
    of_tomorrow(said)
    file.write_bytes(packed(said))
    assert main.run(["bundle", "show", str(file)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "set apart Telepathy: a kind of evidence that" in shown
    assert "not seen: set_apart: set apart, as pubsub-diag 9.1.0 wrote it: bindings.condition" in shown
    assert main.run(["bundle", "verify", str(file)]) == 1
    assert "set apart: ItemMarks: set apart, as" in capsys.readouterr().out
    assert main.run(["batch", "--from", str(file)]) == 2
    answer = " ".join(capsys.readouterr().out.split())
    assert "does not know: Telepathy" in answer
    assert "2 of 233 marks (marks.means: Invalid enum value 'paused'): ItemMarks" in answer


def test_a_command_of_a_newer_version_can_be_looked_at_and_asked_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "divination.gz"
    file.write_bytes(packed(NIGHT | {"command": "divination", "made_by": NEWER}))
    with pytest.raises(BundleError, match="does not draw conclusions for: divination"):
        replay(parse(file.read_bytes()))
    assert main.run(["bundle", "show", str(file)]) == 0
    assert main.run(["bundle", "verify", str(file)]) == 1
    assert "draws no conclusions for divination" in capsys.readouterr().out
    assert main.run(["batch", "-q", "--from", str(file)]) == 2


# --- what is set apart, case by case ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({entry["kind"] for entry in NIGHT["evidence"]}))
@pytest.mark.parametrize("made_by", [NEWER, OLDER])
def test_a_kind_of_another_name_is_unseen_with_the_reason(name: str, made_by: str) -> None:
    def rename(said: dict[str, Any]) -> None:
        for entry in said["evidence"]:
            entry["kind"] = entry["kind"].replace(name, "Telepathy") if entry["kind"] == name else entry["kind"]

    bundle = written(rename, made_by)
    legs = [e["leg"] for e in NIGHT["evidence"] if e["kind"] == name]
    assert sum(one.what == "Telepathy" for one in bundle.apart) == len(legs)
    for leg in legs:
        gap = unseen(bundle, KINDS[name], None if leg is None else Leg(leg))
        if gap.why is not Why.NOT_ASKED:  # the command of this version reads it
            assert (gap.why, gap.says) == (
                Why.SET_APART,
                f"pubsub-diag {made_by}, which made the bundle, did not look at it",
            )


def kind_without_leg(said: dict[str, Any]) -> None:
    said["evidence"] = [e for e in said["evidence"] if e["kind"] != "PushCounts"] + [
        {"kind": "PushCounts", "leg": None, "seen": piece(said, "PushCounts", "request")}
    ]


def third_leg(said: dict[str, Any]) -> None:
    said["evidence"].append({"kind": "PushCounts", "leg": "sideways", "seen": piece(said, "PushCounts", "request")})


def kind_with_leg(said: dict[str, Any]) -> None:
    for entry in said["evidence"]:
        entry["leg"] = "request" if entry["kind"] == "BatchMarks" else entry["leg"]


def test_a_kind_of_another_leg_is_unseen_for_the_legs_that_are_looked_at() -> None:
    bundle = written(kind_without_leg)
    assert {unseen(bundle, PushCounts, leg).why for leg in Leg} == {Why.SET_APART}
    assert unseen(written(kind_with_leg), BatchMarks).why is Why.SET_APART


def test_a_leg_more_leaves_the_others_as_they_are() -> None:
    bundle = written(third_leg)
    assert not isinstance(bundle.case.evidence.get(PushCounts, Leg.REQUEST), Unseen)
    assert any("of no leg or an unknown one" in line for line in told(bundle))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["profile"]["markers"][0].update(pattern="("), "expected a Python regular expression"),
        (lambda d: d["profile"]["markers"][0].update(service="gateway"), 'expected "coordinator" or "worker"'),
        (lambda d: d["profile"].update(accepted=[{"code": "x"}]), "1 of 1 accepted (accepted.until: not there"),
        (lambda d: d["profile"]["redact"].update(patterns=["("]), "expected a Python regular expression"),
        (lambda d: d["ask"].update(expect="many"), "expect: Expected `int`, got `str`"),
        (lambda d: d["ask"].update(nights=2), "does not know: nights"),
        (lambda d: d["header"].update(seconds={}), "seconds: Expected `float`"),
        (lambda d: d["calls"][0].update(seconds=None), "calls"),
        (lambda d: d["notes"][0].pop("at"), "1 of 1 entries (at: not there"),
        (lambda d: d.update(redactions=[]), "redactions"),
        (lambda d: d.pop("calls"), "bundle: set apart, as pubsub-diag 9.1.0 wrote it: calls: not there"),
        (lambda d: d.update(legs=["sideways"]), "legs: set apart, as pubsub-diag 9.1.0 wrote it: sideways"),
        (lambda d: d["unseen"].append({"what": "Telepathy", "why": "failed", "says": ""}), ""),
        (lambda d: d["unseen"].append("nothing"), "not seen then, for a reason that"),
        (lambda d: d["evidence"][0].update(kind="__import__"), "__import__ (completion): a kind of evidence"),
        (lambda d: d["evidence"][0].update(seen={"source": 1}), "AckCounts (completion): set apart"),
        (lambda d: d["evidence"][0].update(seen=[]), "AckCounts: no object"),
    ],
)
def test_it_opens_and_says_so(change: Callable[[dict[str, Any]], object], says: str) -> None:
    bundle = written(change)
    assert says in "\n".join(told(bundle))
    assert not any("\n" in line or len(line) > 700 for line in told(bundle))
    assert isinstance(replay(bundle), Diagnosis)


def accepting(**more: Any) -> Bundle:
    accepted = {"code": "gated-batch-never-closes", "leg": None, "until": "2026-03-01", "reason": "known"}
    return written(lambda d: d["profile"].update(accepted=[accepted | more]))


def test_an_acceptance_that_is_not_understood_excuses_nothing() -> None:
    assert accepting().case.profile.accepted
    assert accepting(only_on="").case.profile.accepted, "an option that is not used narrows nothing"
    narrowed = accepting(only_on="Sundays")
    assert not narrowed.case.profile.accepted
    assert replay(narrowed).status is Status.FAULT


def test_a_closing_rule_that_is_not_understood_is_none() -> None:
    assert written(lambda d: d).case.profile.closing is not None
    assert written(lambda d: d["profile"]["closing"].update(share_of="published")).case.profile.closing is None


@pytest.mark.parametrize("how", ["drop", "rename"])
@pytest.mark.parametrize("path", ["profile.completion", "profile.completion.subscription"])
def test_a_leg_that_was_looked_at_is_not_lost_with_its_entry(path: str, how: str) -> None:
    """Else what is wrong with it would be lost, too."""
    bundle = parse(packed(changed(NIGHT, Change(how, path, NEWER, every=True))))
    assert bundle.case.profile.completion == LegProfile(subscription=NIGHT["profile"]["completion"]["subscription"])


def test_a_leg_that_was_never_looked_at_is_none() -> None:
    def alone(said: dict[str, Any]) -> None:
        said["profile"].pop("completion")
        said["evidence"] = [entry for entry in said["evidence"] if entry["leg"] != "completion"]
        said["unseen"] = [
            {
                "what": "PushCounts",
                "leg": "completion",
                "why": "not_configured",
                "says": "",
                "permission": "",
                "mend": "",
            }
        ]

    assert written(alone).case.profile.completion is None


@pytest.mark.parametrize("command", ["push-auth", "cold-start"])
def test_an_answer_to_half_a_question_is_no_all_clear(command: str) -> None:
    """A batch that was asked for by name may not be the one that is answered for."""
    ask = {key: value for key, value in NIGHT["ask"].items() if key != "batch"} | {"lot": NIGHT["ask"]["batch"]}
    assert replay(written(lambda d: d.update(ask=ask))).status is Status.FAULT
    assert replay(written(lambda d: d.update(command=command))).exit_code == 0
    half = replay(written(lambda d: d.update(command=command, ask=ask)))
    assert (half.status, half.exit_code) == (Status.UNKNOWN, 3)
    assert half.headline.startswith("what was asked can be read in part only")


def test_a_log_of_which_no_line_can_be_read_is_not_seen() -> None:
    def unheard_of(said: dict[str, Any]) -> None:
        for mark in piece(said, "ItemMarks")["marks"]:
            mark["means"] = "unheard_of"

    assert unseen(written(unheard_of), ItemMarks).why is Why.SET_APART


def test_only_logs_whose_readers_ask_whether_they_are_whole_are_read_line_by_line() -> None:
    """Of batches, calls and requests, absence is concluded from. Add a kind here only with all that reads it."""
    assert {kind for kind in KINDS.values() if kind.by_line} == {ItemMarks, PlatformLines, ChangeLog}


# --- reading one structure ------------------------------------------------------------------------------------------------


class Inner(Struct, frozen=True, kw_only=True):
    means: Means
    at: datetime | None = None


class Outer(Struct, frozen=True, kw_only=True):
    name: str
    count: int = 0
    one: Inner | None = None
    many: tuple[Inner, ...] = ()


MANY = [{"means": "closed", "at": None}, {"means": "paused", "at": None}]
FULL: dict[str, Any] = {"name": "x", "count": 1, "one": None, "many": []}


def reading(said: Any, made_by: str = NEWER, parts: Parts = Parts.NONE) -> Read[Outer] | str:
    try:
        return read(Outer, msgspec.json.encode(said), made_by, parts)
    except Unreadable as why:
        return str(why)


@pytest.mark.parametrize("parts", Parts)
@pytest.mark.parametrize("made_by", [NEWER, OLDER, __version__])
def test_what_both_versions_know_is_read_as_ever(made_by: str, parts: Parts) -> None:
    said = FULL | {"many": MANY[:1]}
    assert reading(said, made_by, parts) == Read(Outer(name="x", count=1, many=(Inner(means=Means.CLOSED),)))
    assert reading(dict(reversed(said.items())), made_by, parts) == reading(said)


@pytest.mark.parametrize(
    ("said", "made_by", "parts", "found"),
    [
        # a field that is lacking came later, or a newer version dropped it
        ({"name": "x"}, OLDER, Parts.NONE, Read(Outer(name="x"))),
        ({"name": "x"}, __version__, Parts.NONE, Read(Outer(name="x"))),
        ({"name": "x"}, NEWER, Parts.NONE, "count: not there"),
        ({"name": "x"}, NEWER, Parts.ENTRIES, "count: not there"),
        ({"name": "x", "one": None, "many": []}, NEWER, Parts.ALL, Read(Outer(name="x"), (), ("count: not there",))),
        ({"count": 1}, OLDER, Parts.ALL, "name: not there"),
        # a field that is not known came later, or an older version had it; beside one that is lacking, it may be that one
        (FULL | {"total": 1}, NEWER, Parts.NONE, Read(Outer(name="x", count=1), ("total",))),
        (FULL | {"total": 1}, OLDER, Parts.NONE, Read(Outer(name="x", count=1), ("total",))),
        ({"name": "x", "total": 1}, OLDER, Parts.NONE, "count: not there, and total not known"),
        (
            {"name": "x", "total": 1, "one": None, "many": []},
            OLDER,
            Parts.ALL,
            Read(Outer(name="x"), ("total",), ("count: not there",)),
        ),
        # what cannot be read takes with it what it is part of, up to what stands for itself
        (FULL | {"many": MANY}, NEWER, Parts.NONE, "many.means: Invalid enum value 'paused'"),
        (
            FULL | {"many": MANY},
            NEWER,
            Parts.ENTRIES,
            Read(
                Outer(name="x", count=1, many=(Inner(means=Means.CLOSED),)),
                (),
                ("1 of 2 many (many.means: Invalid enum value 'paused')",),
            ),
        ),
        (FULL | {"many": MANY[1:]}, NEWER, Parts.ENTRIES, "1 of 1 many (many.means: Invalid enum value 'paused')"),
        (FULL | {"one": MANY[1]}, NEWER, Parts.ENTRIES, "one.means: Invalid enum value 'paused'"),
        (
            FULL | {"one": MANY[1]},
            NEWER,
            Parts.ALL,
            Read(Outer(name="x", count=1), (), ("one.means: Invalid enum value 'paused'",)),
        ),
        (FULL | {"count": "1"}, NEWER, Parts.ALL, Read(Outer(name="x"), (), ("count: Expected `int`, got `str`",))),
        (FULL | {"many": {}}, NEWER, Parts.NONE, "many: no list"),
        ([], NEWER, Parts.ALL, "Outer: no object"),
    ],
)
def test_what_they_do_not_share_is_set_apart(said: Any, made_by: str, parts: Parts, found: Read[Outer] | str) -> None:
    assert reading(said, made_by, parts) == found


def test_a_field_that_is_entered_as_renamed_or_gone_is_read_as_what_it_became(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apart.FORMER, "Outer", {"total": "count", "colour": ""})
    said = {"name": "x", "total": 7, "colour": "red", "one": None, "many": []}
    assert reading(said, OLDER) == Read(Outer(name="x", count=7))
    assert reading(said, NEWER) == "count: not there, and total not known"


@pytest.mark.parametrize("path", sorted(OLD.parent.glob("*.gz")), ids=lambda p: p.name)
def test_of_no_kept_bundle_this_version_has_lost_anything(path: Path) -> None:
    """A field, word or kind of evidence was renamed or dropped if this fails: `FORMER` says what became of a field."""
    bundle = load(path)
    assert not [one for one in bundle.apart if one.matters and not one.says.endswith("did not look at it")]


@pytest.mark.parametrize("kind", [Accepted, Closing])
def test_what_excuses_is_read_whole_wherever_it_stands(kind: type[Struct]) -> None:
    said = {"code": "x", "leg": None, "until": "2026-01-01", "reason": "y", "share": 0.9, "after_s": None}
    fields = {name: said[name] for name in kind.__struct_fields__}
    assert read(kind, msgspec.json.encode(fields | {"more": None}), NEWER, Parts.ALL).unknown == ("more",)
    for fewer in fields:
        rest = {name: value for name, value in fields.items() if name != fewer}
        with pytest.raises(Unreadable):
            read(kind, msgspec.json.encode(rest), NEWER, Parts.ALL)


def test_every_kind_of_evidence_is_read_as_it_is_written() -> None:
    """The short way and the long one agree: nothing of this version is set apart, however the JSON is laid out."""
    for entry in NIGHT["evidence"]:
        kind = KINDS[entry["kind"]]
        raw = msgspec.json.format(msgspec.json.encode(entry["seen"]))
        assert read(kind, raw, NEWER) == Read(msgspec.json.decode(raw, type=kind))
    raw = msgspec.json.format(msgspec.json.encode(NIGHT["profile"]))
    assert read(PipelineProfile, raw, NEWER, Parts.ALL) == Read(msgspec.json.decode(raw, type=PipelineProfile))


@pytest.mark.parametrize(
    ("version", "is_newer"),
    [(NEWER, True), ("0.1.1", True), ("0.1", False), (__version__, False), ("0.0.9", False), ("", True), ("x", True)],
)
def test_which_versions_are_newer(version: str, is_newer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnostics.keep.apart.__version__", "0.1.0")
    assert newer(version) is is_newer


# --- every difference that another version may have ------------------------------------------------------------------------


CHANGES = list(changes(NIGHT))


def holds(said: dict[str, Any]) -> None:
    """Such a bundle is not refused, and its answer is no surer, clears no more and is no all-clear: it says no more than where the
    kinds that are set apart may not be read."""
    bundle = parse(packed(said))
    assert bundle.apart
    night = parse(packed(NIGHT)).case
    gone: dict[Key, Evidence | Unseen] = {
        key: Unseen(what=key[0], leg=key[1], why=Why.PERMISSION_DENIED, says="may not be read")
        for key, found in bundle.case.evidence.items()
        if isinstance(found, Unseen) and found.why is Why.SET_APART
    }
    refused = Answer.of(investigate(seeing(night, gone)))
    more = set(says_more(whole(), Answer.of(replay(bundle))))
    assert not more - set(says_more(whole(), refused))


def test_there_is_every_kind_of_difference() -> None:
    assert {change.how for change in CHANGES} == {"drop", "rename", "add", "word"}
    assert len(CHANGES) > 5000


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(CHANGES))
def test_one_difference_is_set_apart_and_the_answer_says_no_more_for_it(change: Change) -> None:
    holds(changed(NIGHT, change))


@settings(max_examples=examples(20), deadline=None)
@given(st.data())
def test_many_differences_together(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from([NEWER, OLDER]))
    of_version = [change for change in CHANGES if change.made_by == version]
    holds(changed(NIGHT, *data.draw(st.lists(st.sampled_from(of_version), min_size=2, max_size=12))))
