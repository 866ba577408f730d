"""Live calls of a receiving service's health path. Only when the caller asked for them and announced them."""

from __future__ import annotations

from diagnostics.evidence.model import (
    Leg,
    LiveCall,
    LiveHealth,
    LiveStart,
    ServiceConfig,
    SubscriptionConfig,
    Unseen,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import command
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import ID_TOKEN
from diagnostics.transport.session import Session
from diagnostics.transport.web import get

TIMED = r"%{http_code} %{time_total}\n"
"""What curl tells of a call: its status, and how long it took."""
REPEATS = 3
"""Calls that measure a start: the first, and two on what should then be a warm instance."""


def not_wanted(why: str = "") -> dict[tuple[type, Leg | None], Unseen]:
    """What stands for live calls in a run that makes none, for a reason if there is one beside not being asked for."""
    says, mend = why or "live calls were not asked for", "" if why else "add --live"
    return {
        (kind, leg): Unseen(what=kind.__name__, leg=leg, why=Why.NOT_ASKED, says=says, mend=mend)
        for kind in (LiveHealth, LiveStart)
        for leg in Leg
    }


def live_health(
    session: Session, pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig, service: ServiceConfig
) -> LiveHealth:
    url = _health_url(pipeline, leg, service)
    anonymous = _call(session, url, "")
    minting = ""
    try:
        authenticated = _call(session, url, _push_token(session, config))
    except NotSeen as failed:
        authenticated, minting = None, failed.says
    return LiveHealth(
        source=provenance(session, "live call", url, command("curl -si {url}", url=url)),
        anonymous=anonymous,
        authenticated=authenticated,
        minting=minting,
    )


def live_start(
    session: Session, pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig, service: ServiceConfig
) -> LiveStart:
    url = _health_url(pipeline, leg, service)
    token = minting = ""
    try:
        token = _push_token(session, config)
    except NotSeen as failed:
        minting = "" if failed.why is Why.NOT_CONFIGURED else failed.says
    calls = tuple(_call(session, url, token) for _ in range(REPEATS))
    by_hand = command("for i in 1 2 3; do curl -so /dev/null -w {form} {url}; done", form=TIMED, url=url)
    return LiveStart(source=provenance(session, "live call", url, by_hand), calls=calls, minting=minting)


def _health_url(pipeline: PipelineProfile, leg: Leg, service: ServiceConfig) -> str:
    if service.settings is None:
        raise NotSeen(Why.DEPENDS, f"the service {service.name} does not exist")
    named = pipeline.worker if leg is Leg.REQUEST else pipeline.coordinator
    return service.settings.uri.rstrip("/") + named.health_path


def _push_token(session: Session, config: SubscriptionConfig) -> str:
    """A token as Pub/Sub mints it for this subscription: of the push account, for the effective audience. Raises NotSeen."""
    settings = config.settings
    if settings is None or not settings.push_account:
        raise NotSeen(Why.NOT_CONFIGURED, "the subscription names no push account")
    request = {
        "name": f"projects/-/serviceAccounts/{settings.push_account}",
        "audience": settings.effective_audience,
        "include_email": True,
    }
    try:
        return str(call(session, ID_TOKEN, request).token)
    except NotThere as error:
        raise NotSeen(Why.FAILED, f"the account {settings.push_account} does not exist") from error


def _call(session: Session, url: str, token: str) -> LiveCall:
    answer = get(session, url, {"Authorization": f"Bearer {token}"} if token else {}, session.allowance())
    return LiveCall(
        at=session.now, status=answer.status, latency_s=round(answer.latency_s, 3), text=redact(answer.text, 300)
    )
