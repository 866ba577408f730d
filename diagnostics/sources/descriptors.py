"""How late metrics are, read from their own descriptors: what a check after a deploy has to wait for."""

from __future__ import annotations

from diagnostics.evidence.model import MetricDelays, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import command
from diagnostics.sources.series import PUBSUB, RUN
from diagnostics.transport.call import NotThere, pages
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import LIST_DESCRIPTORS
from diagnostics.transport.session import Session

TRAFFIC = frozenset(
    {
        f"{PUBSUB}/topic/message_sizes",
        f"{PUBSUB}/topic/send_request_count",
        f"{PUBSUB}/subscription/push_request_count",
        f"{PUBSUB}/subscription/ack_message_count",
        f"{PUBSUB}/subscription/num_undelivered_messages",
        f"{PUBSUB}/subscription/num_outstanding_messages",
        f"{PUBSUB}/subscription/oldest_unacked_message_age",
        f"{PUBSUB}/subscription/dead_letter_message_count",
        f"{PUBSUB}/subscription/delivery_latency_health_score",
        f"{RUN}/request_count",
        f"{RUN}/request_latencies",
        f"{RUN}/request_latency/pending",
        f"{RUN}/container/instance_count",
        f"{RUN}/container/startup_latencies",
    }
)
"""The metrics that a judgement on traffic rests on."""


def metric_delays(session: Session, pipeline: PipelineProfile) -> MetricDelays:
    name = f"projects/{pipeline.project}"
    found = []
    queries = [f'metric.type = starts_with("{prefix}/")' for prefix in (PUBSUB, RUN)]
    for query in queries:
        try:
            found.append(pages(session, LIST_DESCRIPTORS, {"name": name, "filter": query}, "metric_descriptors"))
        except NotThere as error:
            raise NotSeen(Why.FAILED, f"Cloud Monitoring does not know {name}: {error}") from error
    ours = [d for listed in found for d in listed.items if d.type in TRAFFIC]
    if not ours:
        raise NotSeen(Why.FAILED, "Cloud Monitoring describes none of the metrics of Pub/Sub and Cloud Run")
    ours_are = f"filter=metric.type%3Dstarts_with(%22{PUBSUB}/%22)"
    url = f"https://monitoring.googleapis.com/v3/{name}/metricDescriptors?{ours_are}"
    return MetricDelays(
        source=provenance(
            session,
            "metric descriptors",
            "\n".join(queries),
            command('curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" {url}', url=url),
        ),
        ingest_s={d.type: float(d.metadata.ingest_delay.seconds) for d in ours},
        sample_s={d.type: float(d.metadata.sample_period.seconds) for d in ours},
    )
