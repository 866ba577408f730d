"""A batch that cannot be seen is not judged; what is wrong with its subscription is said as the subscription's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Role
from diagnostics.conclude.adding import leg_of
from diagnostics.conclude.diagnosis import Diagnosis, Header, State
from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    LogRow,
    Mark,
    Means,
    Point,
    Provenance,
    PushCounts,
    RequestLog,
    Series,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, Marker, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.report.layout import Layout
from diagnostics.report.text import render
from diagnostics.run.investigate import Case, investigate
from diagnostics.steps.finding import Bears, Status
from tests.steps.built import UNAVAILABLE, service

NOW = datetime(2026, 2, 8, 14, 20, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
BARE = PipelineProfile(name="work", project="p", request=LegProfile(subscription="work"))
MARKED = replace(BARE, markers=(Marker(means=Means.CREATED, contains="created"),))
NO_MARKERS = Unseen(
    what="BatchMarks",
    why=Why.NOT_CONFIGURED,
    says="the profile describes no log lines about batches",
    mend="add markers",
)


def series(value: float, minutes: int = 6, **labels: str) -> Series:
    """So many in each of the last minutes."""
    points = tuple(
        Point(start=NOW - timedelta(minutes=m + 1), end=NOW - timedelta(minutes=m), value=value)
        for m in range(minutes - 1, -1, -1)
    )
    return Series(labels=labels, points=points)


def pushes(**classes: float) -> PushCounts:
    return PushCounts(source=SOURCE, series=tuple(series(n, response_class=name) for name, n in classes.items()))


def waiting(number: float, age_s: float) -> Backlog:
    return Backlog(source=SOURCE, outstanding=(), undelivered=(series(number),), oldest_age_s=(series(age_s),))


def poison() -> RequestLog:
    rows = tuple(
        LogRow(
            at=NOW - timedelta(minutes=m), status=400, latency_s=0.1, instance="i", method="POST", path="/push", text=""
        )
        for m in range(30, 0, -1)
    )
    return RequestLog(source=SOURCE, push_path="/push", refused=rows, fine=())


def asked(
    *found: Evidence | Unseen, profile: PipelineProfile = BARE, command: str = "batch", ask: Ask | None = None
) -> Diagnosis:
    kinds: dict[Key, Evidence | Unseen] = {("BatchMarks", None): NO_MARKERS}
    for one in found:
        per_leg = not isinstance(one, Unseen) and one.per_leg
        name = one.what if isinstance(one, Unseen) else type(one).__name__
        kinds[name, Leg.REQUEST if per_leg else None] = one
    evidence = EvidenceSet(kinds, NOW, timedelta(days=7), NOW - timedelta(hours=6))
    header = Header(pipeline="work", project="p", region="", command=command)
    return investigate(Case(command, evidence, profile, ask or Ask(batch="B"), header))


STORM = (pushes(remote_server_4xx=1), waiting(17, 3 * 86400), poison())


def test_the_storm_of_a_subscription_blocks_no_batch_that_nothing_tells_of() -> None:
    found = asked(*STORM)
    assert (found.status, found.exit_code, found.state) == (Status.FAULT, 2, State.UNKNOWN)
    assert found.finishes_alone is None
    assert found.here is None
    assert {c.role for c in found.causes} <= {Role.LATENT, Role.BENIGN}
    assert {f.bears for f in found.findings} == {Bears.APART}
    assert all(not f.held for f in found.findings)
    assert found.headline.startswith("B cannot be seen: the profile has neither log markers nor batch state; ")
    assert "subscription work: " in found.headline


def test_nothing_wrong_is_no_all_clear() -> None:
    found = asked(pushes(ack=20), waiting(0, 0))
    assert (found.status, found.exit_code) == (Status.UNKNOWN, 3)
    assert "subscription work: 120 pushes acked, none refused" in found.headline
    assert found.ruled_out == ()
    assert found.batch is not None
    assert found.batch.done is None


@pytest.mark.parametrize("refused", [3, 5])
def test_whether_more_or_fewer_than_half_are_turned_away_is_no_fault_where_others_get_through(refused: int) -> None:
    """What is turned away comes again and gets there: that alone tells nothing of a batch."""
    rows = tuple(
        LogRow(
            at=NOW - timedelta(seconds=s),
            status=429,
            latency_s=0,
            instance="",
            method="POST",
            path="/push",
            text=UNAVAILABLE,
        )
        for s in range(295, 5, -10)
    )
    log = RequestLog(source=SOURCE, push_path="/push", refused=rows, fine=())
    _, runs = service(most=2)
    found = asked(pushes(ack=4, remote_server_4xx=refused), waiting(17, 300), log, runs)
    assert found.status is Status.UNKNOWN
    assert [c.code for c in found.causes if c.role is Role.LATENT] == ["max-instances-saturated"]


@pytest.mark.parametrize("seen", [STORM, (pushes(ack=20), waiting(0, 0)), ()])
def test_what_was_not_seen_is_printed_as_such(seen: tuple[Evidence, ...]) -> None:
    said = render(asked(*seen), Layout(width=120, colour=False))
    assert "? done" in said
    for never in ("0 done", "0/", "0+", "BLOCKS", "not reached"):
        assert never not in said


def test_the_way_on_comes_first() -> None:
    first, second, *_ = asked(*STORM).next
    assert first == "pubsub-diag init --subscription work"
    assert second.startswith('add [[markers]] to the profile: of the batch "created"')
    written = replace(BARE, request=LegProfile(subscription="work", topic="work-topic"))
    assert asked(*STORM, profile=written).next[0] == second


def test_a_hidden_log_is_mended_before_the_profile_is() -> None:
    hidden = Unseen(
        what="BatchMarks", why=Why.PERMISSION_DENIED, says="logging.logEntries.list is missing",
        permission="logging.logEntries.list", mend="grant roles/logging.viewer",
    )  # fmt: skip
    found = asked(hidden, *STORM, profile=MARKED)
    assert found.headline.startswith("B cannot be seen: logging.logEntries.list is missing; ")
    assert found.next[0] == "grant roles/logging.viewer"


def log(*batches: str) -> BatchMarks:
    at = NOW - timedelta(hours=2)
    return BatchMarks(
        source=SOURCE, marks=tuple(Mark(means=Means.CREATED, at=at, service="s", batch=b) for b in batches)
    )


def test_an_id_that_no_line_names_is_said_so_and_judged_by_nothing() -> None:
    found = asked(log("A"), pushes(ack=20), waiting(0, 0), profile=MARKED)
    assert found.headline.startswith("B cannot be seen: no line of the last 7 d names it; ")
    assert (found.status, found.causes) == (Status.UNKNOWN, ())
    assert found.next[0] == "pubsub-diag batches"


def test_markers_that_match_nothing_are_to_be_tried() -> None:
    found = asked(log(), pushes(ack=20), profile=MARKED, ask=Ask())
    assert found.headline.startswith(
        "the latest batch cannot be seen: no start call and no line of a batch in the last 7 d"
    )
    assert found.next[0] == "pubsub-diag profile test"


def test_a_log_that_was_read_in_part_says_so() -> None:
    part = replace(log("A"), source=replace(SOURCE, complete=False))
    found = asked(part, profile=MARKED)
    assert "no line of the log that was read names it" in found.headline
    assert "--timeout" in found.next[0], "the log goes on, and the markers are not to blame"


@pytest.mark.parametrize("command", ["delivery", "worker"])
def test_a_part_that_is_asked_alone_blocks_nothing_either(command: str) -> None:
    found = asked(*STORM, command=command, ask=Ask())
    assert found.status in (Status.WARNING, Status.FAULT)
    assert all(c.role is not Role.BLOCKS for c in found.causes)
    ways_on = asked(*STORM, ask=Ask()).next[:2]
    assert not set(found.next) & set(ways_on), "no batch was asked about"


def test_a_live_trouble_of_the_subscription_is_active_and_a_dormant_one_latent() -> None:
    said = {c.code: c.does for c in asked(*STORM).causes}
    assert said["poison-retry-storm"] == "active"
    later = asked(pushes(ack=20), waiting(0, 0))
    assert all(c.does == c.role.value for c in later.causes)


@pytest.mark.parametrize(
    ("line", "leg"),
    [
        ("pubsub-diag delivery --leg completion", Leg.COMPLETION),
        ("pubsub-diag batch 'x --leg sideways' --items", None),
        ("pubsub-diag batch --items -- '--leg'", None),
        ("pubsub-diag batch --items -- --leg sideways", None),
    ],
)
def test_a_batch_is_no_leg_whatever_it_is_called(line: str, leg: Leg | None) -> None:
    assert leg_of(line) is leg
