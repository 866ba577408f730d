"""What a status endpoint says of one batch: the coordinator's, the only call to a service that a passive run makes, or another's."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import quote

from msgspec import Struct

from diagnostics.evidence.model import BatchStatus, Leg, ServiceConfig, ServiceSettings, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Auth, BatchStateProfile, PipelineProfile
from diagnostics.shell.commands import command, noted
from diagnostics.sources.batch_state.told import status_of
from diagnostics.sources.cloud_run import config_of
from diagnostics.sources.route import Services
from diagnostics.transport.provenance import provenance
from diagnostics.transport.session import Session
from diagnostics.transport.web import Answer, get, identity_token

ELSEWHERE = 'name in the profile where it is kept: [[batch_state]] with kind = "firestore" or "command"'
NAMED = "say where it is asked: url in [batch_state]"
REDIRECTS = (301, 302, 303, 307, 308)


class CoordinatorUrl(Struct, frozen=True, kw_only=True):
    """The coordinator's main URL, without a path, and who gets in there."""

    per_leg: ClassVar[bool] = False
    url: str
    """Empty: it has none, its default URL is switched off."""
    name: str = ""
    ingress: str = "all"


def coordinator_url(
    session: Session,
    pipeline: PipelineProfile,
    services: Services,
    config: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
) -> CoordinatorUrl:
    if isinstance(config, Unseen):
        if services.coordinator is None or pipeline.completion is not None:
            raise NotSeen(Why.DEPENDS, config.says, config.permission, config.mend)
        config = config_of(session, pipeline, services.coordinator)
    if config.settings is None:
        raise NotSeen(Why.DEPENDS, f"the service {config.name} does not exist")
    return _url_of(config.settings)


def _url_of(service: ServiceSettings) -> CoordinatorUrl:
    """Where the default URL is off it is not asked for, whether Cloud Run goes on telling it or not."""
    url = "" if service.default_uri_disabled else service.uri.rstrip("/")
    return CoordinatorUrl(url=url, name=service.name, ingress=service.ingress)


def read(
    session: Session,
    pipeline: PipelineProfile,
    state: BatchStateProfile,
    coordinator: CoordinatorUrl | Unseen,
    batch: str,
) -> BatchStatus:
    """Ask for one batch. Raises NotSeen."""
    del pipeline
    at = _where(state, coordinator)
    asked = at.url + state.path.replace("{batch}", quote(batch, safe=""))
    headers, how = _credentials(session, state, at.url)
    answer = get(session, asked, {**headers, "Accept": "application/json"}, session.allowance())
    said = _json(answer)
    if said is None and answer.status in (403, 404) and at.shut:
        raise NotSeen(Why.UNREACHABLE, f"{at.shut} (it answered {answer.status})", mend=ELSEWHERE)
    if answer.status in (401, 403):
        says = f"{at.who} answered {answer.status} to the status call ({how})"
        raise NotSeen(Why.PERMISSION_DENIED, says, "" if state.url else "run.routes.invoke", _mend(state))
    source = provenance(session, state.name, asked, _by_hand(state, asked))
    if said is not None and _knows_none(answer.status, said):
        return BatchStatus(source=source, batch=batch, exists=False)
    if answer.status == 0:
        why = Why.TIMED_OUT if "no answer within" in answer.text else Why.UNREACHABLE
        raise NotSeen(why, f"the status call failed: {answer.text}")
    if answer.status >= 500 or answer.status == 429 or (answer.status == 200 and _is_page(answer)):
        raise NotSeen(Why.UNREACHABLE, f"{at.who} gave no status when it was asked for it: {_odd(answer)}")
    if answer.status != 200 or said is None:
        raise NotSeen(Why.FAILED, f"{at.who}'s status is not what the profile describes: {_odd(answer)}")
    return status_of(state, source, batch, said)


class _At(NamedTuple):
    """Where the endpoint is."""

    url: str
    who: str
    shut: str = ""
    """Why a call from outside is answered as if nothing were there; empty: nothing says so."""


def _where(state: BatchStateProfile, coordinator: CoordinatorUrl | Unseen) -> _At:
    if state.url:
        return _At(state.url.rstrip("/"), "the status endpoint")
    if isinstance(coordinator, Unseen):
        says = coordinator.says
        says = says if coordinator.why is Why.DEPENDS else f"not asked because {says}"
        raise NotSeen(Why.DEPENDS, says, coordinator.permission, coordinator.mend)
    if not coordinator.url:
        says = f"the coordinator {coordinator.name} has no URL of its own (its default URL is switched off)"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend="; or ".join((NAMED, ELSEWHERE)))
    return _At(coordinator.url, "the coordinator", _shut(coordinator))


def _shut(coordinator: CoordinatorUrl) -> str:
    if coordinator.ingress == "all":
        return ""
    takes = "takes calls from nobody" if coordinator.ingress == "none" else "takes calls from inside its network alone"
    return f"the coordinator {takes} (ingress {coordinator.ingress}) and cannot be asked from outside"


def _knows_none(status: int, said: dict[str, Any]) -> bool:
    """Whether the coordinator itself says that there is no such batch. A JSON 404 about anything else may be a wrong path."""
    words = f"{said.get('status', '')} {said.get('error', '')} {said.get('message', '')}".lower()
    return "no_active_batch" in words or (status == 404 and ("not_found" in words or "batch" in words))


def _credentials(session: Session, state: BatchStateProfile, url: str) -> tuple[dict[str, str], str]:
    """(headers, what was tried in words)."""
    if state.auth is Auth.ID_TOKEN:
        audience = state.audience or url
        return {"Authorization": f"Bearer {identity_token(session, audience)}"}, "with an identity token of this login"
    if header := _header(state):
        name, variable = header
        value = os.environ.get(variable, "")
        if not value:
            what = "an API key" if state.auth is Auth.API_KEY else f"the header {name}"
            says = f"the status endpoint wants {what}, and {variable or 'api_key_env'} is not set"
            raise NotSeen(Why.NOT_CONFIGURED, says, mend=command("export {variable}=…", variable=variable or "NAME"))
        if not value.isprintable() or not value.isascii():
            raise NotSeen(Why.NOT_CONFIGURED, f"what {variable} holds cannot be sent as a header")
        what = "API key" if state.auth is Auth.API_KEY else f"header {name}"
        return {name: value}, f"with the {what} in {variable}"
    return {}, "without credentials"


def _header(state: BatchStateProfile) -> tuple[str, str] | None:
    """(header, environment variable that holds its value)."""
    if state.auth is Auth.API_KEY:
        return "X-API-Key", state.api_key_env
    return (state.header, state.header_env) if state.auth is Auth.HEADER else None


def _mend(state: BatchStateProfile) -> str:
    if header := _header(state):
        return noted(command("export {variable}=…", variable=header[1]), "the key that the coordinator takes")
    if state.url:
        return "ask who runs the status endpoint to let this login in, or set auth and audience in [batch_state]"
    return "ask for roles/run.invoker on the service of the coordinator"


def _by_hand(state: BatchStateProfile, url: str) -> str:
    if state.auth is Auth.ID_TOKEN:
        return command('curl -s -H "Authorization: Bearer $(gcloud auth print-identity-token)" {url}', url=url)
    if header := _header(state):
        return command('curl -s -H "{header}: ${variable}" {url}', header=header[0], variable=header[1], url=url)
    return command("curl -s {url}", url=url)


def _json(answer: Answer) -> dict[str, Any] | None:
    try:
        said = json.loads(answer.text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _odd(answer: Answer) -> str:
    if answer.status in REDIRECTS:
        return f"it answered {answer.status}, sending the call on, as a sign-in page does (IAP?)"
    if _is_page(answer):
        return f"it answered {answer.status} with a web page"
    return f"it answered {answer.status} with {redact(answer.text.strip(), 80) or 'nothing'}"


def _is_page(answer: Answer) -> bool:
    return answer.text.strip()[:1] == "<" or "html" in answer.content_type
