"""Who answered a request to a Cloud Run service, by what its request log says of it.

An instance in the entry does not tell it: Cloud Run ends requests that a container had taken, too, and names that container. What
tells it is the sentence: the request log has one only where Google answered itself (Cloud Run troubleshooting page).
"""

from __future__ import annotations

import re
from enum import StrEnum

ACKED = frozenset({102, 200, 201, 202, 204})
"""Answers that Pub/Sub takes for an acknowledgement; every other one, 203 and 206 among them, is a refusal (push page)."""


class By(StrEnum):
    """Whose answer it is."""

    FRONT_END = "front_end"
    """Google's front end: sign-in, ingress, no such service."""
    CLOUD_RUN = "cloud_run"
    """Cloud Run itself: no instance, none that starts, one that went away or took too long."""
    APPLICATION = "application"
    BALANCER = "balancer"
    """A load balancer before the receiver: its security policy, Identity-Aware Proxy, or for want of an answer from behind it."""
    BACKEND = "backend"
    """Whatever is behind a load balancer, which does not tell a program from Cloud Run before it."""


class Ended(StrEnum):
    """How Cloud Run ended a request itself."""

    NO_INSTANCE = "no_instance"
    QUOTA = "quota"
    """No instance could be started: a quota of the project in that region (CPU, memory, GPU of Cloud Run) is used up."""
    NOT_STARTED = "not_started"
    """The instance that was to take it did not start, or did not get ready."""
    BROKEN = "broken"
    """The instance answered nothing that is HTTP, or went away over the request."""
    MEMORY = "memory"
    TIMED_OUT = "timed_out"
    """The request took longer than the service's request timeout."""


SENTENCES: tuple[tuple[str, Ended], ...] = (
    ("no available instance", Ended.NO_INSTANCE),
    ("maximum container instance limit", Ended.NO_INSTANCE),
    ("project exceeded its quota limit", Ended.QUOTA),
    ("could not start successfully", Ended.NOT_STARTED),
    ("failed the readiness check", Ended.NOT_STARTED),
    ("too much memory", Ended.MEMORY),
    ("maximum request timeout", Ended.TIMED_OUT),
    ("malformed or connection to the instance", Ended.BROKEN),
)
"""Parts of Cloud Run's own sentences: from its troubleshooting page; "failed the readiness check" and "project exceeded its quota limit"
from public reports, which Google's pages do not have. How the page's "maximum number of instances" is worded in a log no report shows."""


def ended(status: int, instance: str, text: str) -> Ended | None:
    """How Cloud Run ended it, where it was Cloud Run that did and the entry tells how."""
    for part, how in SENTENCES:
        if part in text:
            return how
    return Ended.NO_INSTANCE if status == 429 and not instance else None


def answered_by(status: int, instance: str, text: str) -> By:
    """Who answered. Without an instance and without a sentence, what is no server error is the front end's."""
    if ended(status, instance, text) is not None:
        return By.CLOUD_RUN
    if instance:
        return By.CLOUD_RUN if text and status >= 400 else By.APPLICATION
    return By.CLOUD_RUN if status >= 500 else By.FRONT_END


def reached(status: int, instance: str, text: str) -> bool:
    """Whether a program took the request, whoever answered it in the end."""
    return bool(instance) and ended(status, instance, text) not in (Ended.NO_INSTANCE, Ended.QUOTA, Ended.NOT_STARTED)


PASSED_ON = "response_sent_by_backend"
"""The `statusDetails` of an answer that came from behind the load balancer (global external Application Load Balancer, logging page)."""
IN_CACHE = "response_from_cache"


class Death(StrEnum):
    """How a container went away."""

    EXITED = "exited"
    SIGNAL = "signal"
    MEMORY = "memory"
    NOT_STARTED = "not_started"
    UNHEALTHY = "unhealthy"
    """Cloud Run shut it down because its liveness probe failed."""
    HUNG = "hung"
    """Its own process manager killed a worker that did not answer in time."""


DEATHS: tuple[tuple[re.Pattern[str], Death], ...] = (
    (re.compile(r"Memory limit of"), Death.MEMORY),
    (re.compile(r"Container called exit\((?!0\))"), Death.EXITED),
    (re.compile(r"Container terminated on signal (?!15\b)"), Death.SIGNAL),
    (re.compile(r"Uncaught signal:? (?!15\b)"), Death.SIGNAL),
    (re.compile(r"LIVENESS .*fail|instance has been shut down", re.S), Death.UNHEALTHY),
    (re.compile(r"STARTUP .*fail", re.S), Death.NOT_STARTED),
    (re.compile(r"could not start successfully|failed the readiness check|failed to boot"), Death.NOT_STARTED),
    (re.compile(r"WORKER TIMEOUT"), Death.HUNG),
)
"""Lines that tell of it: Cloud Run's troubleshooting and logging pages, gunicorn's own words. An exit with 0 and signal 15 are how a
container goes that is no longer needed."""


def death(text: str) -> Death | None:
    """How a container went away, where this line tells that one did and should not have."""
    return next((how for pattern, how in DEATHS if pattern.search(text)), None)
