"""What a load balancer logged of the pushes that it takes for a receiver: of endpoints at a domain of their own.

Fields as on Google's logging pages of the global and the regional external Application Load Balancer: the global one says in
`statusDetails` who answered and why, the regional one in `proxyStatus`, empty where the answer came from behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from diagnostics.evidence.model import ACKED, PUSHERS, BalancedRow, BalancerLog, SubscriptionConfig, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Window
from diagnostics.sources.entries import began, both, field, latency_s, one_of, quoted
from diagnostics.sources.route import of_own_domain
from diagnostics.sources.search import log_provenance, search, still_kept
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session

BALANCERS = ("http_load_balancer", "http_external_regional_lb_rule")
"""Resource types of the external Application Load Balancers; Pub/Sub reaches no internal one."""
SAMPLED = "a load balancer logs as many requests as its backend service says, or none"


def balancer_log(
    session: Session, pipeline: PipelineProfile, config: SubscriptionConfig | Unseen, window: Window
) -> BalancerLog:
    """Raises NotSeen where the pushes go to an address that Google made, or nothing tells where they go."""
    settings = None if isinstance(config, Unseen) else config.settings
    endpoint = urlsplit(settings.push_endpoint if settings else "")
    host = (endpoint.hostname or "").lower()
    if not host or not of_own_domain(host):
        raise NotSeen(Why.NOT_ASKED, "the pushes are not known to go to a domain of the project's own")
    clause, places = (
        both(
            one_of("resource.type", BALANCERS),
            f"httpRequest.requestUrl:{quoted(f'://{host}')}",
            'httpRequest.requestMethod="POST"',
            "httpRequest.status>=200",
        ),
        pipeline.log_places,
    )
    read = search(session, places, clause, window.since, window.until, leaves=Leaves.WHY)
    found = still_kept(session, window.since, window.until, read)
    found = found._replace(note="; ".join(filter(None, (found.note, SAMPLED))))
    return BalancerLog(
        source=log_provenance(session, "load balancer log", places, clause, (window.since, window.until), found),
        host=host,
        rows=_pushes(found.items, host, endpoint.path or "/"),
    )


def _pushes(found: Iterable[Any], host: str, path: str) -> tuple[BalancedRow, ...]:
    """Refused pushes: those with the user agent of pushes where any has it."""
    here = [e for e in found if _called(e) == (host, path)]
    known = [e for e in here if any(name in e.http_request.user_agent for name in PUSHERS)]
    refused = (e for e in known or here if e.http_request.status not in ACKED)
    return tuple(sorted((_row(e) for e in refused), key=lambda row: row.at))


def _called(entry: Any) -> tuple[str, str]:
    """Host and path, the query left out: it may hold a key."""
    url = urlsplit(entry.http_request.request_url)
    return (url.hostname or "").lower(), url.path or "/"


def _row(entry: Any) -> BalancedRow:
    denied = field(entry, "jsonPayload.enforcedSecurityPolicy.outcome") == "DENY"
    return BalancedRow(
        at=began(entry),
        method=entry.http_request.request_method,
        status=entry.http_request.status,
        latency_s=latency_s(entry),
        user_agent=redact(entry.http_request.user_agent, 120),
        details=redact(field(entry, "jsonPayload.statusDetails") or field(entry, "jsonPayload.proxyStatus"), 120),
        policy=redact(field(entry, "jsonPayload.enforcedSecurityPolicy.name"), 80) if denied else "",
        backend=redact(entry.resource.labels.get("backend_service_name", ""), 80),
    )
