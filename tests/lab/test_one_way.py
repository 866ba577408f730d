"""Pipelines without a coordinator: a script publishes from outside, nothing comes back, and a function counts, or nobody does."""

from __future__ import annotations

import pytest

from diagnostics.lab.lab import Lab
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.scenario import ScenarioError, parse
from tests.lab.test_timeline import Recording

RUN = "{at: -30m, start_batch: {name: tonight, items: 40}}"


def play(timeline: str = RUN, pipeline: str = "dialect: tiles", seed: int = 1) -> Lab:
    text = f"{{name: n, story: s, pipeline: {{{pipeline}}}, timeline: [{timeline}]}}"
    return Lab(parse(text, "a scene", seed), seed, Recording())


def printed(lab: Lab) -> list[LogEntry]:
    """Lines that programs printed."""
    assert isinstance(lab.recorder, Recording)
    return [e for e in lab.recorder.logs if e.log.endswith(("/stdout", "/stderr"))]


@pytest.mark.parametrize("dialect", ["tiles", "scans"])
def test_there_is_a_worker_alone_and_one_way_to_it(dialect: str) -> None:
    lab = play("", f"dialect: {dialect}")
    cast, world = lab.cast, lab.world
    assert list(world.services) == [cast.worker] and not cast.coordinator
    pushes = [s.name for s in world.subscriptions.values() if s.push.endpoint]
    assert pushes == [cast.subscriptions["request"]] and "completion" not in cast.topics
    assert "coordinator" not in cast.accounts and cast.account("publisher") in world.accounts


@pytest.mark.parametrize("dialect", ["tiles", "scans"])
def test_the_script_is_in_no_log_and_may_publish_by_a_grant_on_the_topic(dialect: str) -> None:
    lab = play(pipeline=f"dialect: {dialect}")
    assert {e.resource_labels["service_name"] for e in printed(lab)} == {lab.cast.worker}
    taken = "{at: -1h, revoke: {on: 'topic:request', role: roles/pubsub.publisher, member: publisher}}"
    without = play(f"{taken}, {RUN}", f"dialect: {dialect}")
    (attempt,) = without.coordinator.attempts.values()
    assert attempt.batch_id and not attempt.published
    assert not [e for e in printed(without) if attempt.batch_id in f"{e.text} {e.json}"]


def test_what_only_a_call_has_is_refused_of_a_script() -> None:
    with pytest.raises(ScenarioError, match="refusal: nobody calls a script"):
        play("{at: -30m, start_batch: {items: 4, refusal: no_work}}")
    with pytest.raises(ScenarioError, match="no_token: nobody calls a script"):
        play("{at: -30m, start_batch: {items: 4, no_token: true}}")


def test_what_the_pipeline_has_not_cannot_be_set_up_otherwise() -> None:
    with pytest.raises(ScenarioError, match="tiles has no coordinator"):
        play("", "dialect: tiles, coordinator: {revision: {code: no-age-rule}}")
    with pytest.raises(ScenarioError, match="scans has no completion leg"):
        play("", "dialect: scans, completion: {missing: true}")


def test_nobody_keeps_count_of_tiles_and_the_renderer_says_how_many_there_are() -> None:
    lab = play()
    assert not lab.world.documents()
    texts = [e.text or "" for e in printed(lab)]
    taken = [t for t in texts if 'msg="tile taken"' in t]
    assert len(taken) == 40 and all(t.endswith(" of=40") for t in taken)
    assert sum('msg="tile rendered"' in t for t in texts) == 40
    unsized = play(pipeline="dialect: tiles, worker: {revision: {code: unsized}}")
    assert not [e for e in printed(unsized) if " of=" in (e.text or "")]


def test_the_push_of_a_trigger_is_as_eventarc_makes_it() -> None:
    lab = play("", "dialect: scans")
    subscription = lab.world.subscriptions[lab.cast.subscription("request")]
    url, mode = subscription.push.endpoint.split("?")
    assert url == subscription.push.audience == lab.world.urls(lab.world.services["read-scan"])[0]
    assert mode == "__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Flinden-claims-prod%2Ftopics%2Fscans-to-read"
    assert (subscription.labels, subscription.retention_s) == ({"goog-eventarc": ""}, 86400)
    assert not subscription.dead_letter_topic
    assert subscription.push.account == lab.cast.account("pusher") != lab.cast.account("worker")


def test_each_run_of_the_function_counts_and_the_last_marks_the_job_complete() -> None:
    lab = play("{at: -30m, start_batch: {items: 40, payloads: {permanent_skip: 3}}}", "dialect: scans")
    ((path, document),) = lab.world.documents().items()
    (state,) = lab.coordinator.batches.values()
    assert path == f"scan_jobs/{state.id}"
    counted = {name: document.fields[name] for name in ("expected", "done", "failed", "state")}
    assert counted == {"expected": 40, "done": 37, "failed": 3, "state": "complete"}
    says = [(e.json or {}).get("message") for e in printed(lab)]
    assert (says.count("page counted"), says.count("counted as failed"), says.count("job complete")) == (37, 3, 1)


def test_a_count_that_is_lost_is_acknowledged_and_one_that_is_raised_comes_again() -> None:
    busy = "{at: -31m, downstream: {service: firestore, for: 5m, errors: 0.3}}"
    lost = play(f"{busy}, {RUN}", "dialect: scans, worker: {revision: {code: count-lost}}")
    raised = play(f"{busy}, {RUN}", "dialect: scans")
    (of_lost,), (of_raised,) = lost.coordinator.batches.values(), raised.coordinator.batches.values()
    failures = [e for e in printed(lost) if (e.json or {}).get("message") == "page not counted"]
    assert 0 < len(failures) == 40 - len(of_lost.completed) and not of_lost.closed
    assert "409 Too much contention on these documents" in failures[0].json["error"] if failures[0].json else False
    assert not lost.broker.backlog(lost.cast.subscription("request"))
    assert len(of_raised.completed) == 40 and of_raised.closed
