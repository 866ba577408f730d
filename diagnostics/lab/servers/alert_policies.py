"""google.monitoring.v3 AlertPolicyService: CreateAlertPolicy, for metric-threshold conditions.

What is refused follows the reference of AlertPolicy and Aggregation and the errors that people report of the API. A condition of
another kind is refused, too: the lab evaluates none, and must not let pass what it does not understand.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Any

from google.cloud.monitoring_v3 import types

from diagnostics.lab.query import monitoring as query
from diagnostics.lab.query.tokens import FilterError
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import RpcError, denied, invalid, not_found
from diagnostics.lab.telemetry.align import Aggregation, RefusedError, check
from diagnostics.lab.telemetry.metrics import METRICS, RESOURCES, Metric

SERVICE = "google.monitoring.v3.AlertPolicyService"
CREATE = "monitoring.alertPolicies.create"
AlertPolicy = types.AlertPolicy.pb()
LONGEST_S = 90_000
"""Alignment period and duration together: 25 hours."""
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def create_alert_policy(cloud: Cloud, request: Any) -> Any:
    """The policy as it would be stored, with names and who created it. The lab stores none and opens no incident."""
    (project,) = split_name(request.name, "projects/*", _bad("name", "expected projects/PROJECT"))
    if not cloud.is_project(project):
        raise denied(SERVICE, CREATE, request.name)
    policy = AlertPolicy()
    policy.CopyFrom(request.alert_policy)
    _check_policy(policy)
    _check_documentation(policy.documentation)
    for number, condition in enumerate(policy.conditions):
        _check_condition(condition, f"conditions[{number}]")
    number = 10**9 + zlib.crc32(policy.SerializeToString(deterministic=True))
    policy.name = f"projects/{cloud.world.project}/alertPolicies/{number}"
    for at, condition in enumerate(policy.conditions):
        condition.name = f"{policy.name}/conditions/{number + at + 1}"
    policy.enabled.value = policy.enabled.value if policy.HasField("enabled") else True
    for record in (policy.creation_record, policy.mutation_record):
        record.mutate_time.FromMicroseconds(round(cloud.lab.now() * 1e6))
        record.mutated_by = cloud.caller
    return policy


def _check_policy(policy: Any) -> None:
    if policy.name:
        raise _bad("name", "it must not be set when a policy is created")
    if not 1 <= len(policy.display_name) <= 512:
        raise _bad("display_name", "expected 1 to 512 characters")
    if not 1 <= len(policy.conditions) <= 6:
        raise _bad("conditions", "a policy has one to six conditions")
    combiners = types.AlertPolicy.ConditionCombinerType
    if policy.combiner not in (combiners.AND, combiners.OR, combiners.AND_WITH_MATCHING_RESOURCE):
        raise _bad("combiner", "expected AND, OR or AND_WITH_MATCHING_RESOURCE")
    if policy.severity not in list(types.AlertPolicy.Severity):
        raise _bad("severity", "unknown value")
    if policy.notification_channels:
        raise not_found(f"Notification channel {policy.notification_channels[0]} does not exist.")
    if policy.HasField("alert_strategy") or policy.HasField("validity"):
        raise _bad("alert_strategy", "not supported here")
    if len(policy.user_labels) > 64:
        raise _bad("user_labels", "at most 64 labels")
    for key, value in policy.user_labels.items():
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            raise _bad("user_labels", f"{key}={value}: lowercase letters, numerals, underscores and dashes only")


def _check_documentation(documentation: Any) -> None:
    if len(documentation.content) > 8192 or len(documentation.content.encode()) > 10_240:
        raise _bad("documentation.content", "at most 8,192 characters and 10,240 bytes")
    if documentation.content and documentation.mime_type != "text/markdown":
        raise _bad("documentation.mime_type", 'only "text/markdown" is supported')
    if len(documentation.subject.encode()) > 10_240:
        raise _bad("documentation.subject", "at most 10,240 bytes")
    if len(documentation.links) > 3:
        raise _bad("documentation.links", "at most 3 links")
    for link in documentation.links:
        if not 1 <= len(link.display_name) <= 63:
            raise _bad("documentation.links.display_name", "expected 1 to 63 characters")
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", link.url) or len(link.url) > 2083:
            raise _bad("documentation.links.url", "expected a URL of at most 2083 characters")


def _check_condition(condition: Any, field: str) -> None:
    if condition.name:
        raise _bad(f"{field}.name", "it must not be set when a policy is created")
    if not condition.display_name:
        raise _bad(f"{field}.display_name", "it must be set")
    if condition.WhichOneof("condition") != "condition_threshold":
        raise _bad(field, "only condition_threshold is supported here")
    threshold, field = condition.condition_threshold, f"{field}.condition_threshold"
    comparisons = types.ComparisonType
    if threshold.comparison not in (comparisons.COMPARISON_GT, comparisons.COMPARISON_LT):
        raise _bad(f"{field}.comparison", "only COMPARISON_LT and COMPARISON_GT are supported")
    duration = _minutes(threshold.duration, f"{field}.duration")
    if threshold.evaluation_missing_data and not duration:
        raise _bad(
            f"{field}.evaluation_missing_data",
            "conditions setting evaluation_missing_data must have a non-zero duration",
        )
    if threshold.HasField("forecast_options"):
        raise _bad(f"{field}.forecast_options", "not supported here")
    metric = _metric(threshold.filter, f"{field}.filter", needs_resource=True)
    periods = _check_aggregations(metric, threshold.aggregations, f"{field}.aggregations")
    if threshold.denominator_filter:
        below = _metric(threshold.denominator_filter, f"{field}.denominator_filter", needs_resource=False)
        if (
            _check_aggregations(below, threshold.denominator_aggregations, f"{field}.denominator_aggregations")
            != periods
        ):
            raise _bad(f"{field}.denominator_aggregations", "a ratio needs the same alignment period on both sides")
        if [list(a.group_by_fields) for a in threshold.aggregations] != [
            list(a.group_by_fields) for a in threshold.denominator_aggregations
        ]:
            raise _bad(f"{field}.denominator_aggregations", "a ratio needs the same labels on both sides")
    elif threshold.denominator_aggregations:
        raise _bad(f"{field}.denominator_aggregations", "there is no denominator_filter")
    if duration + sum(periods) > LONGEST_S:
        raise _bad(f"{field}.duration", "the alignment period and the duration exceed 25 hours")


def _metric(text: str, field: str, needs_resource: bool) -> Metric:
    if len(text) > 2048:
        raise _bad(field, "at most 2048 characters")
    try:
        wanted = query.parse(text)
    except FilterError as error:
        raise invalid(str(error)) from error
    metric = METRICS.get(wanted.metric)
    if metric is None:
        raise not_found(f'Cannot find metric(s) that match type = "{wanted.metric}".')
    if needs_resource and not wanted.resource:
        raise _bad(field, "must specify a restriction on resource.type")
    labels = {("metric", n) for n in metric.labels} | {("resource", n) for n in RESOURCES[metric.resource]}
    if wanted.resource not in ("", metric.resource) or not wanted.labels <= labels:
        raise _bad(field, "not a valid combination of metric and monitored resource descriptors")
    return metric


def _check_aggregations(metric: Metric, aggregations: Iterable[Any], field: str) -> list[float]:
    """The alignment periods, in seconds. The lab understands one aggregation."""
    asked = list(aggregations)
    if len(asked) != 1:
        raise _bad(field, "exactly one aggregation is supported here")
    period = _minutes(asked[0].alignment_period, f"{field}[0].alignment_period")
    aligner = types.Aggregation.Aligner(asked[0].per_series_aligner).name
    reducer = types.Aggregation.Reducer(asked[0].cross_series_reducer).name
    if aligner == "ALIGN_NONE":
        raise _bad(f"{field}[0].per_series_aligner", "an aligner must be given")
    try:
        check(metric, Aggregation(aligner, period, reducer, tuple(asked[0].group_by_fields)))
    except RefusedError as error:
        raise invalid(str(error)) from error
    return [period]


def _minutes(duration: Any, field: str) -> float:
    if duration.nanos or duration.seconds % 60 or duration.seconds < 0:
        raise _bad(field, "only multiples of one minute are supported")
    return float(duration.seconds)


def _bad(field: str, says: str) -> RpcError:
    return invalid(f"Field alert_policy.{field} had an invalid value: {says}.")


METHODS: tuple[Method, ...] = (
    Method(
        f"{SERVICE}/CreateAlertPolicy",
        types.CreateAlertPolicyRequest.pb(),
        create_alert_policy,
        CREATE,
        lambda r: r.name,
    ),
)
