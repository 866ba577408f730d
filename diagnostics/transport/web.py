"""HTTP calls to the pipeline's own services, with our user agent; in the lab, to the lab."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from diagnostics.evidence.model import OUR_USER_AGENT, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.transport.clients import load
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import GCLOUD_LOGIN, SignInError, bounded_by, gcloud

MOST_BYTES = 1_000_000


class Answer(NamedTuple):
    """What an HTTP call gave. Status 0: no answer; `text` says why."""

    status: int
    text: str
    content_type: str
    latency_s: float
    simulated_s: float = 0.0
    """What the lab says it took: its time stands while we wait."""


def get(session: Session, url: str, headers: dict[str, str], timeout_s: float) -> Answer:
    """GET without following redirects. Never raises for what the network or the service does."""
    parts = urlsplit(url)
    if session.lab and parts.scheme != "https":
        return Answer(0, f"{url} is not a service of the lab", "", 0.0)
    target = (
        f"http://{session.lab.http}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        if session.lab
        else url
    )
    request = urllib.request.Request(target, headers={**headers, "User-Agent": OUR_USER_AGENT})
    if session.lab:
        request.add_header("Host", parts.netloc)
    started = time.monotonic()
    try:
        answer = bounded_by(timeout_s, lambda: _read(_opener(session), request, timeout_s))
    except TimeoutError:
        answer = Answer(0, f"no answer within {timeout_s:.3g} s", "", 0.0)
    except OSError as error:
        answer = Answer(0, redact(str(getattr(error, "reason", error)), 200), "", 0.0)
    taken = time.monotonic() - started
    session.record(f"GET {parts.hostname}{parts.path}", taken, bool(answer.status), str(answer.status or answer.text))
    session.witness.visited(answer.status, answer.content_type, answer.text, taken)
    return answer._replace(latency_s=answer.simulated_s if session.lab and answer.simulated_s else taken)


def identity_token(session: Session, audience: str) -> str:
    """An identity token of whoever runs this, for that audience. Raises NotSeen. The token is never logged."""
    try:
        return bounded_by(session.allowance(), lambda: _own_token(session, audience))
    except TimeoutError as error:
        raise NotSeen(Why.TIMED_OUT, "no answer while asking for an identity token") from error
    except SignInError as error:
        raise NotSeen(Why.SIGN_IN, f"no identity token could be had: {error.says}", mend=GCLOUD_LOGIN) from error


def _own_token(session: Session, audience: str) -> str:
    if session.lab:
        url = f"http://{session.lab.http}/lab/token?audience={quote(audience, safe='')}"
        with _opener(session).open(url, timeout=session.allowance()) as answer:
            return str(json.load(answer)["token"])
    request = load("google.auth.transport.requests").Request()
    credentials = session.signed_in.credentials
    try:
        if session.signed_in.impersonated:
            impersonated = load("google.auth.impersonated_credentials")
            minted = impersonated.IDTokenCredentials(credentials, target_audience=audience, include_email=True)
            minted.refresh(request)
            return str(minted.token)
        if session.principal.startswith("serviceAccount:") or _is_metadata(credentials):
            return str(load("google.oauth2.id_token").fetch_id_token(request, audience))
    except load("google.auth.exceptions").GoogleAuthError as error:
        raise SignInError(redact(str(error), 200)) from error
    return gcloud("auth", "print-identity-token")  # a person's login cannot name an audience


def _is_metadata(credentials: Any) -> bool:
    return "compute_engine" in type(credentials).__module__


def _read(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout_s: float) -> Answer:
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return _answer(answer.status, answer.headers, answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read(MOST_BYTES))


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    return Answer(status, body.decode("utf-8", "replace"), headers.get("Content-Type", ""), 0.0, _simulated(headers))


def _simulated(headers: Any) -> float:
    """Seconds that the call took in the lab's own time; 0 where no lab says."""
    try:
        return float(headers.get("X-Lab-Latency-S", "0"))
    except ValueError:
        return 0.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, not a request to send our token elsewhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def _opener(session: Session) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if session.lab:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)
