"""What became of each message is remembered as it was, by the lab alone."""

from __future__ import annotations

from collections import Counter

from diagnostics.lab.fates import Fate
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.telemetry.store import Telemetry

STORY = """
name: fates
story: Five requests that the worker refuses, and one night that is done.
pipeline: {{worker: {{revision: {{code: poison-refused}}}}, request: {{subscription: {{max_delivery_attempts: 5}}}}}}
timeline:
  - {{at: -2h, start_batch: {{name: tonight, items: 20, payloads: {{malformed: 5}}}}}}
{more}
"""


def fates(more: str = "") -> list[Fate]:
    lab = Lab(parse(STORY.format(more=more)), 1, Telemetry())
    return lab.broker.fates.in_subscription("prediction-request-prod")


def test_what_pushes_met_and_where_messages_ended() -> None:
    found = fates()
    assert Counter(fate.end for fate in found) == {"acked": 15, "dead-lettered": 5}
    for fate in found:
        assert list(fate.met) == [("application", "204" if fate.end == "acked" else "400")]
        assert fate.last is not None and fate.last.times == (1 if fate.end == "acked" else 5)


def test_who_refused_is_told_apart() -> None:
    revoked = '  - {at: -3h, revoke: {on: "service:worker", role: roles/run.invoker, member: worker}}'
    assert {met for fate in fates(revoked) for met in fate.met} == {("front end", "403")}
    crashing = "  - {at: -3h, deploy: {service: worker, remove_env: [GCP_PROJECT_ID]}}"
    assert {by for fate in fates(crashing) for by, _ in fate.met} == {"Cloud Run"}
    nowhere = '  - {at: -3h, set_subscription: {subscription: request, endpoint: "https://nobody.example.com/do"}}'
    assert {met for fate in fates(nowhere) for met in fate.met} == {("nobody", "unreachable")}


def test_what_leaves_by_itself_says_how() -> None:
    gone = "  - {at: -110m, delete_subscription: {subscription: request}}"
    slow = "  - {at: -121m, set_subscription: {subscription: request, account: nobody@example.com}}\n"
    found = fates(slow + gone)
    assert {fate.end for fate in found} == {"dropped"}
    assert {met for fate in found for met in fate.met} == {("Pub/Sub", "no token")}
    purged = "  - {at: -100m, seek: {subscription: request}}"
    assert {fate.end for fate in fates(slow + purged)} == {"purged"}


def test_a_container_that_never_starts_is_tried_for_weeks() -> None:
    lab = Lab(
        parse(
            """
name: weeks
story: A worker with a minimum of instances that exits at start, for three weeks.
timeline:
  - {at: -21d, deploy: {service: worker, min_instances: 1, remove_env: [GCP_PROJECT_ID]}}
"""
        ),
        1,
        Telemetry(),
    )
    assert lab.now() > 0
