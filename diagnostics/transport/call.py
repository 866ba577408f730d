"""The one way to call Google: bounded in time, retried shortly, and every failure told as what it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from diagnostics.evidence.model import Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.shell.commands import advice, command, either, noted
from diagnostics.transport.refusals import Kind, Login, Refusal, not_reached, own_project_of_google, refusal
from diagnostics.transport.rpcs import Rpc
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import is_of_the_login

PAUSES_S = (0.2, 0.8)
"""Before the second and third attempt when a service is unavailable."""


class NotThere(Exception):
    """Google says that the thing itself does not exist: that is evidence, not a failure to see."""


class QuotaUsedUp(NotSeen):
    """So much was asked within the minute that Google answers no more: it says nothing of what is there."""


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
    started = time.monotonic()
    ok, note = False, ""
    try:
        reply = _admitted(session, rpc, lambda: _asked(session, rpc, request, unwrap, pauses, allowance))
        ok = True
        plain = type(reply).pb(reply) if hasattr(type(reply), "pb") else reply
        session.witness.answered(rpc, request, plain, time.monotonic() - started)
        return plain
    except Exception as error:
        note = type(error).__name__
        session.witness.failed(rpc, request, error, time.monotonic() - started)
        raise _translated(error, rpc, session) from error
    finally:
        session.record(rpc.name, time.monotonic() - started, ok, note)


def _asked(
    session: Session,
    rpc: Rpc,
    request: dict[str, Any],
    unwrap: Callable[[Any], Any],
    pauses: tuple[float, ...],
    allowance: float | None,
) -> Any:
    """The reply, asked for again after each pause while the service is unavailable."""
    method = getattr(session.clients.get(rpc.client), rpc.method)
    from google.api_core import exceptions  # loaded with the client

    for pause in (*pauses, None):
        try:
            # timeout and retry both: either alone bounds nothing
            bound = session.allowance() if allowance is None else min(allowance, session.allowance())
            return unwrap(method(request=request, timeout=bound, retry=None))
        except exceptions.ServiceUnavailable as error:
            if pause is None or pause > session.remaining() or is_of_the_login(str(error)):
                raise
            time.sleep(pause)
    raise AssertionError("the last pause is none")


def _admitted(session: Session, rpc: Rpc, ask: Callable[[], Any]) -> Any:
    """The reply; asked for again where Google did not let the call in and we can do something about it ourselves.

    A token that ended is renewed; calls are counted against the pipeline's project where Google wants one named. Such a call was
    never carried out, so that a second one repeats nothing.
    """
    clients, renewals = session.clients, session.clients.renewals
    from google.api_core import exceptions

    try:
        return ask()
    except exceptions.Unauthenticated:
        if not clients.renew(renewals):
            raise
    except (exceptions.Forbidden, exceptions.TooManyRequests) as error:
        if not _wants_payer(error) or not clients.pay(rpc.client):
            raise
    try:
        return ask()
    except exceptions.Forbidden as error:
        if _reason(error) == "USER_PROJECT_DENIED":
            clients.pay_no_more(rpc.client)
        raise


def _wants_payer(error: Any) -> bool:
    """Whether Google counts the call against a project of its own, since the login names none."""
    text = str(getattr(error, "message", ""))
    return "requires a quota project" in text or own_project_of_google(text, _consumer(error))


def _translated(error: Exception, rpc: Rpc, session: Session) -> Exception:
    """The error as NotThere or NotSeen; anything unforeseen as itself."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    whole = getattr(error, "message", "") or str(error)
    text, login = redact(whole, 300), session.signed_in.login
    if isinstance(error, GoogleAuthError) or is_of_the_login(str(error)):
        return _not_seen(refusal(str(error), login))
    if not isinstance(error, exceptions.GoogleAPICallError):
        return error
    if isinstance(error, exceptions.NotFound | exceptions.Forbidden):
        hidden = _hidden_place(error, text, session)
        if hidden is not None:
            return hidden
    if isinstance(error, exceptions.NotFound):
        return NotThere(text)
    if isinstance(error, exceptions.Unauthenticated):
        return NotSeen(Why.SIGN_IN, f"Google did not accept the login: {text}", mend=either(login.mend))
    if isinstance(error, exceptions.Forbidden):
        return _forbidden(error, text, rpc, session)
    if isinstance(error, exceptions.DeadlineExceeded):
        return NotSeen(Why.TIMED_OUT, f"{rpc.api} did not answer within {session.allowance_s:.3g} s")
    if isinstance(error, exceptions.ServiceUnavailable):
        return _unavailable(whole, text, rpc)
    if isinstance(error, exceptions.TooManyRequests):
        return QuotaUsedUp(Why.FAILED, f"a quota of {rpc.api} is used up, try again in a minute: {text}")
    return NotSeen(Why.FAILED, f"{rpc.api} refused the question: {text}")


def _unavailable(whole: str, text: str, rpc: Rpc) -> NotSeen:
    told = not_reached(whole, rpc.api)
    mend = either(told.mend) if told else ""
    return NotSeen(Why.UNREACHABLE, f"{rpc.api} cannot be reached: {told.says if told else text}", mend=mend)


def _not_seen(told: Refusal) -> NotSeen:
    return NotSeen(told.why, told.says, mend=either(told.mend))


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
        mend = "say the right --project, its id and not its display name; or sign in with an account that may see it"
        return NoProject(Why.PERMISSION_DENIED, says, mend=mend)
    if place := NO_PLACE.search(text):
        says = f"the region {place['place']} is not there, or this login may not use it"
        return NotSeen(Why.PERMISSION_DENIED, says, mend="say the right --region, or region in the profile")
    return None


def _forbidden(error: Any, text: str, rpc: Rpc, session: Session) -> NotSeen:
    """A refusal by what Google gives as its reason. Only a permission that is missing is called that."""
    reason, consumer = _reason(error), _consumer(error)
    if reason == "USER_PROJECT_DENIED" or (_wants_payer(error) and session.clients.barred(rpc.client)):
        return _may_not_pay(consumer, rpc, session)
    if _wants_payer(error):
        payer = session.project or "PROJECT"
        mend = command("gcloud auth application-default set-quota-project {project}", project=payer)
        return NotSeen(Why.SIGN_IN, f"{rpc.api} wants a quota project for this login: {text}", mend=mend)
    if reason == "SERVICE_DISABLED" or "has not been used in project" in text:
        where = consumer or session.project or "PROJECT"
        mend = command("gcloud services enable {api} --project={project}", api=rpc.api, project=where)
        return ApiOff(Why.FAILED, f"{rpc.api} is not enabled: {text}", mend=mend)
    if reason == "SECURITY_POLICY_VIOLATED" or "vpcServiceControls" in text:
        says = f"a VPC Service Controls perimeter keeps {rpc.api} from answering: {text}"
        mend = "ask from inside the perimeter, or show its administrator the identifier that Google names"
        return NotSeen(Why.PERMISSION_DENIED, says, mend=mend)
    if reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" or "insufficient authentication scopes" in text:
        says = f"the token of this login is not meant for {rpc.api}: its scopes are too narrow, whatever its roles are"
        return NotSeen(Why.SIGN_IN, says, mend=_wider(session.signed_in.login))
    if reason == "BILLING_DISABLED" or "requires billing to be enabled" in text:
        project = consumer or session.project or "PROJECT"
        says = f"billing is disabled in {project}, so that {rpc.api} answers nothing"
        mend = command("gcloud billing projects link {project} --billing-account=ACCOUNT", project=project)
        return NotSeen(Why.FAILED, says, mend=mend)
    named = (getattr(error, "metadata", None) or {}).get("permission", "") or _named_permission(text)
    if named or reason == "IAM_PERMISSION_DENIED" or any(sentence in text for sentence in DENIALS):
        return _lacking(named or rpc.permission, text, rpc)
    return NotSeen(Why.PERMISSION_DENIED, f"{rpc.api} refuses: {text}")


DENIALS = (
    "User not authorized to perform this action",
    "The caller does not have permission",
    "Permission denied for all log views",
    "Access Denied: ",
)
"""How Pub/Sub, IAM, Logging and BigQuery say that a permission is missing, and no reason with it."""


def _lacking(permission: str, text: str, rpc: Rpc) -> NotSeen:
    if not permission:
        return NotSeen(Why.PERMISSION_DENIED, f"{rpc.api} denied it: {text}")
    mend = advice("ask for a role with {permission}", permission=permission)
    return NotSeen(Why.PERMISSION_DENIED, f"{permission} is missing", permission=permission, mend=mend)


def _may_not_pay(consumer: str, rpc: Rpc, session: Session) -> NotSeen:
    project = session.clients.barred(rpc.client) or consumer or "the quota project of this login"
    says = f"{rpc.api} wants a quota project, and {session.principal or 'this login'} may not use {project} as one"
    mend = advice(
        "ask for roles/serviceusage.serviceUsageConsumer on {project}; or name a project that may be used: "
        "gcloud auth application-default set-quota-project PROJECT",
        project=project,
    )
    return NotSeen(Why.SIGN_IN, says, mend=mend)


def _wider(login: Login) -> str:
    if login.kind is Kind.MACHINE:
        scopes = "gcloud compute instances set-service-account VM --scopes=cloud-platform"
        return noted(scopes, "while it is stopped")
    return either(login.mend)


def _named_permission(text: str) -> str:
    """The permission that a sentence says is denied."""
    name = r"([a-z][\w-]*\.[\w.]+\.\w+)"
    for sentence in (rf"[Pp]ermission '?{name}'? (?:is |was )?denied", rf"does not have {name} (?:permission|access)"):
        if found := re.search(sentence, text):
            return found[1]
    return "bigquery.tables.getData" if "does not have permission to query table" in text else ""


def _reason(error: Any) -> str:
    return str(getattr(error, "reason", "") or "")


def _consumer(error: Any) -> str:
    """The project that the call was counted against; empty: the error does not tell."""
    return str((getattr(error, "metadata", None) or {}).get("consumer", "")).removeprefix("projects/")
