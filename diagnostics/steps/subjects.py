"""Which resource a finding is about. What has no name, or none that is known, is no subject."""

from __future__ import annotations

from diagnostics.evidence.model import By, Leg, SubscriptionConfig, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.steps.finding import ResourceKind, Subject
from diagnostics.steps.words import short


def project_of(resource: str) -> Subject | None:
    """The project of a resource that is given by its full name: projects/P/…"""
    collection, _, rest = resource.partition("/")
    return _subject(ResourceKind.PROJECT, rest.partition("/")[0]) if collection == "projects" else None


def topic(name: str) -> Subject | None:
    return _subject(ResourceKind.TOPIC, name)


def subscription(name: str) -> Subject | None:
    return _subject(ResourceKind.SUBSCRIPTION, name)


def service(name: str) -> Subject | None:
    return _subject(ResourceKind.SERVICE, name)


def revision(name: str) -> Subject | None:
    return _subject(ResourceKind.REVISION, name)


def account(address: str) -> Subject | None:
    return _subject(ResourceKind.ACCOUNT, address)


def batch(name: str) -> Subject | None:
    return _subject(ResourceKind.BATCH, name)


def response_class(name: str) -> Subject | None:
    """Pushes that Pub/Sub counts under this `response_class`."""
    return _subject(ResourceKind.ANSWERS, name)


def answer(status: int | str, by: By) -> Subject | None:
    """Answers with this status by this hand."""
    return _subject(ResourceKind.ANSWERS, f"{status} {by.value}")


def pushing(profile: PipelineProfile, leg: Leg) -> Subject | None:
    """The subscription of the leg, as the profile names it."""
    named = profile.leg(leg)
    return subscription(named.subscription) if named else None


def configured(found: SubscriptionConfig | Unseen) -> Subject | None:
    """The subscription that was read, if it is there."""
    settings = None if isinstance(found, Unseen) else found.settings
    return subscription(settings.name) if settings else None


def receiving(profile: PipelineProfile, leg: Leg) -> Subject | None:
    """The service that takes the leg's pushes, as the profile names it."""
    return service((profile.worker if leg is Leg.REQUEST else profile.coordinator).service)


def _subject(kind: ResourceKind, name: str) -> Subject | None:
    named = short(name) if kind is not ResourceKind.ACCOUNT else name
    return Subject(kind, named) if named else None
