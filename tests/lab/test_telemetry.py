"""Telemetry: what Monitoring shows of what happened, when, and which aggregations it refuses."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from diagnostics.lab.telemetry.align import ALIGNERS, Aggregation, RefusedError, aggregate
from diagnostics.lab.telemetry.metrics import METRICS, Kind, Type
from diagnostics.lab.telemetry.series import TimeSeries, Window, raw_series
from diagnostics.lab.telemetry.store import Histogram, Telemetry
from diagnostics.lab.unverified import Unverified

SUB = {"project_id": "p", "subscription_id": "s"}
PUSHES = "pubsub.googleapis.com/subscription/push_request_count"
BACKLOG = "pubsub.googleapis.com/subscription/num_undelivered_messages"
AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
HEALTH = "pubsub.googleapis.com/subscription/delivery_latency_health_score"
PUSH_TIMES = "pubsub.googleapis.com/subscription/push_request_latencies"
RUN_REQUESTS = "run.googleapis.com/request_count"
ACK = {"response_class": "ack", "response_code": "success", "delivery_type": "push"}
NACK = {"response_class": "remote_server_5xx", "response_code": "500", "delivery_type": "push"}

T = 1770550020.0
"""A whole minute."""
PLAIN = replace(Unverified.draw(random.Random(0)), zero_points_min=0, gap_share=0.0)
LATER = T + 7200


def read(
    telemetry: Telemetry,
    metric: str,
    since: float = T - 3600,
    until: float = T + 3600,
    now: float = LATER,
    unverified: Unverified = PLAIN,
    asked: Aggregation | None = None,
) -> list[TimeSeries]:
    window = Window(since, until, now)
    raw = raw_series(telemetry, METRICS[metric], lambda _, __: True, window, unverified)
    return aggregate(METRICS[metric], raw, asked or Aggregation(), window)


def values(series: TimeSeries) -> dict[float, float]:
    """Seconds after T of each point's end, and its value."""
    return {p.end - T: p.value for p in series.points if not isinstance(p.value, Histogram)}


def pushes(*moments: float) -> Telemetry:
    telemetry = Telemetry()
    for moment in moments:
        telemetry.count(PUSHES, SUB, ACK, T + moment)
    return telemetry


def test_counts_are_binned_by_the_minute() -> None:
    (series,) = read(pushes(0, 59.9, 60, 300), PUSHES)
    assert values(series) == {60: 2, 120: 1, 360: 1}
    assert [(p.start - T, p.end - T) for p in series.points] == [(0, 60), (60, 120), (300, 360)]
    assert series.labels == ACK


def test_a_metric_without_events_is_absent_not_zero() -> None:
    assert read(Telemetry(), PUSHES) == []
    assert read(pushes(0), PUSHES, since=T + 60, until=T + 3600) == []


def test_a_point_is_not_visible_before_its_delay_is_over() -> None:
    delay = METRICS[PUSHES].delay_s
    assert read(pushes(0), PUSHES, now=T + 60 + delay - 1) == []
    assert values(read(pushes(0), PUSHES, now=T + 60 + delay)[0]) == {60: 1}


def test_zeros_go_on_for_as_long_as_the_seed_says_then_the_series_is_absent() -> None:
    (series,) = read(pushes(0, 600), PUSHES, unverified=replace(PLAIN, zero_points_min=2))
    assert values(series) == {60: 1, 120: 0, 180: 0, 660: 1, 720: 0, 780: 0}


def test_zeros_begin_before_the_window_too() -> None:
    (series,) = read(pushes(0), PUSHES, since=T + 60, unverified=replace(PLAIN, zero_points_min=3))
    assert values(series) == {120: 0, 180: 0, 240: 0}


def test_a_gauge_is_sampled_on_the_minute_and_absent_before_and_after() -> None:
    telemetry = Telemetry()
    telemetry.level(BACKLOG, SUB, {}, T + 30, 7)
    telemetry.level(BACKLOG, SUB, {}, T + 90, 0)
    telemetry.level(BACKLOG, SUB, {}, T + 200, None)
    (series,) = read(telemetry, BACKLOG)
    assert values(series) == {60: 7, 120: 0, 180: 0}
    assert all(p.start == p.end for p in series.points)


def test_age_grows_with_time_and_is_zero_without_a_message() -> None:
    telemetry = Telemetry()
    telemetry.age_of_oldest(AGE, SUB, {}, T, T - 100)
    telemetry.age_of_oldest(AGE, SUB, {}, T + 100, None)
    (series,) = read(telemetry, AGE, until=T + 120)
    assert values(series) == {0: 100, 60: 160, 120: 0}


def test_gaps_are_the_same_in_every_read_and_only_in_gauges() -> None:
    telemetry = pushes(*range(0, 3600, 60))
    telemetry.level(BACKLOG, SUB, {}, T - 1, 7)
    gappy = replace(PLAIN, gap_share=0.3)
    first, second = (read(telemetry, BACKLOG, since=T, unverified=gappy)[0] for _ in range(2))
    assert first == second
    assert 0 < len(first.points) < 60
    assert len(read(telemetry, PUSHES, since=T, unverified=gappy)[0].points) == 60


def test_metrics_are_kept_for_six_weeks() -> None:
    week = 7 * 86400
    assert read(pushes(0), PUSHES, now=T + 5 * week)
    assert not read(pushes(0), PUSHES, now=T + 7 * week)


def test_what_the_table_does_not_hold_is_not_recorded() -> None:
    telemetry = Telemetry()
    with pytest.raises(ValueError, match="no metric"):
        telemetry.count("pubsub.googleapis.com/subscription/pushes", SUB, {}, T)
    with pytest.raises(ValueError, match="no label class"):
        telemetry.count(PUSHES, SUB, {"class": "ack"}, T)
    with pytest.raises(ValueError, match="not a distribution"):
        telemetry.observe(PUSHES, SUB, ACK, T, 1)


# --- aggregation -----------------------------------------------------------------------------------------------------


def test_delta_sums_over_the_period_counted_from_the_end_of_the_window() -> None:
    asked = Aggregation("ALIGN_DELTA", 600)
    (series,) = read(pushes(0, 30, 570, 600), PUSHES, since=T, until=T + 1200, asked=asked)
    assert values(series) == {600: 3, 1200: 1}
    assert (series.kind, series.value) == (Kind.DELTA, Type.INT64)
    assert series.points[0].start == T


def test_rate_is_a_gauge_per_second() -> None:
    (series,) = read(pushes(0, 30), PUSHES, asked=Aggregation("ALIGN_RATE", 60))
    assert (series.kind, series.value) == (Kind.GAUGE, Type.DOUBLE)
    assert values(series) == {60: pytest.approx(2 / 60)}


def test_max_mean_and_next_older_of_a_gauge() -> None:
    telemetry = Telemetry()
    for minute, level in enumerate([4, 9, 2]):
        telemetry.level(BACKLOG, SUB, {}, T + 60 * minute, level)
    expected = {"ALIGN_MAX": 9, "ALIGN_MEAN": 5, "ALIGN_NEXT_OLDER": 2, "ALIGN_COUNT": 3}
    for aligner, value in expected.items():
        (series,) = read(telemetry, BACKLOG, since=T - 60, until=T + 120, asked=Aggregation(aligner, 180))
        assert values(series) == {120: value}, aligner


def test_fraction_true_of_a_health_score() -> None:
    telemetry = Telemetry()
    for minute, healthy in enumerate([1, 0, 1, 1]):
        telemetry.level(HEALTH, SUB, {"criteria": "nack_requests"}, T + 60 * minute, healthy)
    (series,) = read(telemetry, HEALTH, since=T - 60, until=T + 180, asked=Aggregation("ALIGN_FRACTION_TRUE", 240))
    assert values(series) == {180: 0.75}


def test_percentiles_of_a_distribution_are_within_a_bucket_of_the_truth() -> None:
    telemetry = Telemetry()
    for i in range(1, 101):
        telemetry.observe(PUSH_TIMES, SUB, {"response_code": "success", "delivery_type": "push"}, T, i * 1000)
    for percent, truth in {"05": 5000, "50": 50_000, "95": 95_000, "99": 99_000}.items():
        (series,) = read(telemetry, PUSH_TIMES, asked=Aggregation(f"ALIGN_PERCENTILE_{percent}", 60))
        assert values(series)[60] == pytest.approx(truth, rel=0.1)
    (series,) = read(telemetry, PUSH_TIMES, asked=Aggregation("ALIGN_DELTA", 60))
    histogram = series.points[0].value
    assert isinstance(histogram, Histogram)
    assert (histogram.count, histogram.mean, series.value) == (100, 50_500, Type.DISTRIBUTION)


def test_a_minute_of_zeros_has_no_percentile() -> None:
    telemetry = Telemetry()
    telemetry.observe(PUSH_TIMES, SUB, {"response_code": "success", "delivery_type": "push"}, T, 1000)
    zeros = replace(PLAIN, zero_points_min=5)
    (series,) = read(telemetry, PUSH_TIMES, unverified=zeros, asked=Aggregation("ALIGN_PERCENTILE_99", 60))
    assert len(series.points) == 1


def test_reduction_keeps_the_labels_it_groups_by_and_the_project() -> None:
    telemetry = pushes(0)
    telemetry.count(PUSHES, SUB, NACK, T, 4)
    telemetry.count(PUSHES, {**SUB, "subscription_id": "r"}, NACK, T, 2)
    by_class = Aggregation("ALIGN_DELTA", 60, "REDUCE_SUM", ("metric.labels.response_class",))
    ack, nack = read(telemetry, PUSHES, asked=by_class)
    assert (ack.labels, values(ack)) == ({"response_class": "ack"}, {60: 1})
    assert (nack.labels, nack.resource, values(nack)) == (
        {"response_class": "remote_server_5xx"},
        {"project_id": "p"},
        {60: 6},
    )
    for reducer, value in {"REDUCE_MAX": 4, "REDUCE_MIN": 1, "REDUCE_COUNT": 3, "REDUCE_MEAN": 7 / 3}.items():
        (every,) = read(telemetry, PUSHES, asked=Aggregation("ALIGN_DELTA", 60, reducer))
        assert values(every) == {60: pytest.approx(value)}


@pytest.mark.parametrize(
    ("metric", "asked", "says"),
    [
        (BACKLOG, Aggregation("ALIGN_DELTA", 60), "ALIGN_DELTA cannot be applied"),
        (BACKLOG, Aggregation("ALIGN_RATE", 60), "ALIGN_RATE cannot be applied"),
        (PUSHES, Aggregation("ALIGN_NEXT_OLDER", 60), "cannot be applied"),
        (PUSHES, Aggregation("ALIGN_PERCENTILE_99", 60), "cannot be applied"),
        (PUSH_TIMES, Aggregation("ALIGN_COUNT", 60), "cannot be applied"),
        (PUSH_TIMES, Aggregation("ALIGN_MAX", 60), "cannot be applied"),
        (HEALTH, Aggregation("ALIGN_MEAN", 60), "cannot be applied"),
        (PUSHES, Aggregation("ALIGN_FRACTION_TRUE", 60), "cannot be applied"),
        (PUSHES, Aggregation("ALIGN_DELTA", 30), "at least 60 seconds"),
        (PUSHES, Aggregation("ALIGN_DELTA"), "at least 60 seconds"),
        (PUSHES, Aggregation(reducer="REDUCE_SUM"), "must be specified"),
        (PUSHES, Aggregation("ALIGN_STDDEV", 60), "not supported"),
        (PUSHES, Aggregation("ALIGN_DELTA", 60, "REDUCE_STDDEV"), "not supported"),
        (PUSH_TIMES, Aggregation("ALIGN_DELTA", 60, "REDUCE_MAX"), "cannot be applied"),
        (PUSHES, Aggregation("ALIGN_DELTA", 60, "REDUCE_SUM", ("metric.labels.class",)), "is not a label"),
    ],
)
def test_an_aggregation_that_google_refuses_is_refused(metric: str, asked: Aggregation, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        read(Telemetry(), metric, asked=asked)


@pytest.mark.parametrize("aligner", sorted(set(ALIGNERS) - {"ALIGN_NONE"}))
def test_every_aligner_works_on_some_metric(aligner: str) -> None:
    telemetry = pushes(0)
    telemetry.level(BACKLOG, SUB, {}, T, 7)
    telemetry.level(HEALTH, SUB, {"criteria": "utilization"}, T, 1)
    telemetry.observe(PUSH_TIMES, SUB, {"response_code": "", "delivery_type": ""}, T, 5)
    answers = []
    for metric in (PUSHES, BACKLOG, HEALTH, PUSH_TIMES):
        try:
            answers += read(telemetry, metric, asked=Aggregation(aligner, 60))
        except RefusedError:
            continue
    assert answers


def test_labels_that_were_not_given_are_empty() -> None:
    telemetry = Telemetry()
    telemetry.count(RUN_REQUESTS, {"project_id": "p", "service_name": "w"}, {"response_code_class": "2xx"}, T)
    (series,) = read(telemetry, RUN_REQUESTS)
    assert series.labels == {"response_code": "", "response_code_class": "2xx", "route": ""}
    assert series.resource["revision_name"] == ""
