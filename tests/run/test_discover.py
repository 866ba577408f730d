"""init, access and profile test against the lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from diagnostics.evidence.model import BatchStatus, Evidence, Means, PushCounts, SubscriptionPolicy
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.load import load_profile, parse_profile
from diagnostics.pipeline.profile import ProfileError, ServiceProfile
from diagnostics.run.access import NEEDS, access
from diagnostics.run.discover import discover, to_toml
from diagnostics.run.markers import profile_test
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
    assert "[batch_state]" in uncommented


def test_one_subscription_says_what_the_other_would_add(session: Session) -> None:
    found = discover(session, "prediction-request-prod")
    assert found.profile.completion is None
    assert found.missing[0].startswith("completion:")


def test_a_project_may_be_named_by_its_number(session: Session) -> None:
    by_number = discover(session, "prediction-request-prod", project="756957797294")
    assert by_number.profile == discover(session, "prediction-request-prod").profile


@pytest.mark.parametrize(
    ("name", "says"), [("no-such", "does not exist"), ("prediction-request-dlq-sub", "no push endpoint")]
)
def test_what_is_no_push_subscription_is_refused(session: Session, name: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        discover(session, name)


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
