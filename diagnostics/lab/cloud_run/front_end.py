"""What Google's front end decides about a request before any container sees it.

Order and texts: cloud.google.com/run/docs/troubleshooting (401, 403, silent 404), custom audiences and ingress pages.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from diagnostics.lab.http import Request, Token
from diagnostics.lab.model import Service, World
from diagnostics.lab.rights import INVOKE, holds
from diagnostics.lab.unverified import Unverified

NOT_AUTHENTICATED = "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header."
READ_MORE = " Read more at https://cloud.google.com/run/docs/securing/authenticating"
FORBIDDEN = "Forbidden: Your client does not have permission to get URL from this server."
GOOGLE_INTERNAL = ("Google-Cloud-Scheduler", "Google-Cloud-Tasks")
"""User agents that internal ingress admits beside Pub/Sub pushes of the same project."""


@dataclass(frozen=True)
class Refusal:
    """An answer without a container."""

    status: int
    text: str
    """Text of the request log entry; empty with logged = False."""
    body: bytes
    logged: bool = True


@dataclass(frozen=True)
class Address:
    """The service that a host names, by its own URL or by a traffic tag."""

    service: Service
    tag: str = ""


def locate(world: World, host: str) -> Address | None:
    """Find the service behind a run.app host, tag URLs read TAG---HOST, or behind a load balancer's."""
    balancer = world.balancers.get(host)
    if balancer is not None:
        behind = world.services.get(balancer.service)
        return Address(behind) if behind else None
    tag, dashes, base = host.partition("---")
    if not dashes:
        tag, base = "", host
    for service in world.services.values():
        hashed, numbered = world.urls(service)
        if base == host_of(hashed) or base == host_of(numbered):
            return Address(service, tag)
    return None


@lru_cache(1024)
def host_of(url: str) -> str | None:
    """Host of a URL: each push asks for the same few."""
    return urlsplit(url).hostname


@dataclass(frozen=True)
class Sentences:
    """Which of the documented sentences the request log gets; the pages name several for one cause."""

    audience: str
    lacks_invoker: str

    @classmethod
    def draw(cls, unverified: Unverified, rng: random.Random) -> Sentences:
        either = rng.choice([FORBIDDEN, NOT_AUTHENTICATED + READ_MORE])
        return cls(unverified.audience_text + READ_MORE, unverified.invoker_text or either)


def check(world: World, sentences: Sentences, service: Service, request: Request, now: float) -> Refusal | None:
    """Default URL, ingress, IAP, then invoker IAM. None: the request goes on to a revision."""
    shut = service.default_uri_disabled and request.host not in world.balancers
    if shut or not _ingress_admits(world, service, request):
        return NOT_FOUND
    if service.iap:
        return Refusal(401, "", b"Invalid IAP credentials: empty token")
    if service.invoker_iam_disabled or _invokes(world, service, "allUsers", now):
        return None
    if request.token is None:
        return Refusal(403, NOT_AUTHENTICATED + READ_MORE, _page(403, request.path))
    if not _accepted(world, service, request.token) or request.token.expires <= now:
        return Refusal(401, sentences.audience, _page(401, request.path))
    if not _invokes(world, service, _member(request.token.email), now):
        return Refusal(403, sentences.lacks_invoker, _page(403, request.path))
    return None


def _page(status: int, path: str) -> bytes:
    title = {401: "Unauthorized", 403: "Forbidden", 404: "Page not found"}[status]
    says = f"Your client does not have permission to get URL <code>{path}</code> from this server."
    return f"<html><head><title>{status} {title}</title></head><body><h1>Error: {title}</h1><h2>{says}</h2></body></html>".encode()


NOT_FOUND = Refusal(404, "", b"<html><head><title>404 Page not found</title></head></html>", logged=False)
"""No such service, its default URL off, or ingress closed: nothing of it is in Cloud Logging."""


def _ingress_admits(world: World, service: Service, request: Request) -> bool:
    if request.host in world.balancers:
        return service.ingress in ("all", "internal-and-cloud-load-balancing")
    if service.ingress == "all":
        return True
    return service.ingress != "none" and (request.from_pubsub or request.user_agent.startswith(GOOGLE_INTERNAL))


def _accepted(world: World, service: Service, token: Token) -> bool:
    """The audience must be one of the service's URLs (hosts are compared, never a tag's) or a custom audience exactly."""
    if token.audience in service.custom_audiences:
        return True
    audience = urlsplit(token.audience)
    return audience.scheme == "https" and host_of(token.audience) in map(host_of, world.urls(service))


def _invokes(world: World, service: Service, member: str, now: float) -> bool:
    return holds(world, member, INVOKE, service.policy, now)


def _member(email: str) -> str:
    return f"{'serviceAccount' if email.endswith('gserviceaccount.com') else 'user'}:{email}"
