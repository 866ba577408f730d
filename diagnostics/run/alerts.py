"""Cloud Monitoring alert policies for a pipeline, in Google's own types. Nothing is asked or created here.

All are metric-threshold conditions. Limits kept (reference of AlertPolicy, errors of the API): alignment period and duration are
whole minutes and together at most 25 hours; `evaluation_missing_data` needs a duration; at most three links.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TypeAlias
from urllib.parse import quote

from google.cloud import monitoring_v3 as monitoring
from msgspec import Struct

from diagnostics.pipeline.profile import LegProfile, PipelineProfile

Policy: TypeAlias = monitoring.AlertPolicy
Condition: TypeAlias = monitoring.AlertPolicy.Condition
Missing: TypeAlias = monitoring.AlertPolicy.Condition.EvaluationMissingData
Combiner: TypeAlias = monitoring.AlertPolicy.ConditionCombinerType
Severity: TypeAlias = monitoring.AlertPolicy.Severity
Aligner: TypeAlias = monitoring.Aggregation.Aligner
Reducer: TypeAlias = monitoring.Aggregation.Reducer
GT, LT = monitoring.ComparisonType.COMPARISON_GT, monitoring.ComparisonType.COMPARISON_LT

PUBSUB = "pubsub.googleapis.com"
AT_LEAST = timedelta(minutes=5)
"""How long a condition has to hold: longer than metrics come late (120 to 240 s), so that one late point opens no incident."""
LATE = timedelta(minutes=55)
"""By how much a daily batch may be later than the day before: with a look-back of 24 h, what Google's 25 h leave, less five minutes."""


class Limits(Struct, frozen=True, kw_only=True):
    """From where on an alert opens."""

    unacked_age: timedelta = timedelta(minutes=15)
    """Age of the oldest unacknowledged message."""
    failing_share: float = 0.2
    """Share of pushes that are not acknowledged, of those in ten minutes."""
    silence: timedelta = timedelta(hours=24)
    """Without any publish; at most 24 hours, since Google looks back no further."""
    returned_share: float = 0.5
    """Completions to be acknowledged for each request, within `gap`."""
    gap: timedelta = timedelta(minutes=30)


class Alert(Struct, frozen=True, kw_only=True):
    """One policy: what it says and when it opens."""

    name: str
    """As the command line calls it."""
    title: str
    meaning: str
    first: str
    """The first command to run."""
    runbook: str
    """Path below runbooks/."""
    severity: Severity
    conditions: Callable[[PipelineProfile, Limits], Iterator[Condition]]
    combiner: Combiner = Combiner.OR


def policies(profile: PipelineProfile, limits: Limits, runbooks: str = "") -> dict[str, Policy]:
    """Name to policy. What the profile does not name (a topic, a completion leg) has no policy.

    `runbooks`: address below which the folder runbooks/ is published.
    """
    made = {alert.name: (alert, list(alert.conditions(profile, limits))) for alert in ALERTS}
    return {name: _policy(alert, found, profile, runbooks) for name, (alert, found) in made.items() if found}


def to_json(made: Sequence[Policy]) -> str:
    """One policy as an object, several as a list: the form that `gcloud alpha monitoring policies create` and the REST API take."""
    plain = [
        json.loads(Policy.to_json(p, use_integers_for_enums=False, always_print_fields_with_no_presence=False))
        for p in made
    ]
    return json.dumps(plain[0] if len(plain) == 1 else plain, indent=2, ensure_ascii=False)


def _policy(alert: Alert, conditions: list[Condition], profile: PipelineProfile, runbooks: str) -> Policy:
    console = f"https://console.cloud.google.com/cloudpubsub/subscription/detail/{quote(profile.request.subscription)}"
    links = [("Subscription in the console", f"{console}?project={quote(profile.project)}")]
    if runbooks:
        links.insert(0, (f"Runbook: {alert.runbook.rpartition('/')[2]}", f"{runbooks.rstrip('/')}/{alert.runbook}"))
    page = alert.runbook.rpartition("/")[2].removesuffix(".md")
    content = (
        f"{alert.meaning}\n\n"
        f"1. `{alert.first}`\n"
        f"2. `pubsub-diag batch` for the whole investigation\n"
        f"3. `pubsub-diag runbook show {page}` for how to check it by hand\n"
    )
    return Policy(
        display_name=f"{profile.name}: {alert.title}",
        documentation=Policy.Documentation(
            content=content,
            mime_type="text/markdown",
            links=[Policy.Documentation.Link(display_name=name, url=url) for name, url in links],
        ),
        conditions=conditions,
        combiner=alert.combiner,
        severity=alert.severity,
        user_labels={"made-by": "pubsub-diag", "alert": alert.name},
    )


# --- conditions -------------------------------------------------------------------------------------------------------


def _unacked_age(profile: PipelineProfile, limits: Limits) -> Iterator[Condition]:
    for leg in _legs(profile):
        yield _threshold(
            f"oldest unacknowledged message of {leg.subscription}",
            _subscription("oldest_unacked_message_age", leg),
            _every(timedelta(minutes=1), Aligner.ALIGN_MAX),
            GT,
            limits.unacked_age.total_seconds(),
            Missing.EVALUATION_MISSING_DATA_INACTIVE,
        )


def _failing_share(profile: PipelineProfile, limits: Limits) -> Iterator[Condition]:
    for leg in _legs(profile):
        pushes = _subscription("push_request_count", leg)
        yield _threshold(
            f"share of pushes of {leg.subscription} that are not acknowledged",
            f'{pushes} AND metric.labels.response_class != "ack"',
            _every(timedelta(minutes=10), Aligner.ALIGN_DELTA, Reducer.REDUCE_SUM),
            GT,
            limits.failing_share,
            Missing.EVALUATION_MISSING_DATA_INACTIVE,
            of=pushes,
        )


def _silence(profile: PipelineProfile, limits: Limits) -> Iterator[Condition]:
    """No data is no publish here: the series of a topic that nobody publishes to ends."""
    topic = profile.request.topic
    if topic:
        yield _threshold(
            f"publish requests to {topic}",
            f'resource.type = "pubsub_topic" AND resource.labels.topic_id = {_quoted(topic)} AND '
            f'metric.type = "{PUBSUB}/topic/send_request_count" AND metric.labels.response_class = "success"',
            _every(limits.silence, Aligner.ALIGN_DELTA, Reducer.REDUCE_SUM),
            LT,
            1,
            Missing.EVALUATION_MISSING_DATA_ACTIVE,
            duration=LATE,
        )


def _gap(profile: PipelineProfile, limits: Limits) -> Iterator[Condition]:
    """Requests are acknowledged, and too few completions are. Both have to hold: an idle pipeline has no gap."""
    if profile.completion is None:
        return
    request, completion = (
        f'{_subscription("push_request_count", leg)} AND metric.labels.response_class = "ack"'
        for leg in (profile.request, profile.completion)
    )
    counted = _every(limits.gap, Aligner.ALIGN_DELTA, Reducer.REDUCE_SUM)
    yield _threshold(
        f"requests of {profile.request.subscription} are acknowledged",
        request,
        counted,
        GT,
        0,
        Missing.EVALUATION_MISSING_DATA_INACTIVE,
    )
    yield _threshold(
        f"completions of {profile.completion.subscription} for each request",
        completion,
        counted,
        LT,
        limits.returned_share,
        Missing.EVALUATION_MISSING_DATA_ACTIVE,
        of=request,
    )


ALERTS = (
    Alert(
        name="unacked-age",
        title="messages wait too long",
        meaning="The oldest message of a subscription is not acknowledged: pushes fail, are not made, or wait for capacity.",
        first="pubsub-diag delivery",
        runbook="steps/delivered.md",
        severity=Severity.ERROR,
        conditions=_unacked_age,
    ),
    Alert(
        name="failing-pushes",
        title="pushes are refused",
        meaning="A large share of the pushes is answered with something else than an acknowledgement.",
        first="pubsub-diag delivery",
        runbook="steps/delivered.md",
        severity=Severity.ERROR,
        conditions=_failing_share,
    ),
    Alert(
        name="no-publish",
        title="nothing is published",
        meaning="Nothing was published to the request topic for a day: no batch began, or its publishing failed.",
        first="pubsub-diag published",
        runbook="steps/published.md",
        severity=Severity.WARNING,
        conditions=_silence,
    ),
    Alert(
        name="completion-gap",
        title="work is done and not reported",
        meaning="Requests are acknowledged, and the completions for them do not come back.",
        first="pubsub-diag delivery --leg completion",
        runbook="steps/returned.md",
        severity=Severity.CRITICAL,
        conditions=_gap,
        combiner=Combiner.AND,
    ),
)


def _legs(profile: PipelineProfile) -> list[LegProfile]:
    return [leg for leg in (profile.request, profile.completion) if leg is not None]


def _subscription(metric: str, leg: LegProfile) -> str:
    return (
        f'resource.type = "pubsub_subscription" AND resource.labels.subscription_id = {_quoted(leg.subscription)} AND '
        f'metric.type = "{PUBSUB}/subscription/{metric}"'
    )


def _quoted(name: str) -> str:
    """The short name as a string of a Monitoring filter."""
    return json.dumps(name.rpartition("/")[2])


def _every(period: timedelta, aligner: Aligner, reducer: Reducer = Reducer.REDUCE_NONE) -> monitoring.Aggregation:
    return monitoring.Aggregation(alignment_period=period, per_series_aligner=aligner, cross_series_reducer=reducer)


def _threshold(
    name: str,
    selects: str,
    aggregation: monitoring.Aggregation,
    comparison: monitoring.ComparisonType,
    value: float,
    missing: Missing,
    *,
    of: str = "",
    duration: timedelta = AT_LEAST,
) -> Condition:
    """`of`: what the selected series is a share of; it is aggregated likewise, as a ratio must be."""
    return Condition(
        display_name=name,
        condition_threshold=Condition.MetricThreshold(
            filter=selects,
            aggregations=[aggregation],
            denominator_filter=of,
            denominator_aggregations=[aggregation] if of else [],
            comparison=comparison,
            threshold_value=value,
            duration=duration,
            trigger=Condition.Trigger(count=1),
            evaluation_missing_data=missing,
        ),
    )
