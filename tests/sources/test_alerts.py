"""Alert policies: taken by the lab as by Google, linked to runbooks that exist, open on a bad night and on no good one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3 as monitoring

from diagnostics.cli import main
from diagnostics.pipeline import places
from diagnostics.pipeline.load import load_profile, profile_of
from diagnostics.run import alerts
from diagnostics.scoring.world import World, find, opened
from tests.sources.conftest import NIGHT, StartLab

PROFILE = load_profile("nba-predictions")
HOLDS = "caller: {holds: [monitoring.alertPolicies.create]}\n"
ASK: dict[str, Any] = {"timeout": 5, "retry": None}
BASE = "https://example.com/ops/runbooks/"


def client(kind: Any, port: int) -> Any:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)])
    return kind(transport=kind.get_transport_class("grpc")(channel=channel))


Create = Callable[[alerts.Policy], alerts.Policy]


@pytest.fixture
def create(lab: StartLab) -> Iterator[Create]:
    with lab(NIGHT + HOLDS) as running:
        service = client(monitoring.AlertPolicyServiceClient, running.grpc_port)
        yield lambda policy: service.create_alert_policy(name=f"projects/{PROFILE.project}", alert_policy=policy, **ASK)


def made(name: str = "unacked-age", **limits: Any) -> alerts.Policy:
    return alerts.policies(PROFILE, alerts.Limits(**limits), BASE)[name]


def test_the_lab_takes_every_policy_of_every_built_in_profile(create: Create) -> None:
    for policy in alerts.policies(PROFILE, alerts.Limits(), BASE).values():
        stored = create(policy)
        assert stored.name.startswith(f"projects/{PROFILE.project}/alertPolicies/")
        assert all(condition.name.startswith(f"{stored.name}/conditions/") for condition in stored.conditions)
        assert stored.creation_record.mutated_by
        assert stored.enabled


def test_the_printed_json_is_what_is_created(create: Create, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["alerts", "--profile", "nba-predictions", "--runbooks", BASE, "-q"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed) == 4
    for plain in printed:
        policy = alerts.Policy.from_json(json.dumps(plain))
        assert create(policy).display_name == plain["displayName"]


def test_links_lead_to_runbooks_that_are_there() -> None:
    for alert in alerts.ALERTS:
        assert (places.runbooks() / alert.runbook).is_file()
        links = made(alert.name).documentation.links
        assert links[0].url == f"{BASE}{alert.runbook}"
        assert len(links) <= 3
    without = alerts.policies(PROFILE, alerts.Limits())["unacked-age"].documentation
    assert [link.display_name for link in without.links] == ["Subscription in the console"]
    assert "pubsub-diag runbook show delivered" in without.content


def test_what_the_profile_does_not_name_has_no_policy() -> None:
    smallest = profile_of("projects/p/subscriptions/s")
    assert set(alerts.policies(smallest, alerts.Limits())) == {"unacked-age", "failing-pushes"}


def test_creating_needs_a_permission_that_a_reader_lacks(lab: StartLab) -> None:
    with lab(NIGHT) as running, pytest.raises(exceptions.PermissionDenied, match=r"monitoring\.alertPolicies\.create"):
        client(monitoring.AlertPolicyServiceClient, running.grpc_port).create_alert_policy(
            name=f"projects/{PROFILE.project}", alert_policy=made(), **ASK
        )


def threshold(policy: alerts.Policy) -> Any:
    return policy.conditions[0].condition_threshold


def _set(path: str, value: Any) -> Callable[[alerts.Policy], None]:
    def change(policy: alerts.Policy) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            policy = getattr(policy, parent)
        setattr(policy, last, value)

    return change


def _in_threshold(name: str, value: Any) -> Callable[[alerts.Policy], None]:
    return lambda policy: setattr(threshold(policy), name, value)


def _aggregated(name: str, value: Any) -> Callable[[alerts.Policy], None]:
    return lambda policy: setattr(threshold(policy).aggregations[0], name, value)


AGE = 'metric.type = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"'
REFUSED: list[tuple[Callable[[alerts.Policy], None], str]] = [
    (_set("name", "projects/p/alertPolicies/1"), "must not be set"),
    (_set("display_name", ""), "display_name"),
    (_set("combiner", 0), "combiner"),
    (_set("conditions", []), "one to six"),
    (_set("user_labels", {"Made By": "x"}), "user_labels"),
    (_set("documentation.mime_type", "text/html"), "mime_type"),
    (_set("documentation.content", "x" * 8193), "8,192"),
    (_set("documentation.links", [{"display_name": "a", "url": "runbooks/a.md"}]), "url"),
    (
        _set("documentation.links", [{"display_name": str(n), "url": "https://a.example"} for n in range(4)]),
        "at most 3",
    ),
    (_in_threshold("filter", AGE), r"resource\.type"),
    (_in_threshold("filter", f'resource.type = "pubsub_topic" AND {AGE}'), "valid combination"),
    (
        _in_threshold("filter", f'{AGE} AND resource.labels.colour = "red" AND resource.type = "pubsub_subscription"'),
        "combination",
    ),
    (_in_threshold("filter", f'{AGE} AND resource.type ~ "x"'), "filter"),
    (_in_threshold("comparison", monitoring.ComparisonType.COMPARISON_GE), "COMPARISON_LT and COMPARISON_GT"),
    (_in_threshold("duration", timedelta(seconds=90)), "multiples of one minute"),
    (_in_threshold("duration", timedelta(0)), "non-zero duration"),
    (_in_threshold("duration", timedelta(hours=25)), "exceed 25 hours"),
    (_aggregated("alignment_period", timedelta(seconds=450)), "multiples of one minute"),
    (_aggregated("per_series_aligner", alerts.Aligner.ALIGN_DELTA), "ALIGN_DELTA"),
    (_aggregated("per_series_aligner", alerts.Aligner.ALIGN_NONE), "per_series_aligner"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_google_refuses_the_lab_refuses(
    create: Create, change: Callable[[alerts.Policy], None], says: str
) -> None:
    policy = made()
    change(policy)
    with pytest.raises(exceptions.InvalidArgument, match=says):
        create(policy)


def test_a_ratio_needs_the_same_period_on_both_sides_and_a_metric_that_exists(create: Create) -> None:
    uneven = made("failing-pushes")
    threshold(uneven).denominator_aggregations[0].alignment_period = timedelta(minutes=5)
    with pytest.raises(exceptions.InvalidArgument, match="same alignment period"):
        create(uneven)
    unknown = made("failing-pushes")
    threshold(unknown).denominator_filter = 'metric.type = "pubsub.googleapis.com/subscription/pushes"'
    with pytest.raises(exceptions.NotFound, match="Cannot find metric"):
        create(unknown)
    other = made()
    other.conditions[0] = alerts.Condition(
        display_name="absent", condition_absent=alerts.Condition.MetricAbsence(filter=threshold(made()).filter)
    )
    with pytest.raises(exceptions.InvalidArgument, match="only condition_threshold"):
        create(other)


# --- when they open ---------------------------------------------------------------------------------------------------


def is_open(policy: alerts.Policy, world: World) -> bool:
    """Whether the policy's conditions hold on what the lab's Monitoring shows: a reading of Google's description, for tests."""
    metrics = client(monitoring.MetricServiceClient, world.running.grpc_port)
    # Late points are no missing data to Google's evaluation; so look where all of them have arrived.
    end = datetime.fromtimestamp(world.lab.now(), UTC) - timedelta(minutes=5)

    def value(selects: str, aggregation: Any) -> float | None:
        interval = {"end_time": end, "start_time": end - aggregation.alignment_period}
        request = {
            "name": f"projects/{PROFILE.project}",
            "filter": selects,
            "interval": interval,
            "aggregation": aggregation,
        }
        for series in metrics.list_time_series(request=request, **ASK):
            point = series.points[0].value
            return float(point.int64_value or point.double_value)
        return None

    def holds(condition: Any) -> bool:
        asked = condition.condition_threshold
        found = value(asked.filter, asked.aggregations[0])
        if asked.denominator_filter:
            below = value(asked.denominator_filter, asked.denominator_aggregations[0])
            found = found / below if found is not None and below else None
        if found is None:
            return bool(asked.evaluation_missing_data == alerts.Missing.EVALUATION_MISSING_DATA_ACTIVE)
        above = asked.comparison == alerts.GT
        return bool(found > asked.threshold_value if above else found < asked.threshold_value)

    every = policy.combiner == alerts.Combiner.AND
    return (all if every else any)(holds(condition) for condition in policy.conditions)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("typical-batch", set()),
        ("2026-02-08-backfill-stall", {"unacked-age", "failing-pushes"}),
        ("idle-pipeline", set()),
        ("push-invoker-missing", {"failing-pushes"}),
        ("completion-subscription-deleted", {"completion-gap"}),
        ("2026-07-21-request-subscription-gone", {"no-publish"}),
    ],
)
def test_they_open_on_a_bad_night_and_on_no_good_one(scenario: str, expected: set[str]) -> None:
    with opened(find(scenario), seed=1) as world:
        policies = alerts.policies(PROFILE, alerts.Limits())
        assert {name for name, policy in policies.items() if is_open(policy, world)} == expected
