"""init, access and profile test against the lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from diagnostics.cli.do.access import custom_role
from diagnostics.evidence.model import (
    BatchStatus,
    Evidence,
    Means,
    PushCounts,
    SubscriptionConfig,
    SubscriptionPolicy,
)
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load, parse
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.load import load_profile, parse_profile
from diagnostics.pipeline.profile import BatchStateProfile, ProfileError, ServiceProfile, StateKind
from diagnostics.run.access import NEEDS, access
from diagnostics.run.discover import TEMPLATE, discover, to_toml
from diagnostics.run.markers import profile_test
from diagnostics.run.states import states_test
from diagnostics.scoring.world import find, opened
from diagnostics.transport.session import LAB, Options, Session

EXAMPLE = load_profile("nba-predictions")
NIGHT = """
name: a-night
story: Tonight's batch.
caller: {lacks: [pubsub.subscriptions.getIamPolicy]}
timeline:
  - {at: -1d, start_batch: {items: 40}}
  - {at: -40m, start_batch: {items: 30}}
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    file: Path = tmp_path_factory.mktemp("lab") / "night.yaml"
    file.write_text(NIGHT)
    with start(Lab(load(file, 3), 3, Telemetry())) as running:
        yield Session.open(Options(timeout_s=120), {LAB: running.endpoint})


def test_two_subscriptions_give_a_profile_that_agrees_with_the_one_made_by_hand(session: Session) -> None:
    found = discover(session, "prediction-request-prod", completion="prediction-ready-prod-sub")
    assert found.profile.request == msgspec.structs.replace(EXAMPLE.request, message=None)
    assert EXAMPLE.completion is not None
    assert found.profile.completion == msgspec.structs.replace(EXAMPLE.completion, message=None)
    assert found.profile.worker == ServiceProfile(service="prediction-worker", region="us-west2")
    assert found.profile.region == "us-west2"
    assert any("markers" in sentence for sentence in found.missing)


def test_what_is_written_is_read_back_the_same(session: Session) -> None:
    found = discover(session, "prediction-request-prod", completion="prediction-ready-prod-sub")
    text = to_toml(found)
    assert parse_profile(text, "written") == found.profile
    for sentence in found.missing:
        assert sentence in text
    uncommented = text[text.index("# Where the coordinator") :].replace("# ", "").replace("#\n", "\n")
    assert "[[batch_state]]" in uncommented


def test_one_subscription_says_what_the_other_would_add(session: Session) -> None:
    found = discover(session, "prediction-request-prod")
    assert found.profile.completion is None
    assert found.missing[0].startswith("completion:") and "one_way = true" in found.missing[0]
    assert "# one_way = true" in to_toml(found)


@pytest.mark.parametrize(("name", "dialect"), [("tile-rendering", "tiles"), ("scan-reading", "scans")])
def test_a_profile_without_a_coordinator_agrees_with_what_is_found_and_with_the_lines(name: str, dialect: str) -> None:
    made = load_profile(name)
    text = f"""
name: a-run
story: Some items are bad, and the store is busy for a while.
pipeline: {{dialect: {dialect}, worker: {{revision: {{code: poison-refused}}}}}}
timeline:
  - {{at: -31m, downstream: {{service: firestore, for: 5m, errors: 0.2}}}}
  - {{at: -30m, start_batch: {{items: 30, payloads: {{permanent_skip: 3, transient: 2, malformed: 2}}}}}}
  - {{at: -20m, start_batch: {{items: 12}}}}
"""
    with start(Lab(parse(text, "a scene", 2), 2, Telemetry())) as running:
        session = Session.open(Options(timeout_s=120), {LAB: running.endpoint})
        found = discover(session, made.request.subscription).profile
        told = profile_test(session, made)
    assert found.request == msgspec.structs.replace(made.request, message=None)
    assert (found.worker.service, found.region, found.completion) == (made.worker.service, made.region, None)
    assert [(m.means, m.missed) for m in told if not m.matched or m.missed] == []


def test_a_project_may_be_named_by_its_number(session: Session) -> None:
    by_number = discover(session, "prediction-request-prod", project="756957797294")
    assert by_number.profile == discover(session, "prediction-request-prod").profile


@pytest.mark.parametrize(
    ("name", "says"), [("no-such", "does not exist"), ("prediction-request-dlq-sub", "no push endpoint")]
)
def test_what_is_no_push_subscription_is_refused(session: Session, name: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        discover(session, name)


def test_a_misspelt_subscription_is_missing_and_no_permission(session: Session) -> None:
    """Pub/Sub tells of what does not exist that nobody holds any permission on it."""
    misspelt = msgspec.structs.replace(
        EXAMPLE, request=msgspec.structs.replace(EXAMPLE.request, subscription="no-such")
    )
    tested = access(session, misspelt, {"push-auth": [SubscriptionConfig]})
    (about,) = [p for p in tested.permissions if p.on.endswith("/subscriptions/no-such")]
    assert about.held is None
    assert about.says == "projects/nba-props-platform/subscriptions/no-such does not exist"


def test_access_tells_held_from_missing_and_what_hangs_on_it(session: Session) -> None:
    commands: dict[str, Iterable[type[Evidence]]] = {
        "batch": NEEDS,
        "delivery": [PushCounts],
        "push-auth": [SubscriptionPolicy],
    }
    found = access(session, EXAMPLE, commands).permissions
    missing = [p for p in found if not p.held]
    assert {p.name for p in missing} == {"pubsub.subscriptions.getIamPolicy"}
    assert len(missing) == 2  # both legs
    assert {c for p in missing for c in p.commands} == {"batch", "push-auth"}
    assert missing[0].evidence == ("SubscriptionPolicy",)
    assert missing[0].on.startswith("projects/nba-props-platform/subscriptions/")
    invoke = [p for p in found if p.name == "run.routes.invoke"]
    assert [p.on.rpartition("/")[2] for p in invoke] == ["prediction-coordinator"]
    assert BatchStatus.__name__ in invoke[0].evidence


def test_the_markers_of_the_example_match_its_logs(session: Session) -> None:
    results = {(r.means, r.contains): r for r in profile_test(session, EXAMPLE)}
    started = results[Means.STARTED_ITEM, "Processing prediction request:"]
    assert started.matched >= 70
    assert started.revisions
    assert set(started.captured) == {"item", "correlation", "date"}
    assert results[Means.CREATED, "Batch state persisted to Firestore"].matched == 2
    unmatched = results[Means.FORCED, "BATCH RESET"]
    assert (unmatched.matched, unmatched.at_least, unmatched.newest) == (0, False, None)


def test_a_pattern_that_no_longer_fits_is_shown_with_a_line_that_it_misses(session: Session) -> None:
    markers = [m for m in EXAMPLE.markers if m.means is Means.CREATED]
    stale = msgspec.structs.replace(markers[0], pattern=r"persisted to Firestore -> (?P<batch>\S+)")
    (result,) = profile_test(session, msgspec.structs.replace(EXAMPLE, markers=(stale,)))
    assert (result.matched, result.missed) == (0, 2)
    assert "Batch state persisted to Firestore: batch_" in result.missed_example


FIRESTORE = BatchStateProfile(
    kind=StateKind.FIRESTORE,
    document="prediction_batches/{batch}",
    expected="expected_players",
    completed="completed_players",
    closed="is_complete",
)
assert isinstance(EXAMPLE.batch_state, BatchStateProfile)
STATUS = EXAMPLE.batch_state


def test_each_place_of_batch_state_says_what_it_knows(session: Session) -> None:
    (batch,) = {r.captured["batch"] for r in profile_test(session, EXAMPLE) if r.means is Means.CREATED}
    wrong = msgspec.structs.replace(STATUS, expected="wanted", completed="ready", alternatives={})
    places = (STATUS, wrong, BatchStateProfile(kind=StateKind.COMMAND, command=("no-such-program", "{batch}")))
    status, other, program = states_test(session, msgspec.structs.replace(EXAMPLE, batch_state=places), batch)
    assert (status.place, status.knows, status.fits) == ("coordinator status", True, True)
    assert status.says.endswith(" done, closed")
    assert (other.knows, other.fits) == (False, False)
    assert "has neither wanted nor ready" in other.says
    assert (program.knows, program.fits) == (False, True)
    assert "cannot be run" in program.says


def test_where_batch_state_is_kept_decides_which_permissions_it_takes(session: Session) -> None:
    def of(*places: BatchStateProfile) -> set[tuple[str, str]]:
        profile = msgspec.structs.replace(EXAMPLE, batch_state=places)
        found = access(session, profile, {"batch": {BatchStatus}}).permissions
        return {(p.name, p.on.rpartition("/")[2]) for p in found if p.evidence == ("BatchStatus",)}

    elsewhere = msgspec.structs.replace(FIRESTORE, project="other-project")
    invoke, get = ("run.routes.invoke", "prediction-coordinator"), ("run.services.get", "prediction-coordinator")
    assert {invoke, get} <= of(STATUS)
    assert ("datastore.entities.get", "nba-props-platform") in of(FIRESTORE)
    assert ("datastore.entities.get", "other-project") in of(elsewhere)
    assert not {invoke, get} & of(FIRESTORE)
    assert not {invoke, get} & of(msgspec.structs.replace(STATUS, url="https://state.example"))


def test_a_role_holds_what_the_batch_state_of_the_profile_takes() -> None:
    assert "datastore.entities.get" not in custom_role(["batch"])
    role = custom_role(["batch"], (), msgspec.structs.replace(EXAMPLE, batch_state=FIRESTORE))
    assert "datastore.entities.get" in role
    assert "run.routes.invoke" not in role


def test_what_init_suggests_for_batch_state_can_be_used() -> None:
    part = TEMPLATE[TEMPLATE.index("# [[batch_state]]") : TEMPLATE.index("# When the coordinator closes")]
    text = "\n".join(line.removeprefix("# ") for line in part.splitlines())
    head = 'name = "p"\nproject = "p"\n[request]\nsubscription = "s"\n'
    kinds = [state.kind for state in parse_profile(head + text, "suggested").batch_states]
    assert kinds == [StateKind.STATUS, StateKind.FIRESTORE, StateKind.COMMAND]


def test_a_coordinator_that_cannot_be_asked_from_outside_is_said_by_init() -> None:
    with opened(find("coordinator-internal-and-gated"), 1) as world:
        inside = Session.open(Options(), {LAB: world.running.endpoint})
        found = discover(inside, "prediction-request-prod", completion="prediction-ready-prod-sub")
    (says,) = (sentence for sentence in found.missing if sentence.startswith("batch_state:"))
    assert "prediction-coordinator has ingress internal: from outside, Firestore or a command" in says
