"""HTTP calls to the pipeline's own services, with our user agent; in the lab, to the lab."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from diagnostics.evidence.model import OUR_USER_AGENT, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.shell.commands import advice, either
from diagnostics.transport.call import call
from diagnostics.transport.clients import load
from diagnostics.transport.gcloud import GcloudError, gcloud
from diagnostics.transport.refusals import GCLOUD_LOGIN, Kind, not_reached, refusal
from diagnostics.transport.rpcs import ID_TOKEN
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import Asking, bounded_by

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
    try:
        parts = urlsplit(url)
        known = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:  # "Invalid IPv6 URL"
        known = False
    if not known:  # no file and no token in the clear, whatever an endpoint is said to be
        return Answer(0, "not asked: it is not an https address", "", 0.0)
    target = (
        f"http://{session.lab.http}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        if session.lab
        else url
    )
    request = urllib.request.Request(target, headers={**headers, "User-Agent": OUR_USER_AGENT})  # noqa: S310
    if session.lab:
        request.add_header("Host", parts.netloc)
    started = time.monotonic()
    try:
        answer = bounded_by(timeout_s, lambda: _read(_opener(session), request, timeout_s))
    except TimeoutError:
        answer = _no_answer(timeout_s)
    except OSError as error:
        answer = _failed(error, parts.hostname or "", timeout_s)
    taken = time.monotonic() - started
    session.record(f"GET {parts.hostname}{parts.path}", taken, bool(answer.status), str(answer.status or answer.text))
    session.witness.visited(answer.status, answer.content_type, answer.text, taken)
    return answer._replace(latency_s=answer.simulated_s if session.lab and answer.simulated_s else taken)


def _no_answer(timeout_s: float) -> Answer:
    return Answer(0, f"no answer within {timeout_s:.3g} s", "", 0.0)


def _failed(error: OSError, host: str, timeout_s: float) -> Answer:
    """A request that got no answer: which part of the network it was, where the error tells."""
    text = str(getattr(error, "reason", error))
    told = not_reached(text, host)
    if told and told.why is Why.TIMED_OUT:
        return _no_answer(timeout_s)
    return Answer(0, told.says if told else redact(text, 200), "", 0.0)


def identity_token(session: Session, audience: str) -> str:
    """An identity token of whoever runs this, for that audience. Raises NotSeen. The token is never logged."""
    try:
        return bounded_by(session.allowance(), lambda: _own_token(session, audience))
    except TimeoutError as error:
        raise NotSeen(Why.TIMED_OUT, "no answer while asking for an identity token") from error


def _own_token(session: Session, audience: str) -> str:
    if session.lab:
        url = f"http://{session.lab.http}/lab/token?audience={quote(audience, safe='')}"
        with _opener(session).open(url, timeout=session.allowance()) as answer:
            return str(json.load(answer)["token"])
    login = session.signed_in.login
    if login.kind in (Kind.KEY, Kind.MACHINE):
        return _signed(session, audience)
    account = login.account or session.signed_in.impersonated
    if account:
        return _minted(session, account, audience)
    if login.kind is Kind.FEDERATED:
        raise NotSeen(
            Why.SIGN_IN,
            "no identity token could be had: a federated login has none unless it acts as a service account",
            mend="let it act as one: --impersonate-service-account, or service_account_impersonation_url in its file",
        )
    try:
        return gcloud("auth", "print-identity-token")  # a person's login cannot name an audience
    except GcloudError as error:
        raise NotSeen(Why.SIGN_IN, f"no identity token could be had: {error}", mend=GCLOUD_LOGIN) from error


def _signed(session: Session, audience: str) -> str:
    """By Google for what a key has signed, or by the metadata server."""
    credentials, login = session.signed_in.credentials, session.signed_in.login
    asking = Asking(session.allowance())
    try:
        if login.kind is Kind.KEY:
            minted = load("google.oauth2.service_account").IDTokenCredentials(
                credentials.signer, login.account, credentials._token_uri, audience
            )
        else:
            minted = load("google.auth.compute_engine").IDTokenCredentials(
                asking, audience, use_metadata_identity_endpoint=True
            )
        minted.refresh(asking)
        return str(minted.token)
    except load("google.auth.exceptions").GoogleAuthError as error:
        told = refusal(str(error), login, asking.last)
        raise NotSeen(told.why, f"no identity token could be had: {told.says}", mend=either(told.mend)) from error


def _minted(session: Session, account: str, audience: str) -> str:
    """By IAM, for a service account that we act as: whoever may act as one may mostly ask for this, too; else it asks itself."""
    credentials, asking = session.signed_in.credentials, Asking(session.allowance())
    acting = getattr(credentials, "_impersonated_credentials", None) or credentials
    impersonated = load("google.auth.impersonated_credentials")
    if isinstance(acting, impersonated.Credentials):
        minted = impersonated.IDTokenCredentials(acting, target_audience=audience, include_email=True)
        with contextlib.suppress(load("google.auth.exceptions").GoogleAuthError):
            minted.refresh(asking)
            return str(minted.token)
    name = f"projects/-/serviceAccounts/{account}"
    try:
        return str(call(session, ID_TOKEN, {"name": name, "audience": audience, "include_email": True}).token)
    except NotSeen as failed:
        if failed.why is not Why.PERMISSION_DENIED:
            raise
        mend = advice("ask for roles/iam.serviceAccountOpenIdTokenCreator on {account}, for itself", account=account)
        says = f"no identity token could be had: {ID_TOKEN.permission} on {account} is missing"
        raise NotSeen(failed.why, says, failed.permission, mend) from failed


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
