"""The table of remedies: for each cause a scenario in which it is the answer, which steps of its page are taken, and what is then said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostics.evidence.model import Leg
from diagnostics.lab.applications.predictions import models, results
from diagnostics.lab.model import StoredObject
from tests.remedies.incident import Incident, Value


@dataclass(frozen=True)
class Take:
    """A step of the page; `only` some of its commands, from 1; `otherwise`: the commands of its "If not" instead."""

    step: int
    only: tuple[int, ...] = ()
    otherwise: bool = False
    page: str = ""
    """Another page, which this one sends the reader to; empty: its own."""


@dataclass(frozen=True)
class Hand:
    """What a page leaves to the reader without a command, because only the pipeline's own tools do it."""

    does: Callable[[Incident], None]


@dataclass(frozen=True)
class Row:
    code: str
    scenario: str
    steps: tuple[int | Take | Hand, ...]
    leg: Leg = Leg.REQUEST
    yours: Mapping[str, Value] = field(default_factory=dict)
    """What the reader puts in for CAPITALS, beside what `incident.yours` knows."""
    wait: str = "20m"
    """How long until the answer is asked for: backoff, propagation and the lag of metrics are over by then."""
    open: str = ""
    """What the answer still gets wrong after this remedy. The row is no proof, and once it misses nothing the note has to go."""
    goes_on: bool = False
    """What fails downstream in the scenario goes on until it is mended, and does not end by itself at its now."""
    halfway: tuple[str, ...] = ()
    """What surely holds the batch once the cause is mended and nothing was sent again, beside the cause itself: codes."""
    stays: bool = False
    """What it says of the cause is as true then as before: it tells of what was, or of what only sending again mends."""
    residue: tuple[str, ...] = ()
    """What stays to be done and has to be named: codes of causes or findings, "to send again", "dead letters to replay"."""


def hand(says: str, **event: Any) -> Hand:
    """An event of a timeline, that somebody makes happen."""

    def does(incident: Incident) -> None:
        incident.happen(**event)
        incident.done.append(f"by hand: {says}")

    return Hand(does)


RESEND = Hand(Incident.resend)
START = Hand(Incident.start_again)
ANEW = (Take(2, page="stale-active-batch-blocks-start"), Take(3, page="stale-active-batch-blocks-start"))
"""Close the batch and start it again, as many pages say where items cannot be named."""
OWN = (Hand(Incident.close), START)
"""The same by the way of a pipeline that is not the example's."""
AGAIN = (RESEND, *ANEW, *OWN)
"""By these, what was lost comes again."""


LATE = ("results-missing",)
"""All comes at once, and what is done after the batch was closed at 95 % is counted and not merged into the table."""


FIXED = hand("deploy what answers 204 to what can never succeed", deploy={"service": "worker", "code": "head"})


NAMES_ITS_MODEL = hand(
    "deploy the build that writes the version of its model", deploy={"service": "worker", "code": "head"}
)


RELAXED = hand(
    "a revision of the schema in which what is new is optional",
    set_topic={"topic": "request", "schema": "invoice-order-v2", "schema_fields": ["order", "batch"], "by": "person"},
)


def wait(minutes: int) -> Hand:
    return Hand(lambda incident: incident.wait(minutes))


def _account(alias: str) -> Callable[[Incident], str]:
    return lambda incident: incident.lab.cast.account(alias)


def _healed(incident: Incident) -> None:
    incident.heal()
    incident.done.append("its owners: what the worker calls is well again")


def _settled(incident: Incident) -> None:
    incident.heal("coordinator")
    incident.done.append("by hand: fewer completions at once, and the store takes them")


def _told(says: str) -> Callable[[Callable[[Incident], None]], Hand]:
    """A function as a hand's work, with what it says of it."""

    def hand_of(does: Callable[[Incident], None]) -> Hand:
        def told(incident: Incident) -> None:
            does(incident)
            incident.done.append(f"by hand: {says}")

        return Hand(told)

    return hand_of


@_told("what answers otherwise than the worker used to is no more")
def ANSWERS_AS_USUAL(incident: Incident) -> None:
    incident.lab.coordinator.casebook.scripts.clear()


def _latest(incident: Incident) -> str:
    """Id of the batch that was started last."""
    return list(incident.lab.batches.values())[-1].id


OLDER_MODEL = hand(
    "a model that was trained before those dates",
    deploy={
        "service": "worker",
        "update_env": {
            "CATBOOST_V9_MODEL_PATH": "gs://nba-props-platform-models/catboost/v9/catboost_v9_33f_train20251102-20260115_20260116_090000.cbm"
        },
    },
)


@_told("the manifest kept with one model in production")
def MANIFEST(incident: Incident) -> None:
    content = models.manifest(models.described()).encode()
    incident.lab.world.objects[models.MANIFEST] = StoredObject(content, incident.lab.now())


@_told("what lies in staging merged")
def MERGED(incident: Incident) -> None:
    results.merge(incident.lab.world, _latest(incident))


@_told("the next phase run for each date")
def MADE(incident: Incident) -> None:
    for date in sorted({batch.date for batch in incident.lab.coordinator.batches.values()}):
        results.pick(incident.lab.world, date, incident.lab.now())


def redone(items: int, *dates: str) -> Hand:
    """The batches of these dates started again; of all dates that there were, where none is named."""

    def does(incident: Incident) -> None:
        asked = incident.asked
        for date in dates or sorted({batch.date for batch in incident.lab.coordinator.batches.values()}):
            incident.start_again(items, date=date, same_items=True, mode="BACKFILL", body={"force": True})
            incident.lab.advance(900.0)
        incident.asked = asked

    return Hand(does)


def _renamed(incident: Incident) -> None:
    incident.subscription = "prediction-request-prod-2"
    incident.done.append("the new name into the profile")


ROWS = (
    # --- state, publishing
    Row("gated-batch-never-closes", "2026-02-08-backfill-stall", (1, 2)),
    Row("stale-active-batch-blocks-start", "stale-active-batch-blocks-start", (1, 2, 3), yours={}),
    Row("start-timed-out-before-publish", "start-timed-out-before-publish", (1, 2, 3)),
    Row(
        "publisher-role-missing",
        "publish-permission-revoked",
        (1, 2, ANEW[1]),
        yours={"ACCOUNT": _account("coordinator")},
    ),
    Row(
        "publish-denied-by-policy",
        "deny-policy-on-publishing",
        (1, 2, *OWN),
        yours={"POLICY": lambda incident: incident.lab.world.denied[0].name},
        halfway=("publish-failing",),
    ),
    Row(
        "request-topic-missing",
        "publish-topic-deleted",
        (1, 2, *(Take(n, page="subscription-not-attached") for n in (3, 4, 5)), 3, 4, *OWN),
        yours={"ACCOUNT": _account("coordinator")},
    ),
    Row("region-not-allowed", "topic-takes-nothing-from-this-region", (1, 2, *OWN), halfway=("publish-failing",)),
    Row(
        "message-too-large",
        "some-messages-too-large",
        (1, 2, Hand(Incident.close)),
        residue=("message-too-large",),
        stays=True,
    ),
    Row("request-topic-name-wrong", "publish-wrong-topic-default", (1, 2, 3, *ANEW)),
    Row("start-killed", "start-killed", (1, 3), leg=Leg.COMPLETION),
    Row("start-cut-off-while-loading", "start-timed-out-while-loading", (1, 2, 3)),
    Row("upstream-data-incomplete", "upstream-data-incomplete", (1, 2)),
    Row("start-call-not-let-in", "start-call-refused", (1, START), yours={"CALLER": _account("scheduler")}, stays=True),
    Row("closed-batch-blocks-start", "reset-blocks-next-start", (1, 2, 3)),
    Row("closing-rule-needs-an-event", "closing-rule-needs-an-event", (1, 2)),
    Row(
        "expects-what-nobody-sends",
        "expects-what-nobody-sends",
        (1, Hand(Incident.close), 3),
        stays=True,
        residue=("expects-what-nobody-sends",),
    ),
    Row("published-elsewhere", "published-to-another-topic", (1, 2, 3, 4, *OWN)),
    Row("publish-quota-exceeded", "publish-quota-exceeded", (1, 2, *OWN), stays=True),
    # --- routing
    Row(
        "no-subscription-on-topic", "no-subscription-on-topic", (1, 2, 3, 5, *ANEW), halfway=("subscription-made-anew",)
    ),
    Row(
        "subscription-not-attached",
        "subscription-detached",
        (1, 2, 3, 4, 5, 6, *OWN),
        halfway=("subscription-made-anew",),
    ),
    Row("filter-drops-messages", "filter-drops-all", (1, 3, 4, 5, *ANEW), yours={"FILTER": "NOT attributes:test"}),
    Row("push-endpoint-wrong", "wrong-push-path", (1, 2, 3), residue=("attempts-used-up",)),
    Row(
        "subscription-expired",
        "no-subscription-after-expiry",
        (1, 2, 3, 4, wait(10), 5, RESEND),
        halfway=("subscription-made-anew",),
    ),
    Row(
        "subscription-deleted",
        "completion-subscription-deleted",
        (1, 2, 3, 4, wait(10), Take(5, otherwise=True), RESEND),
        leg=Leg.COMPLETION,
        halfway=("subscription-made-anew",),
    ),
    Row(
        "subscription-of-another-topic",
        "subscription-listens-to-another-topic",
        (1, 2, 3, 4, Hand(_renamed), *ANEW),
        yours={"NAME": "prediction-request-prod-2"},
        halfway=("subscription-made-anew",),
    ),
    Row("subscription-made-anew", "subscription-made-anew-in-mid-batch", (1, 2, RESEND, 3, 4), stays=True),
    Row("messages-purged", "sought-forward-in-mid-batch", (1, 3, *ANEW), stays=True),
    Row("messages-outlived-retention", "grant-came-back-after-the-messages-were-gone", (1, 2, 3, RESEND)),
    Row(
        "second-push-subscription",
        "two-subscriptions-to-one-worker",
        (1, 2, 3),
        yours={"TWIN": "prediction-request-test"},
    ),
    Row(
        "service-gone",
        "worker-service-deleted",
        (1, hand("the service's own pipeline deploys it", create_service={"service": "worker"}), wait(2), 2, 3),
        residue=("attempts-used-up",),
    ),
    Row("left-in-pull-mode", "left-in-pull-mode", (2,)),
    # --- auth
    Row("push-invoker-missing", "push-invoker-missing", (1, 2), residue=("attempts-used-up",)),
    Row("push-audience-mismatch", "push-audience-mismatch", (1, 2, 4)),
    Row(
        "push-denied-by-policy",
        "deny-policy-takes-the-right",
        (1, 2),
        yours={"POLICY": "no-calls-between-services"},
        residue=("attempts-used-up",),
    ),
    Row(
        "push-token-missing",
        "pushes-carry-no-token",
        (1, 2, 3),
        yours={"ACCOUNT": _account("worker")},
        residue=("attempts-used-up",),
    ),
    Row("push-token-not-minted", "agent-cannot-mint", (1, 2, 3), residue=LATE),
    Row("push-account-gone", "push-account-disabled", (1, 4)),
    Row("iap-in-front", "proxy-in-front-of-the-worker", (1, 5), residue=("attempts-used-up",)),
    Row("ingress-closed", "ingress-closed-while-poison-goes-round", (1, 2), residue=LATE),
    Row("default-url-off", "default-url-switched-off", (1, 3), residue=LATE),
    # --- deadline, capacity
    Row("cold-start-exceeds-ack-deadline", "cold-start-exceeds-ack-deadline", (1, 2, 3)),
    Row("work-longer-than-ack-deadline", "work-goes-on-past-the-deadline", (1, 2, 3)),
    Row(
        "work-longer-than-any-deadline",
        "work-longer-than-the-longest-deadline",
        (1, 2, 3),
        wait="90m",
        residue=("work-longer-than-any-deadline",),
    ),
    Row("request-timeout-cuts-work", "work-longer-than-deadline", (1, 2, 3)),
    Row("max-instances-saturated", "saturated-and-still-draining", (1, 2, 3), yours={"LIMIT": "60"}),
    Row("scaled-to-zero-by-hand", "scaled-to-zero-by-hand", (1, 2), residue=("attempts-used-up",)),
    # --- worker
    Row("reason-that-never-passes", "2026-02-05-injured-out-retry-loop", (1, FIXED)),
    Row("poison-retry-storm", "poison-of-other-batches-is-latent", (1, 4, 5, 6), wait="60m"),
    Row("every-item-fails", "every-item-fails-after-deploy", (1, 2, 3), residue=("attempts-used-up",)),
    Row(
        "worker-lacks-a-right",
        "worker-lost-its-role",
        (1, 2, 4),
        yours={"RUNTIME_ACCOUNT": _account("worker"), "ROLE": "roles/datastore.user"},
        goes_on=True,
    ),
    Row("downstream-limits-worker", "downstream-quota-spent", (1, Hand(_healed), 3), goes_on=True),
    Row("downstream-fails", "downstream-fails-in-mid-batch", (1, 2, Hand(_healed)), goes_on=True),
    Row("worker-crashing", "worker-crashing-after-deploy", (1, 2, 4)),
    Row(
        "environment-lost-in-deploy",
        "2026-02-02-env-vars-replaced",
        (1, 2, 3),
        yours={"NAME": "GCP_PROJECT_ID", "VALUE": "nba-props-platform,PUBSUB_READY_TOPIC=prediction-ready-prod"},
        residue=("attempts-used-up",),
    ),
    Row("out-of-memory", "out-of-memory", (1, 2, 3)),
    Row("server-timeout-kills-work", "server-timeout-kills-work", (1, 2)),
    Row("liveness-probe-kills", "liveness-probe-kills", (1, 2)),
    Row("worker-skips-everything", "all-skipped-and-counted-as-done", (1, START, 2)),
    Row("done-without-results", "nothing-came-of-it", (1, START, 3)),
    # --- dead letters, the way back
    Row("dead-letter-grants-missing", "dead-letter-grants-missing-latent", (1, 2, 3)),
    Row("attempts-spent-in-an-outage", "attempts-spent-before-the-grant-came-back", (1, 2, wait(20), 3)),
    Row("completion-topic-misnamed", "2026-01-08-ready-topic-env-missing", (1, 2, 3, RESEND), leg=Leg.COMPLETION),
    Row(
        "skip-acked-without-completion",
        "2026-02-09-skip-acked-without-completion",
        (1, 2),
        leg=Leg.COMPLETION,
        residue=("skip-acked-without-completion",),
    ),
    Row(
        "completion-contention",
        "completions-cannot-be-recorded",
        (1, Hand(_settled), 2),
        goes_on=True,
        leg=Leg.COMPLETION,
        wait="60m",
    ),
    Row(
        "application-refuses-pushes",
        "application-refuses-completions",
        (1, 2),
        leg=Leg.COMPLETION,
        residue=("attempts-used-up",),
    ),
    Row("attempts-used-up", "attempts-spent-by-chance", (1, 2, 3, 4, wait(20), 5)),
    Row("batch-forgotten-at-restart", "restart-forgets-the-batch", (1, START, 2), leg=Leg.COMPLETION, stays=True),
    Row(
        "batch-record-gone",
        "record-deleted-under-way",
        (1, 2, wait(120), START, 3),
        leg=Leg.COMPLETION,
        halfway=("attempts-spent-in-an-outage",),
    ),
    Row(
        "completion-publisher-role-missing",
        "worker-may-not-publish-completions",
        (1, 2, 3, RESEND),
        leg=Leg.COMPLETION,
        yours={"WORKER_ACCOUNT": _account("worker")},
    ),
    Row(
        "completion-publish-failing", "results-from-a-region-that-is-not-allowed", (1, 3, 4, RESEND), leg=Leg.COMPLETION
    ),
    Row(
        "completion-topic-deleted",
        "completion-topic-deleted",
        (1, 2, 3, *(Take(n, page="subscription-not-attached") for n in (3, 4, 5)), 4, RESEND),
        leg=Leg.COMPLETION,
        yours={"WORKER_ACCOUNT": _account("worker")},
    ),
    Row(
        "completion-topic-missing",
        "a-topic-that-no-line-names",
        (1, 2, ANSWERS_AS_USUAL, Take(3, page="completion-topic-misnamed"), RESEND),
        leg=Leg.COMPLETION,
        stays=True,
    ),
    Row("completions-acked-uncounted", "acked-and-not-counted", (1, 2, RESEND), leg=Leg.COMPLETION, stays=True),
    Row("completions-not-awaited", "completions-not-waited-for", (1, 2, 3, RESEND), leg=Leg.COMPLETION, stays=True),
    Row(
        "completions-not-recorded",
        "store-denies-the-coordinator",
        (1, 2, 3),
        leg=Leg.COMPLETION,
        yours={"COORDINATOR_ACCOUNT": _account("coordinator"), "ROLE": "roles/datastore.user"},
        goes_on=True,
    ),
    Row(
        "dead-letter-topic-missing",
        "crashing-and-no-dead-letter-topic",
        (1, Take(2, otherwise=True), 2, 3),
        wait="3h",
        residue=("attempts-used-up",),
    ),
    Row("dead-letters-unread", "dead-letters-are-lost", (1, 2), residue=("failed-items-awaited",)),
    Row("failed-items-awaited", "failed-items-awaited", (1, 2, wait(15), 3, 4)),
    Row("cannot-scale-fast-enough", "burst-below-the-maximum", (1, 2, 3), yours={"COUNT": "60"}, wait="40m"),
    Row("endpoint-answers-no-ack", "answers-208-and-comes-again", (1, ANSWERS_AS_USUAL)),
    Row("retries-meet-leftovers", "retries-meet-what-a-first-try-left", (1, ANSWERS_AS_USUAL, 3)),
    Row("work-after-the-response", "answers-first-and-sleeps", (1, 2, *ANEW)),
    Row("writes-fail-behind-acks", "results-lost-behind-acks", (1, FIXED, START, 2), stays=True),
    Row(
        "closed-short",
        "closed-by-hand-with-little-done",
        (1, 2, Hand(lambda incident: incident.start_again(60, body={"force": True})), 3),
    ),
    Row("gate-refuses-everything", "gate-keeps-all-back-for-low-quality", (1, 2)),
    Row(
        "publish-failing",
        "topic-hidden-and-refused",
        (
            1,
            *(Take(n, page="request-topic-missing") for n in (1, 2)),
            *(Take(n, page="subscription-not-attached") for n in (3, 4, 5)),
            3,
            *OWN,
        ),
        yours={"ACCOUNT": _account("coordinator")},
        stays=True,
    ),
    Row("schema-refuses-messages", "schema-refuses-messages", (RELAXED, 3, *OWN), stays=True),
    Row(
        "stuck-batch-blocks-start",
        "refused-for-one-that-never-began",
        (
            1,
            *(Take(n, page="subscription-not-attached") for n in (3, 4, 5)),
            Take(2, page="stale-active-batch-blocks-start"),
            3,
        ),
    ),
    # --- outcome
    Row("downstream-not-made", "february-by-date", (1, 2, MADE, 3), residue=("results-of-an-unnamed-model",)),
    Row("results-of-an-unnamed-model", "ninth-without-the-version", (1, 2, NAMES_ITS_MODEL, 3, redone(64))),
    Row("one-value-in-all-results", "all-of-one-confidence", (1, 2, FIXED, redone(70), 4)),
    Row("results-for-training-dates", "trained-on-what-it-predicts", (1, OLDER_MODEL, redone(60, "2026-01-30"), 2)),
    Row("results-missing", "closed-by-hand-and-never-merged", (1, 2, MERGED, 3), yours={"BATCH": _latest}),
    Row(
        "superseded-results-in-force",
        "both-left-in-force",
        (
            1,
            2,
            hand(
                "deploy a coordinator that takes out of force what it replaces",
                deploy={"service": "coordinator", "code": "head"},
            ),
            redone(60),
            3,
        ),
    ),
    Row("model-records-behind-manifest", "registry-behind-the-manifest", (1, 2)),
    Row("manifest-contradicts-itself", "two-models-in-production", (1, 2, MANIFEST, 3)),
    Row("model-variable-ignored", "newer-build-loads-what-lies-in-its-image", (1, 2, 3, redone(53, "2026-02-08"), 4)),
    Row(
        "wrong-model-configured",
        "variable-lost-and-default-loaded",
        (1, 2, redone(53), 3),
        yours={"NAME": models.VARIABLE, "VALUE": f"gs://{models.FOLDER}/{models.PRODUCTION}.cbm"},
    ),
    Row("results-of-another-model", "rows-of-the-model-before", (1, 2, redone(53), 3)),
    # --- drift
    Row("min-instances-lost-in-deploy", "min-instances-lost-and-cold", (1, 2), yours={"COUNT": "1"}),
    Row("newest-build-not-served", "no-traffic-on-new-revision", (1, 2)),
)
