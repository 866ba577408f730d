"""The pipelines as they are when nothing is wrong: settings and grants that leave nothing to complain about.

`predictions` is the shape of a real public pipeline (prop predictions for a night's players), `orders` a made-up one (a nightly
export of invoices) that differs in names, log format, settings and in how its batches close; `statements` is one that no profile that
comes along knows. `thumbnails` (the images that suppliers drop) is made up, too: a task queue starts its batches. `tiles` has no
coordinator and nothing that comes back; nor has `scans`, a function behind an Eventarc trigger (its subscription as public
configurations show them), but each run of it counts in a document.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from diagnostics.lab.cast import Cast
from diagnostics.lab.model import PushConfig, Revision, Service, ServiceAccount, Subscription, Topic, World

DAY = 86400.0
AGENT_ROLE = "roles/pubsub.serviceAgent"


@dataclass(frozen=True)
class Leg:
    """One leg of a default pipeline."""

    topic: str
    subscription: str
    path: str
    ack_deadline_s: float
    retry: tuple[float, float] = (10, 600)
    dead_letter_topic: str = ""
    """Empty: none is set."""
    attempts: int = 5
    push_account: str = ""
    """The account whose tokens its pushes carry; empty: that of the service that they go to."""
    retention_s: float = 7 * DAY
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shape:
    """Names and settings of a default pipeline."""

    project: str
    number: str
    region: str
    region_code: str
    url_hash: str
    coordinator: Revision | None
    worker: Revision
    """Revisions without name and creation time; `image` names repository and service. No coordinator: a script publishes from outside."""
    coordinator_account: str
    """The coordinator's, or the script's."""
    worker_account: str
    request: Leg
    completion: Leg | None
    start_path: str
    date_field: str
    mode_field: str
    default_mode: str
    image_prefix: str
    person: str
    other_topics: tuple[str, ...] = ()


PREDICTIONS = Shape(
    project="nba-props-platform",
    number="756957797294",
    region="us-west2",
    region_code="wl",
    url_hash="f7p3g7f6ya",
    coordinator=Revision(
        "prediction-coordinator",
        0,
        "",
        min_instances=1,
        max_instances=1,
        concurrency=8,
        timeout_s=1800,
        cpu="2",
        memory_mib=2048,
        startup_s=7,
        env={
            "GCP_PROJECT_ID": "nba-props-platform",
            "PREDICTION_REQUEST_TOPIC": "prediction-request-prod",
            "PREDICTIONS_TABLE": "nba_predictions.player_prop_predictions",
        },
    ),
    worker=Revision(
        "prediction-worker",
        0,
        "",
        min_instances=1,
        max_instances=50,
        concurrency=5,
        timeout_s=300,
        cpu="2",
        memory_mib=2048,
        startup_s=9,
        env={
            "GCP_PROJECT_ID": "nba-props-platform",
            "PUBSUB_READY_TOPIC": "prediction-ready-prod",
            "PREDICTIONS_TABLE": "nba_predictions.player_prop_predictions",
            "CATBOOST_V9_MODEL_PATH": "gs://nba-props-platform-models/catboost/v9/catboost_v9_33features_20260201_011018.cbm",
            "CATBOOST_VERSION": "v9",
        },
    ),
    coordinator_account="prediction-coordinator",
    worker_account="prediction-worker",
    request=Leg(
        "prediction-request-prod",
        "prediction-request-prod",
        "/predict",
        300,
        dead_letter_topic="prediction-request-dlq",
    ),
    completion=Leg(
        "prediction-ready-prod", "prediction-ready-prod-sub", "/complete", 60, dead_letter_topic="prediction-ready-dlq"
    ),
    start_path="/start",
    date_field="game_date",
    mode_field="prediction_run_mode",
    default_mode="OVERNIGHT",
    image_prefix="us-west2-docker.pkg.dev/nba-props-platform/nba-props",
    person="sam.rivera@example.com",
    other_topics=("nba-phase5-predictions-complete",),
)

ORDERS = Shape(
    project="harbor-billing-prod",
    number="418820057193",
    region="europe-west1",
    region_code="ew",
    url_hash="q2m4xk7bdq",
    coordinator=Revision(
        "invoice-coordinator",
        0,
        "",
        min_instances=1,
        max_instances=2,
        concurrency=40,
        timeout_s=600,
        memory_mib=1024,
        startup_s=3,
        env={
            "GCP_PROJECT_ID": "harbor-billing-prod",
            "QUEUE_TOPIC": "Invoice-Export-Orders",
        },
    ),
    worker=Revision(
        "invoice-exporter",
        0,
        "",
        min_instances=1,
        max_instances=20,
        concurrency=10,
        timeout_s=600,
        memory_mib=1024,
        startup_s=4,
        env={
            "GCP_PROJECT_ID": "harbor-billing-prod",
            "RECEIPT_TOPIC": "Invoice-Export-Receipts",
            "EXPORT_BUCKET": "harbor-billing-exports",
        },
    ),
    coordinator_account="invoice-coordinator",
    worker_account="invoice-exporter",
    request=Leg(
        "Invoice-Export-Orders",
        "Invoice-Export-Orders-To-Exporter",
        "/export",
        600,
        (15, 300),
        "Invoice-Export-Dead",
        10,
    ),
    completion=Leg(
        "Invoice-Export-Receipts",
        "Invoice-Export-Receipts-To-Coordinator",
        "/exported",
        30,
        (10, 120),
        "Invoice-Export-Receipts-Dead",
        10,
    ),
    start_path="/start",
    date_field="date",
    mode_field="mode",
    default_mode="nightly",
    image_prefix="europe-west1-docker.pkg.dev/harbor-billing-prod/apps",
    person="lea.brandt@example.com",
)

STATEMENTS = Shape(
    project="larch-bank-docs",
    number="902216640317",
    region="europe-north1",
    region_code="lz",
    url_hash="m5w8tzc2ra",
    coordinator=Revision(
        "statement-planner",
        0,
        "",
        min_instances=1,
        max_instances=1,
        concurrency=80,
        timeout_s=900,
        memory_mib=512,
        startup_s=2,
        env={"GCP_PROJECT_ID": "larch-bank-docs", "QUEUE_TOPIC": "render-tasks"},
    ),
    worker=Revision(
        "statement-renderer",
        0,
        "",
        min_instances=1,
        max_instances=30,
        concurrency=4,
        timeout_s=300,
        memory_mib=2048,
        startup_s=5,
        env={"GCP_PROJECT_ID": "larch-bank-docs", "RECEIPT_TOPIC": "statements-rendered"},
    ),
    coordinator_account="planner-run",
    worker_account="renderer-run",
    request=Leg("render-tasks", "render-tasks-push", "/tasks/render", 360, (10, 300), "render-tasks-parked", 8),
    completion=Leg(
        "statements-rendered", "statements-rendered-push", "/confirm", 60, (10, 60), "statements-rendered-parked", 8
    ),
    start_path="/cycles",
    date_field="date",
    mode_field="mode",
    default_mode="monthly",
    image_prefix="europe-north1-docker.pkg.dev/larch-bank-docs/services",
    person="noor.haddad@example.com",
)

THUMBNAILS = Shape(
    project="fern-catalog-media",
    number="655031774208",
    region="us-central1",
    region_code="uc",
    url_hash="k3v9pdt6wa",
    coordinator=Revision(
        "image-conductor",
        0,
        "",
        min_instances=1,
        max_instances=3,
        concurrency=20,
        timeout_s=1800,
        memory_mib=512,
        startup_s=2,
        env={"GCP_PROJECT_ID": "fern-catalog-media", "QUEUE_TOPIC": "images.to-scale"},
    ),
    worker=Revision(
        "image-scaler",
        0,
        "",
        min_instances=1,
        max_instances=25,
        concurrency=4,
        timeout_s=120,
        cpu="2",
        memory_mib=2048,
        startup_s=3,
        env={"GCP_PROJECT_ID": "fern-catalog-media", "RECEIPT_TOPIC": "images.scaled"},
    ),
    coordinator_account="conductor-run",
    worker_account="scaler-run",
    request=Leg("images.to-scale", "images.to-scale.push", "/v1/scale", 180, (10, 300), "images.to-scale.dead", 6),
    completion=Leg("images.scaled", "images.scaled.push", "/v1/scaled", 30, (5, 120), "images.scaled.dead", 6),
    start_path="/v1/drops",
    date_field="day",
    mode_field="size",
    default_mode="catalog",
    image_prefix="us-central1-docker.pkg.dev/fern-catalog-media/run",
    person="ines.okafor@example.com",
)

TILES = Shape(
    project="fjord-maps-prod",
    number="275519904386",
    region="europe-west4",
    region_code="ez",
    url_hash="k3v9qs6wna",
    coordinator=None,
    worker=Revision(
        "tile-renderer",
        0,
        "",
        min_instances=1,
        max_instances=25,
        concurrency=8,
        timeout_s=120,
        memory_mib=1024,
        startup_s=3,
        env={"GCP_PROJECT_ID": "fjord-maps-prod", "TILE_BUCKET": "fjord-maps-tiles"},
    ),
    coordinator_account="tile-publisher",
    worker_account="tile-renderer",
    request=Leg("tiles-to-render", "tiles-to-render-push", "/render", 120, (10, 300), "tiles-unrendered", 6),
    completion=None,
    start_path="",
    date_field="",
    mode_field="",
    default_mode="",
    image_prefix="europe-west4-docker.pkg.dev/fjord-maps-prod/images",
    person="iver.solberg@example.com",
)

SCANS = Shape(
    project="linden-claims-prod",
    number="640117702954",
    region="us-central1",
    region_code="uc",
    url_hash="p4d7yw3mla",
    coordinator=None,
    worker=Revision(
        "read-scan",
        0,
        "",
        min_instances=1,
        max_instances=100,
        concurrency=2,
        timeout_s=540,
        memory_mib=1024,
        startup_s=4,
        env={"GCP_PROJECT_ID": "linden-claims-prod", "FUNCTION_TARGET": "read_scan"},
    ),
    coordinator_account="scan-intake",
    worker_account="scan-reader",
    request=Leg(
        "scans-to-read",
        "eventarc-us-central1-read-scan-418266-sub-731",
        "?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Flinden-claims-prod%2Ftopics%2Fscans-to-read",
        600,
        push_account="eventarc-trigger",
        retention_s=DAY,
        labels=(("goog-eventarc", ""),),
    ),
    completion=None,
    start_path="",
    date_field="",
    mode_field="",
    default_mode="",
    image_prefix="us-central1-docker.pkg.dev/linden-claims-prod/gcf-artifacts",
    person="dana.whitlock@example.com",
)

SHAPES = {
    "predictions": PREDICTIONS,
    "orders": ORDERS,
    "statements": STATEMENTS,
    "thumbnails": THUMBNAILS,
    "tiles": TILES,
    "scans": SCANS,
}


def healthy(dialect: str, rng: random.Random, since: float) -> tuple[World, Cast]:
    """The world and the names of a healthy pipeline that was last deployed some days before `since`."""
    shape = SHAPES[dialect]
    world = World(shape.project, shape.number, shape.region, shape.region_code)
    world.policy.add(AGENT_ROLE, f"serviceAccount:{world.pubsub_agent}")
    own = (shape.request.push_account,) if shape.request.push_account else ()
    for name in (shape.coordinator_account, shape.worker_account, "batch-scheduler", "deployer", *own):
        email = _email(shape, name)
        world.accounts[email] = ServiceAccount(email, str(rng.randrange(10**20, 2 * 10**20)))
    for account in (shape.coordinator_account, shape.worker_account):
        world.policy.add("roles/datastore.user", f"serviceAccount:{_email(shape, account)}")
    for email in (_email(shape, "deployer"), shape.person):
        member = f"serviceAccount:{email}" if email.endswith("gserviceaccount.com") else f"user:{email}"
        world.policy.add("roles/run.admin", member)
        world.policy.add("roles/pubsub.admin", member)
    coordinator = shape.coordinator
    if coordinator:
        _service(world, shape, coordinator, shape.coordinator_account, rng, since)
    _service(world, shape, shape.worker, shape.worker_account, rng, since)
    _leg(world, shape, shape.request, shape.coordinator_account, shape.worker_account, shape.worker.name, since)
    if coordinator and shape.completion:
        _leg(world, shape, shape.completion, shape.worker_account, shape.coordinator_account, coordinator.name, since)
    if coordinator:
        scheduler = f"serviceAccount:{_email(shape, 'batch-scheduler')}"
        world.services[coordinator.name].policy.add("roles/run.invoker", scheduler)
        world.services[coordinator.name].policy.add("roles/run.invoker", f"user:{shape.person}")
    for topic in shape.other_topics:
        world.topics[topic] = Topic(topic)
        world.topics[topic].policy.add(
            "roles/pubsub.publisher", f"serviceAccount:{_email(shape, shape.coordinator_account)}"
        )
        world.subscriptions[f"{topic}-sub"] = Subscription(
            f"{topic}-sub", topic, expiration_s=None, created=since - 200 * DAY
        )
    return world, _cast(shape)


def _leg(world: World, shape: Shape, leg: Leg, publisher: str, pusher: str, service: str, since: float) -> None:
    """Topic, push subscription, dead-letter topic with its own subscription, and all the grants they need."""
    agent = f"serviceAccount:{world.pubsub_agent}"
    topic = world.topics[leg.topic] = Topic(leg.topic)
    topic.policy.add("roles/pubsub.publisher", f"serviceAccount:{_email(shape, publisher)}")
    if leg.dead_letter_topic:
        dead = world.topics[leg.dead_letter_topic] = Topic(leg.dead_letter_topic)
        dead.policy.add("roles/pubsub.publisher", agent)
    url = world.urls(world.services[service])[0]
    account = _email(shape, leg.push_account or pusher)
    subscription = world.subscriptions[leg.subscription] = Subscription(
        leg.subscription,
        leg.topic,
        PushConfig(url + leg.path, account, url),
        ack_deadline_s=leg.ack_deadline_s,
        retry=leg.retry,
        dead_letter_topic=leg.dead_letter_topic,
        max_delivery_attempts=leg.attempts,
        retention_s=leg.retention_s,
        expiration_s=None,
        created=since - 200 * DAY,
        labels=dict(leg.labels),
    )
    subscription.policy.add("roles/pubsub.subscriber", agent)
    world.services[service].policy.add("roles/run.invoker", f"serviceAccount:{account}")
    world.accounts[account].policy.add("roles/iam.serviceAccountTokenCreator", agent)
    if not leg.dead_letter_topic:
        return
    parked = f"{leg.dead_letter_topic}-sub"
    world.subscriptions[parked] = Subscription(
        parked, leg.dead_letter_topic, ack_deadline_s=60, expiration_s=None, created=since - 200 * DAY
    )


def _service(world: World, shape: Shape, model: Revision, account: str, rng: random.Random, since: float) -> None:
    """A service with the revision that serves and the one before it, some days old."""
    service = Service(model.name, shape.region, shape.url_hash, traffic=[("", 100, "")], created=since - 300 * DAY)
    number = rng.randrange(20, 160)
    for age in (rng.uniform(20, 40), rng.uniform(9, 15)):
        number += 1
        commit = f"{rng.randrange(16**7):07x}"
        service.revisions.append(
            Revision(
                name=revision_name(model.name, number, rng),
                created=since - age * DAY,
                image=f"{shape.image_prefix}/{model.name}@sha256:{rng.randrange(16**64):064x}",
                min_instances=model.min_instances,
                max_instances=model.max_instances,
                concurrency=model.concurrency,
                timeout_s=model.timeout_s,
                cpu=model.cpu,
                memory_mib=model.memory_mib,
                account=_email(shape, account),
                env={**model.env, "BUILD_COMMIT": commit},
                startup_s=model.startup_s,
                labels={"commit-sha": commit},
            )
        )
    service.updated = service.revisions[-1].created
    world.services[model.name] = service


def revision_name(service: str, number: int, rng: random.Random) -> str:
    """SERVICE-00123-abc, as Cloud Run names revisions."""
    return f"{service}-{number:05d}-{''.join(rng.choices(string.ascii_lowercase, k=3))}"


def _cast(shape: Shape) -> Cast:
    back = shape.completion
    legs = {"request": shape.request} | ({"completion": back} if back else {})
    dead = {"dead_letter": shape.request} | ({"completion_dead_letter": back} if back else {})
    dead = {alias: leg for alias, leg in dead.items() if leg.dead_letter_topic}
    publisher = _email(shape, shape.coordinator_account)
    return Cast(
        coordinator=shape.coordinator.name if shape.coordinator else "",
        worker=shape.worker.name,
        topics={alias: leg.topic for alias, leg in legs.items()}
        | {alias: leg.dead_letter_topic for alias, leg in dead.items()},
        subscriptions={alias: leg.subscription for alias, leg in legs.items()}
        | {alias: f"{leg.dead_letter_topic}-sub" for alias, leg in dead.items()},
        accounts=({"coordinator": publisher} if shape.coordinator else {})
        | {
            "publisher": publisher,
            "worker": _email(shape, shape.worker_account),
            "pusher": _email(shape, shape.request.push_account or shape.worker_account),
            "scheduler": _email(shape, "batch-scheduler"),
            "ci": _email(shape, "deployer"),
            "person": shape.person,
        },
        start_path=shape.start_path,
        date_field=shape.date_field,
        mode_field=shape.mode_field,
        default_mode=shape.default_mode,
    )


def _email(shape: Shape, name: str) -> str:
    return f"{name}@{shape.project}.iam.gserviceaccount.com"
