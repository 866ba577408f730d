"""What turns every push away before sign-in is asked for, or takes sign-in upon itself?"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import ServiceSettings, Stage, SubscriptionSettings
from diagnostics.readings.admission import Way
from diagnostics.readings.grants import Grant, Held
from diagnostics.readings.passage import Passage
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Kind, Telling
from diagnostics.steps.push_auth.judged import Wrong, cannot_tell, judged, serving
from diagnostics.steps.tells import Mended

INGRESS = Telling(
    "push_auth.ingress",
    Stage.DELIVERED,
    "the service's ingress does not admit the push",
    Kind.MECHANISM,
    tells=Mended,
)
DEFAULT_URL = Telling(
    "push_auth.default_url",
    Stage.DELIVERED,
    "the service's default URL, to which pushes go, is switched off",
    Kind.MECHANISM,
    tells=Mended,
)
IAP = Telling(
    "push_auth.iap",
    Stage.DELIVERED,
    "Identity-Aware Proxy stands in front of the service",
    Kind.MECHANISM,
    tells=Mended,
)
Closed = list[tuple[Telling[Mended], str, tuple[str, ...]]]


def what_closes(settings: SubscriptionSettings, target: ServiceSettings) -> Closed:
    """What refuses every push before sign-in is asked for, each in a sentence, with the words by which a change names it."""
    closed: Closed = []
    if target.default_uri_disabled and ".run.app" in settings.push_endpoint:
        says = f"the default URL of {target.name} is switched off: pushes get a 404 that no log shows"
        closed.append((DEFAULT_URL, says, ("defaulturi", "default-url")))
    if target.ingress == "none":
        closed.append((INGRESS, f"ingress of {target.name} admits nobody", ("ingress",)))
    return closed


def shut_out(case: Passage, target: ServiceSettings, closed: Closed) -> Iterator[Finding]:
    about, subject = serving(target), subjects.service(target.name)
    for code, says, words in closed:
        since = case.changed(about, words, Way.UNLOGGED)
        yield from judged(case, Wrong(code, says, ("ServiceConfig",), about, subject, (Way.UNLOGGED,), since=since))


def _by_cloud_run(case: Passage) -> bool:
    """Whether the refusals that go on have a sentence of Cloud Run in its log, which those of the proxy have not."""
    turned = [case.door.turned.get(way) for way in (Way.UNAUTHORIZED, Way.FORBIDDEN)]
    texts = [t.text for t in turned if t and not t.over]
    return bool(texts) and all(any(own in text for own in _CLOUD_RUN_SAYS) for text in texts)


_CLOUD_RUN_SAYS = ("was not authenticated", "does not have permission")
"""Of the sentences that Cloud Run's request log has for 401 and 403 (troubleshooting page)."""


def proxy(case: Passage, target: ServiceSettings, project: str) -> Iterator[Finding]:
    """The proxy wants a client id of its own as audience, and a grant that is not read: only what it does can be told. Whoever it lets in
    comes to Cloud Run as the proxy's own service account: what Cloud Run says in its own words, it says to that one."""
    says = f"Identity-Aware Proxy stands in front of {target.name} and wants its own client id as the token's audience"
    about, subject = serving(target), subjects.service(target.name)
    if case.stops(Way.UNAUTHORIZED, Way.FORBIDDEN) and _by_cloud_run(case):
        why = "Cloud Run itself turns away what comes through the proxy, whose own service account may lack the right to call"
        tells = command(
            "gcloud run services get-iam-policy {service} --region={region} --project={project}",
            service=target.name,
            region=target.region,
            project=project,
        )
        settled = Grant(Held.UNKNOWN, f"{says}; {why}", "ServicePolicy", settled_by=tells)
        yield cannot_tell(case, subject, "who turns the pushes away could not be told", settled)
    elif case.stops(Way.UNAUTHORIZED, Way.FORBIDDEN):
        since = case.changed(about, ("iap",), Way.UNAUTHORIZED, Way.FORBIDDEN)
        ways = (Way.UNAUTHORIZED, Way.FORBIDDEN)
        yield from judged(case, Wrong(IAP, says, ("ServiceConfig",), about, subject, ways, since=since))
    elif not case.vouched or case.untried(about, ("iap",)):
        yield cannot_tell(
            case, subject, "whether the push account gets in could not be told", Grant(Held.UNKNOWN, says)
        )
