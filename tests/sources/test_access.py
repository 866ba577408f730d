"""`access` against the lab: take any single permission away, and it says exactly what is then hidden, and nothing else changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from diagnostics.cli.do.access import reading
from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, ModelManifest, Unseen, Why
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.access import NEEDS, Rights, access
from diagnostics.run.investigate import COMMANDS, Case, investigate, kinds_for
from diagnostics.run.look import everything, header
from diagnostics.scoring.world import find, opened
from diagnostics.sources.collect import collect
from diagnostics.transport.session import LAB, Options, Session
from tests.sampling import a_share

PROFILE = load_profile("nba-predictions")
SCENARIO = """
name: access
story: One finished batch and one that is stuck on a push account without its grant.
caller: {{lacks: [{lacks}]}}
pipeline:
  roles: [{{role: reader, permissions: [run.services.get]}}]
  grants: [{{on: project, role: reader, member: worker}}, {{on: "service:worker", role: reader, member: worker}}]
timeline:
  - {{at: -1d, start_batch: {{name: last-night, items: 20}}}}
  - {{at: -40m, revoke: {{on: "service:worker", role: roles/run.invoker, member: worker}}}}
  - {{at: -30m, start_batch: {{name: tonight, items: 15}}}}
ask: {{batch: tonight}}
expect: {{status: fault}}
"""
TOKEN = "iam.serviceAccounts.getOpenIdToken"
"""Used by live calls only, and none is made here."""
PERMISSIONS = sorted({name for needs in NEEDS.values() for _, name in needs} - {TOKEN})
ASIDE = ("levels", "pipeline", "calls")
"""Of a diagnosis: how long it took, which calls it made."""


class Seen(NamedTuple):
    tested: Rights
    evidence: EvidenceSet
    session: Session
    ask: Ask


def look(lacks: str, folder: Path) -> Seen:
    """All that a caller without this permission sees; the questions name batch and window, so that they stay the same."""
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.format(lacks=lacks))
    with opened(path, 1) as world:
        session = Session.open(Options(timeout_s=30), {LAB: world.running.endpoint})
        ask = Ask(batch=world.lab.batches["tonight"].id, since=session.now - timedelta(hours=2))
        tested = access(session, PROFILE, reading())
        return Seen(tested, collect(session, PROFILE, everything(), ask), session, ask)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look("", tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module", params=a_share(PERMISSIONS, of=5))
def without(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Seen]:
    return request.param, look(request.param, tmp_path_factory.mktemp("without"))


def test_with_everything_held_nothing_is_lacking(whole: Seen) -> None:
    assert [p.name for p in whole.tested.permissions if not p.held] == []
    assert not [u for u in whole.evidence.unseen() if u.permission]


def test_every_kind_of_evidence_that_is_read_has_its_needs() -> None:
    assert {kind.__name__ for kind in set().union(*reading().values()) if kind not in NEEDS} == set()


def test_it_names_the_one_that_is_lacking(without: tuple[str, Seen]) -> None:
    permission, seen = without
    assert {p.name for p in seen.tested.permissions if p.held is False} == {permission}
    assert [p for p in seen.tested.permissions if p.held is None] == []


def test_exactly_what_it_says_is_hidden_and_the_rest_stays_as_it_was(without: tuple[str, Seen], whole: Seen) -> None:
    permission, seen = without
    said = {kind for p in seen.tested.permissions if not p.held for kind in p.evidence}
    hidden = {
        key for key, found in seen.evidence.items() if isinstance(found, Unseen) and found.permission == permission
    }
    assert {kind for kind, _ in hidden} == said - {"LiveHealth", "LiveStart", "BalancerLog"}, "not asked about here"
    before, now = _contents(whole.evidence), _contents(seen.evidence)
    assert {key: now[key] for key in now if key not in hidden} == {key: before[key] for key in now if key not in hidden}


def test_only_the_commands_that_it_names_answer_otherwise(without: tuple[str, Seen], whole: Seen) -> None:
    permission, seen = without
    affected = {c for p in seen.tested.permissions if not p.held for c in p.commands}
    for command in COMMANDS:
        answer, before = _answer(command, seen), _answer(command, whole)
        if command in affected:
            assert permission in {gap["permission"] for gap in answer["unknown"]}, command
        else:
            assert answer == before, command


def _contents(evidence: EvidenceSet) -> dict[Key, Any]:
    """All but how it was asked: the audit log is asked about as many resources as are known."""
    found = {key: msgspec.to_builtins(one) for key, one in evidence.items()}
    for one in found.values():
        one.get("source", {}).pop("query", None)
        one.get("source", {}).pop("by_hand", None)
    return found


def _answer(command: str, seen: Seen) -> dict[str, Any]:
    """What the command says of this evidence, of as much as it reads."""
    names = {kind.__name__ for kind in kinds_for(command)}
    read: dict[Key, Evidence | Unseen] = {key: found for key, found in seen.evidence.items() if key[0] in names}
    for kind in kinds_for(command):
        for leg in Leg if kind.per_leg else (None,):
            read.setdefault((kind.__name__, leg), Unseen(what=kind.__name__, leg=leg, why=Why.NOT_ASKED, says=""))
    evidence = EvidenceSet(read, seen.evidence.now, seen.evidence.lookback, seen.evidence.since)
    case = Case(command, evidence, PROFILE, seen.ask, header(seen.session, PROFILE, command, evidence))
    said: dict[str, Any] = msgspec.to_builtins(investigate(case))
    return {key: value for key, value in said.items() if key not in ASIDE}


def test_what_is_logged_in_a_services_own_project_is_asked_about_there() -> None:
    with opened(find("parts-of-other-projects"), 1) as world:
        session = Session.open(Options(timeout_s=30), {LAB: world.running.endpoint})
        name = next(n for n in world.lab.world.subscriptions if "request" in n)
        profile = PipelineProfile(name="two", project=world.lab.world.project, request=LegProfile(subscription=name))
        tested = access(session, profile, {"cold-start": kinds_for("cold-start")})
    asked = {(p.name, p.on) for p in tested.permissions}
    for project in (profile.project, "model-serving-prod"):
        assert ("logging.logEntries.list", f"projects/{project}") in asked
        assert ("monitoring.timeSeries.list", f"projects/{project}") in asked
    assert ("pubsub.subscriptions.list", "projects/model-serving-prod") not in asked


IN_A_BUCKET = """
name: manifest-in-a-bucket
story: Who asks may read the manifest's bucket, by a grant on the bucket alone, or may not.
caller: {{lacks: [storage.objects.get]{more}}}
timeline:
  - {{at: -3h, start_batch: {{items: 12}}}}
"""


@pytest.mark.parametrize(("more", "held"), [("", False), (", in_bucket: [storage.objects.get]", True)])
def test_what_may_be_read_in_a_bucket_is_asked_of_the_bucket(more: str, held: bool, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(IN_A_BUCKET.format(more=more))
    with opened(path, 1) as world:
        session = Session.open(Options(timeout_s=30), {LAB: world.running.endpoint})
        drift = {"model drift": kinds_for("model drift")}
        (tested,) = [p for p in access(session, PROFILE, drift).permissions if p.name == "storage.objects.get"]
        found = collect(session, PROFILE, {ModelManifest}, Ask()).get(ModelManifest)
        assert PROFILE.model is not None
        elsewhere = msgspec.structs.replace(PROFILE.model, manifest="gs://no-such-bucket/manifest.json")
        (gone,) = [
            p
            for p in access(session, msgspec.structs.replace(PROFILE, model=elsewhere), drift).permissions
            if p.name == "storage.objects.get"
        ]
    assert (tested.on, tested.held) == ("projects/_/buckets/nba-props-platform-models", held)
    assert isinstance(found, ModelManifest) is held, "as it says, so it is"
    assert (gone.held, gone.says) == (None, "projects/_/buckets/no-such-bucket does not exist")
