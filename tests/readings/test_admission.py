"""What Google's front end let in and turned away, by the order of what metric and request log tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import LogRow, Point, Provenance, PushCounts, RequestLog, Series, Unseen, Why
from diagnostics.readings.admission import Admission, Gate, Way, admission

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
PUBSUB = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
UNSEEN = Unseen(what="RequestLog", why=Why.PERMISSION_DENIED, says="logging.logEntries.list is missing")


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def row(
    minutes: float, status: int = 200, *, instance: str | None = None, agent: str = PUBSUB, path: str = "/push"
) -> LogRow:
    inside = status not in (401, 403) if instance is None else bool(instance)
    return LogRow(
        at=ago(minutes), method="POST", path=path, status=status, latency_s=0.1, user_agent=agent, instance="i-1" if inside else ""
    )  # fmt: skip


def log(*rows: LogRow, whole: bool = True) -> RequestLog:
    ordered = sorted(rows, key=lambda r: r.at)
    return RequestLog(
        source=Provenance(source="test", fetched_at=NOW, as_of=NOW, complete=whole),
        push_path="/push",
        refused=tuple(r for r in ordered if r.status >= 300),
        fine=tuple(r for r in ordered if r.status < 300),
    )


def counts(**classes: dict[int, float]) -> PushCounts:
    """Class to minutes ago to how many; the counters are seen up to three minutes ago."""
    series = tuple(
        Series(
            labels={"response_class": name},
            points=tuple(Point(start=ago(m + 1), end=ago(m), value=n) for m, n in sorted(points.items(), reverse=True)),
        )
        for name, points in classes.items()
    )
    return PushCounts(source=Provenance(source="test", fetched_at=NOW, as_of=ago(3)), series=series)


def test_nothing_pushed_tells_nothing() -> None:
    found = admission(counts(), log())
    assert (found.gate, found.newest_in, found.turned) == (Gate.UNTRIED, None, {})


def test_whatever_a_container_answers_has_got_in() -> None:
    found = admission(counts(remote_server_4xx=dict.fromkeys(range(3, 20), 3)), log(*(row(m, 429) for m in range(20))))
    assert (found.gate, found.newest_in, found.turned) == (Gate.OPEN, NOW, {})
    assert found.open_at(NOW)


def test_an_ack_has_got_in_though_no_log_is_seen() -> None:
    found = admission(counts(ack={4: 20}), UNSEEN)
    assert found.gate is Gate.OPEN
    assert not found.whole


def test_a_4xx_is_of_unknown_hand_without_the_log() -> None:
    found = admission(counts(remote_server_4xx={4: 20}), UNSEEN)
    assert (found.gate, found.turned) == (Gate.SHUT, {})


def test_refusals_after_pushes_that_got_in_are_now_and_since_the_first_of_them() -> None:
    found = admission(counts(), log(*(row(m) for m in range(20, 40)), *(row(m, 403) for m in range(19))))
    assert found.gate is Gate.SHUT
    turned = found.turned[Way.FORBIDDEN]
    assert (turned.count, turned.first, turned.last, turned.over) == (19, ago(18), NOW, False)


def test_refusals_before_pushes_that_got_in_are_over() -> None:
    found = admission(counts(), log(*(row(m) for m in range(20)), *(row(m, 403) for m in range(20, 40))))
    assert found.gate is Gate.OPEN
    assert found.turned[Way.FORBIDDEN].over
    assert found.turned[Way.FORBIDDEN].last == ago(20)


def test_another_answer_by_now_leaves_the_older_one_over() -> None:
    """Somebody mended the audience, and what is met now is the missing grant."""
    rows = [row(50), *(row(m, 401) for m in range(20, 40)), *(row(m, 403) for m in range(19))]
    found = admission(counts(), log(*rows))
    assert found.gate is Gate.SHUT
    assert {way: turned.over for way, turned in found.turned.items()} == {Way.UNAUTHORIZED: True, Way.FORBIDDEN: False}


def test_one_refusal_among_many_that_get_in_shuts_nothing() -> None:
    found = admission(counts(), log(*(row(m / 10) for m in range(1, 20)), row(0, 403)))
    assert found.gate is Gate.MIXED


def test_refused_and_let_in_by_turns_is_mixed() -> None:
    """For some minutes after a grant was made or taken not all of Google knows of it."""
    found = admission(counts(), log(*(row(m / 2, 403 if m % 2 else 200) for m in range(20))))
    assert found.gate is Gate.MIXED
    assert not found.turned[Way.FORBIDDEN].over


def test_a_4xx_that_the_whole_log_lacks_was_turned_away_before_the_log() -> None:
    pushes = counts(remote_server_4xx=dict.fromkeys((*range(3, 20), *range(30, 50)), 2))
    found = admission(pushes, log(*(row(m, 400) for m in range(29, 52))))
    assert found.gate is Gate.SHUT
    turned = found.turned[Way.UNLOGGED]
    assert (turned.count, turned.first) == (34, ago(20))


def test_a_log_that_was_cut_lacks_nothing() -> None:
    found = admission(counts(remote_server_4xx={4: 2}), log(row(50, 400), whole=False))
    assert Way.UNLOGGED not in found.turned
    assert found.gate is Gate.SHUT


def test_who_does_not_call_himself_pubsub_does_not_push_where_others_do() -> None:
    found = admission(counts(), log(row(2), row(1, 403, agent="curl/8.5")))
    assert (found.gate, len(found.foreign)) == (Gate.OPEN, 1)


def test_should_nobody_call_himself_pubsub_any_post_on_the_path_is_a_push() -> None:
    found = admission(counts(), log(row(1, 403, agent="something new")))
    assert (found.gate, found.foreign) == (Gate.SHUT, ())


def test_our_own_calls_and_uptime_checks_are_no_pushes() -> None:
    ours = row(1, 403, agent="pubsub-diag/0.9")
    check = row(1, 403, agent="GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)")
    found = admission(counts(), log(ours, check, row(1, 403, path="/health")))
    assert found.gate is Gate.UNTRIED
    assert len(found.foreign) == 2


def test_quiet_needs_counters_and_three_minutes() -> None:
    assert admission(counts(), log()).quiet_since(ago(10))
    assert not admission(counts(), log()).quiet_since(ago(5))
    assert not Admission().quiet_since(ago(10))
    assert not admission(counts(deadline_exceeded={4: 1}), log()).quiet_since(ago(10))
    assert admission(counts(internal={4: 1}), log()).quiet_since(ago(10))


def test_pushes_are_seen_where_the_subscription_sends_them_now() -> None:
    rows = log(row(1, 403, path="/else"), row(2, 403, path="/else"))
    assert admission(counts(), rows).turned == {}
    moved = admission(counts(), rows, "/else")
    assert (moved.gate, moved.turned[Way.FORBIDDEN].count, moved.foreign) == (Gate.SHUT, 2, ())
