"""The one way to call Google: bounded in time, retried shortly, and every failure told as what it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from diagnostics.evidence.model import Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.transport.rpcs import Rpc
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import ADC_LOGIN, is_expired_login

PAUSES_S = (0.2, 0.8)
"""Before the second and third attempt when a service is unavailable."""


class NotThere(Exception):
    """Google says that the thing itself does not exist: that is evidence, not a failure to see."""


class ApiOff(NotSeen):
    """The API is not enabled in the project; `mend` enables it."""


NO_PROJECT = re.compile(
    r"project not found or user does not have access to it(?: \(project=(?P<pubsub>[^)]+)\))?"  # Pub/Sub
    r"|^(?:The )?project (?:'|\")?(?P<other>[a-z0-9.:-]+)(?:'|\")? (?:was |is )?(?:not found|does not exist)"
    r"|^(?:The )?project does not exist(?:: \"?(?P<logging>[a-z0-9.:-]+))?"
    r"|^Permission denied on resource project (?P<consumer>[^ ]+?)\.?$",
    re.IGNORECASE,
)
"""How Google's APIs say that a project is not there, or not for this login: they do not tell which of the two."""
NO_PLACE = re.compile(r"^Location (?P<place>[^ ]+) is not found or access is unauthorized", re.IGNORECASE)


class NoProject(NotSeen):
    """The project that was asked in is not there, or this login may not see it."""


class Pages(NamedTuple):
    """What a list call gave."""

    items: list[Any]
    complete: bool = True
    note: str = ""


class Page(NamedTuple):
    """One page of a list call."""

    items: list[Any]
    token: str
    """Where the list goes on; empty: this was its end."""
    trouble: str = ""
    """What Google says it could not answer."""


def call(session: Session, rpc: Rpc, request: dict[str, Any], *, repeated: bool = True) -> Any:
    """The reply as a plain protocol buffer message. Raises NotThere or NotSeen, from Google's own error.

    `repeated` False: asked once, whatever happens; for what may not be done twice.
    """
    return _answer(session, rpc, request, lambda reply: reply, PAUSES_S if repeated else ())


def pages(session: Session, rpc: Rpc, request: dict[str, Any], field: str, most: int = 20) -> Pages:
    """The items of at most `most` pages. A later page that fails, or is left out, makes the answer incomplete; it is not thrown away."""
    items: list[Any] = []
    token = ""
    for number in range(most):
        try:
            got = page(session, rpc, request, field, token)
        except NotSeen as failed:
            if number == 0:
                raise
            return Pages(items, False, f"only the first {number} pages: {failed.says}")
        items.extend(got.items)
        if got.trouble:
            return Pages(items, False, f"Google answered in part: {got.trouble}")
        token = got.token
        if not token:
            return Pages(items)
    return Pages(items, False, f"only the first {len(items)} were read; there are more")


def page(
    session: Session, rpc: Rpc, request: dict[str, Any], field: str, token: str, allowance: float | None = None
) -> Page:
    """One page, the one that the token names; `allowance`: seconds it may take at most. Raises NotThere or NotSeen."""
    asked = {**request, "page_token": token}
    got = _answer(session, rpc, asked, lambda pager: next(pager.pages), allowance=allowance)
    trouble = getattr(got, "execution_errors", ())
    return Page(list(getattr(got, field)), got.next_page_token, redact(trouble[0].message, 200) if trouble else "")


def _answer(
    session: Session,
    rpc: Rpc,
    request: dict[str, Any],
    unwrap: Callable[[Any], Any],
    pauses: tuple[float, ...] = PAUSES_S,
    allowance: float | None = None,
) -> Any:
    session.witness.asks(rpc)
    method = getattr(session.clients.get(rpc.client), rpc.method)
    from google.api_core import exceptions  # loaded with the client

    started = time.monotonic()
    ok, note = False, ""
    try:
        for pause in (*pauses, None):
            try:
                # timeout and retry both: either alone bounds nothing
                bound = session.allowance() if allowance is None else min(allowance, session.allowance())
                reply = unwrap(method(request=request, timeout=bound, retry=None))
                ok = True
                plain = type(reply).pb(reply) if hasattr(type(reply), "pb") else reply
                session.witness.answered(rpc, request, plain, time.monotonic() - started)
                return plain
            except exceptions.ServiceUnavailable as error:
                if pause is None or pause > session.remaining() or is_expired_login(str(error)):
                    raise
                time.sleep(pause)
    except Exception as error:
        note = type(error).__name__
        session.witness.failed(rpc, request, error, time.monotonic() - started)
        raise _translated(error, rpc, session) from error
    finally:
        session.record(rpc.name, time.monotonic() - started, ok, note)


def _translated(error: Exception, rpc: Rpc, session: Session) -> Exception:
    """The error as NotThere or NotSeen; anything unforeseen as itself."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    text = redact(getattr(error, "message", "") or str(error), 300)
    if isinstance(error, GoogleAuthError) or is_expired_login(str(error)):
        return NotSeen(Why.SIGN_IN, "the login has expired", mend=ADC_LOGIN)
    if not isinstance(error, exceptions.GoogleAPICallError):
        return error
    if isinstance(error, exceptions.NotFound | exceptions.Forbidden):
        hidden = _hidden_place(error, text, session)
        if hidden is not None:
            return hidden
    if isinstance(error, exceptions.NotFound):
        return NotThere(text)
    if isinstance(error, exceptions.Unauthenticated):
        return NotSeen(Why.SIGN_IN, f"Google did not accept the login: {text}", mend=ADC_LOGIN)
    if isinstance(error, exceptions.Forbidden):
        return _forbidden(error, text, rpc, session)
    if isinstance(error, exceptions.DeadlineExceeded):
        return NotSeen(Why.TIMED_OUT, f"{rpc.api} did not answer within {session.allowance_s:.3g} s")
    if isinstance(error, exceptions.ServiceUnavailable):
        return NotSeen(Why.UNREACHABLE, f"{rpc.api} cannot be reached: {text}")
    if isinstance(error, exceptions.TooManyRequests):
        return NotSeen(Why.FAILED, f"a quota of {rpc.api} is used up, try again in a minute: {text}")
    return NotSeen(Why.FAILED, f"{rpc.api} refused the question: {text}")


def _hidden_place(error: Any, text: str, session: Session) -> NotSeen | None:
    """The error as NotSeen where it is about the project or the region asked in: then it says nothing of what is in there."""
    found = NO_PROJECT.search(text)
    consumer = getattr(error, "reason", "") == "CONSUMER_INVALID"
    if found or consumer:
        told = (getattr(error, "metadata", None) or {}).get("consumer", "") if consumer else ""
        named = next((name for name in found.groups() if name), "") if found else ""
        project = named or told.removeprefix("projects/") or session.project or "asked in"
        who = session.principal or "this login"
        says = f"the project {project} is not there, or {who} may not see it (Google does not tell which)"
        mend = f"say the right --project, its id and not its display name; or sign in with an account that may see {project}"
        return NoProject(Why.PERMISSION_DENIED, says, mend=mend)
    if place := NO_PLACE.search(text):
        says = f"the region {place['place']} is not there, or this login may not use it"
        return NotSeen(Why.PERMISSION_DENIED, says, mend="say the right --region, or region in the profile")
    return None


def _forbidden(error: Any, text: str, rpc: Rpc, session: Session) -> NotSeen:
    reason = getattr(error, "reason", "") or ""
    metadata = getattr(error, "metadata", None) or {}
    if "quota project" in text or reason == "USER_PROJECT_DENIED":
        mend = f"gcloud auth application-default set-quota-project {session.project or 'PROJECT'}"
        return NotSeen(Why.SIGN_IN, f"{rpc.api} wants a quota project for this login: {text}", mend=mend)
    if reason == "SERVICE_DISABLED" or "has not been used in project" in text:
        project = metadata.get("consumer", "").removeprefix("projects/") or session.project or "PROJECT"
        mend = f"gcloud services enable {rpc.api} --project={project}"
        return ApiOff(Why.FAILED, f"{rpc.api} is not enabled: {text}", mend=mend)
    if reason == "SECURITY_POLICY_VIOLATED" or "organization's policy" in text:
        return NotSeen(
            Why.PERMISSION_DENIED, f"a VPC Service Controls perimeter keeps {rpc.api} from answering: {text}"
        )
    permission = metadata.get("permission", "") or rpc.permission
    says = f"{permission} is missing" if permission else f"{rpc.api} denied it: {text}"
    return NotSeen(
        Why.PERMISSION_DENIED,
        says,
        permission=permission,
        mend=f"ask for a role with {permission}" if permission else "",
    )
