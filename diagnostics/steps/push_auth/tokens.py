"""Do pushes carry a token, and one that is meant for this service?"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import ServiceSettings, Stage, SubscriptionSettings
from diagnostics.readings.addresses import TAG, host_of, is_own
from diagnostics.readings.admission import Way
from diagnostics.readings.grants import Grant
from diagnostics.readings.passage import About, Passage
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Kind, Telling
from diagnostics.steps.push_auth.judged import TOKEN_LIFE, Wrong, cannot_tell, judged, pushing
from diagnostics.steps.tells import Mended

NO_TOKEN = Telling(
    "push_auth.no_token",
    Stage.DELIVERED,
    "pushes carry no token and the service wants one",
    Kind.MECHANISM,
    tells=Mended,
)
AUDIENCE = Telling(
    "push_auth.audience",
    Stage.DELIVERED,
    "the service does not accept the token's audience",
    Kind.MECHANISM,
    tells=Mended,
)


def no_token(
    case: Passage, settings: SubscriptionSettings, target: ServiceSettings, public: Grant
) -> Iterator[Finding]:
    if public.unknown:
        if not case.vouched:
            says = f"pushes carry no token, and whether {target.name} wants one could not be told"
            yield cannot_tell(case, subjects.service(target.name), says, public)
        return
    says = f"{target.name} wants a signed-in caller and pushes carry no token"
    about = pushing(settings)
    since = case.changed(about, ("push", "oidc"), Way.FORBIDDEN)
    rests = ("SubscriptionConfig", "ServicePolicy")
    subject = subjects.subscription(settings.name)
    yield from judged(case, Wrong(NO_TOKEN, says, rests, about, subject, (Way.FORBIDDEN, Way.UNLOGGED), since=since))


def audience(case: Passage, settings: SubscriptionSettings, target: ServiceSettings) -> Iterator[Finding]:
    if _accepts(target, settings.effective_audience, strict=case.lasts(case.door.turned.get(Way.UNAUTHORIZED))):
        return
    about = pushing(settings)
    url = f" ({target.uri})" if target.uri else ""
    yield from judged(
        case,
        Wrong(
            AUDIENCE,
            f"audience {settings.effective_audience} is neither a URL of {target.name}{url} nor a custom audience",
            ("SubscriptionConfig", "ServiceConfig"),
            About(about.resources | {f"services/{target.name}"}),
            subjects.subscription(settings.name),
            (Way.UNAUTHORIZED, Way.UNLOGGED),
            keeps=TOKEN_LIFE,
            since=case.changed(about, ("audience",), Way.UNAUTHORIZED),
        ),
    )


def _accepts(target: ServiceSettings, audience: str, strict: bool) -> bool:
    """Whether Cloud Run takes this audience: a URL of the service, or a custom audience to the letter.

    Google's pages do not say whether a URL with a path is taken (the default audience is one): it is given the benefit of the
    doubt until a token was refused as unverifiable (strict).
    """
    if audience in target.custom_audiences:
        return True
    host, _, path = audience.removeprefix("https://").partition("/")
    own = TAG not in host and is_own(target, host_of(audience))
    return audience.startswith("https://") and own and not (strict and path)
