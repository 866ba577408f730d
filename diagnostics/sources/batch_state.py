"""What the coordinator's status endpoint says of one batch. The only call to a service that a passive run makes."""

from __future__ import annotations

import json
import os
import shlex
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from msgspec import Struct

from diagnostics.evidence.model import BatchMarks, BatchStatus, Leg, Mark, Means, ServiceConfig, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Auth, BatchStateProfile, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.cloud_run import config_of
from diagnostics.sources.past.rewind_batch import batch_then
from diagnostics.sources.route import Services
from diagnostics.transport.provenance import provenance
from diagnostics.transport.session import Session
from diagnostics.transport.web import Answer, get, identity_token


class CoordinatorUrl(Struct, frozen=True, kw_only=True):
    """The coordinator's main URL, without a path."""

    per_leg: ClassVar[bool] = False
    url: str


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
    return CoordinatorUrl(url=config.settings.uri.rstrip("/"))


def batch_status(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    services: Services,
    marks: BatchMarks | Unseen,
    coordinator: CoordinatorUrl,
) -> BatchStatus:
    state = pipeline.batch_state
    if state is None:
        raise NotSeen(
            Why.NOT_CONFIGURED, "the profile does not say where batch state is", mend="add batch_state to the profile"
        )
    told = () if isinstance(marks, Unseen) else marks.marks
    batch = ask.batch or latest_batch(told) or in_the_way(told)
    if not batch:
        mend = "name the batch: pubsub-diag batch BATCH_ID"
        if isinstance(marks, Unseen):
            says = f"no batch to ask about: {marks.says.removeprefix('not asked because ')}"
            raise NotSeen(Why.DEPENDS, says, marks.permission, mend)
        says = "no batch to ask about: the latest start attempt has made none, or the log does not name it"
        raise NotSeen(Why.DEPENDS, says, mend=mend)
    today = status_of(session, state, coordinator.url, batch)
    if not ask.past(session.now):
        return today
    return batch_then(session, pipeline, services, today, told, ask.end(session.now))


def latest_batch(marks: tuple[Mark, ...]) -> str:
    """The batch that the latest start attempt made; empty while it has made none, or where no line names any."""
    for mark in reversed(marks):
        if mark.means is Means.CREATED and mark.batch:
            return mark.batch
        if mark.means is Means.RECEIVED:
            return ""
    return ""


def in_the_way(marks: tuple[Mark, ...]) -> str:
    """The batch for whose sake the latest start attempt was refused; empty where it was not, or where the refusal names none."""
    last = next((m for m in reversed(marks) if m.means in (Means.REFUSED, Means.CREATED)), None)
    return last.words.get("blocker", "") if last and last.means is Means.REFUSED else ""


def status_of(session: Session, state: BatchStateProfile, url: str, batch: str) -> BatchStatus:
    """Ask for one batch. Raises NotSeen."""
    asked = url + state.path.replace("{batch}", quote(batch, safe=""))
    headers, how = _credentials(session, state, url)
    answer = get(session, asked, {**headers, "Accept": "application/json"}, session.allowance())
    said = _json(answer)
    if answer.status in (401, 403):
        says = f"the coordinator answered {answer.status} to the status call ({how})"
        raise NotSeen(Why.PERMISSION_DENIED, says, "run.routes.invoke", _mend(state))
    source = provenance(session, "coordinator status", asked, _by_hand(state, asked))
    if said is not None and _knows_none(answer.status, said):
        return BatchStatus(source=source, batch=batch, exists=False)
    if answer.status == 0:
        why = Why.TIMED_OUT if "no answer within" in answer.text else Why.UNREACHABLE
        raise NotSeen(why, f"the status call failed: {answer.text}")
    if answer.status != 200 or said is None:
        raise NotSeen(Why.FAILED, f"the coordinator's status is not what the profile describes: {_odd(answer)}")
    return _status(state, source, batch, said)


def _knows_none(status: int, said: dict[str, Any]) -> bool:
    """Whether the coordinator itself says that there is no such batch. A JSON 404 about anything else may be a wrong path."""
    words = f"{said.get('status', '')} {said.get('error', '')} {said.get('message', '')}".lower()
    return "no_active_batch" in words or (status == 404 and ("not_found" in words or "batch" in words))


def _status(state: BatchStateProfile, source: Any, batch: str, said: dict[str, Any]) -> BatchStatus:
    expected = _number(_field(state, said, "expected", state.expected))
    completed = _field(state, said, "completed", state.completed)
    if expected is None and _number(completed) is None:
        keys = ", ".join(sorted(map(str, said))) or "none"
        raise NotSeen(
            Why.FAILED,
            f"the coordinator's status has neither {state.expected} nor {state.completed}; its fields: {keys}",
        )
    named = _field(state, said, "batch", "batch_id") or _field(state, said, "batch", "batch")
    if isinstance(named, str) and named and named != batch:
        raise NotSeen(Why.FAILED, f"the coordinator answered about another batch: {redact(named, 80)}")
    forced = _forced(state, _field(state, said, "forced", state.forced))
    return BatchStatus(
        source=source,
        batch=batch,
        exists=True,
        expected=expected,
        completed=_number(completed),
        failed=_number(_field(state, said, "failed", state.failed)),
        closed=bool(forced) or _closed(state, _field(state, said, "closed", state.closed)),
        items=tuple(map(str, completed)) if isinstance(completed, list) else None,
        forced=forced,
    )


def _field(state: BatchStateProfile, said: dict[str, Any], name: str, path: str) -> Any:
    """The first of a field's paths that the answer has; None when it has none."""
    for candidate in (path, *state.alternatives.get(name, ())):
        value: Any = said
        for part in candidate.split(".") if candidate else ():
            value = value.get(part) if isinstance(value, dict) else None
        if candidate and value is not None:
            return value
    return None


def _number(value: Any) -> int | None:
    if isinstance(value, list):
        return len(value)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _closed(state: BatchStateProfile, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    return str(value) == state.closed_when if state.closed_when else None


def _forced(state: BatchStateProfile, value: Any) -> str:
    if value in (None, False, "") or (state.forced_when and str(value) != state.forced_when):
        return ""
    return redact(str(value), 200)


def _credentials(session: Session, state: BatchStateProfile, url: str) -> tuple[dict[str, str], str]:
    """(headers, what was tried in words)."""
    if state.auth is Auth.ID_TOKEN:
        return {"Authorization": f"Bearer {identity_token(session, url)}"}, "with an identity token of this login"
    if state.auth is Auth.API_KEY:
        key = os.environ.get(state.api_key_env, "")
        if not key:
            says = f"the status endpoint wants an API key, and {state.api_key_env or 'api_key_env'} is not set"
            raise NotSeen(Why.NOT_CONFIGURED, says, mend=f"export {state.api_key_env or 'NAME'}=…")
        return {"X-API-Key": key}, f"with the API key in {state.api_key_env}"
    return {}, "without credentials"


def _mend(state: BatchStateProfile) -> str:
    if state.auth is Auth.API_KEY:
        return f"export {state.api_key_env}=… with the coordinator's key"
    return "ask for roles/run.invoker on the coordinator's service"


def _by_hand(state: BatchStateProfile, url: str) -> str:
    header = {
        Auth.ID_TOKEN: '-H "Authorization: Bearer $(gcloud auth print-identity-token)" ',
        Auth.API_KEY: f'-H "X-API-Key: ${state.api_key_env}" ',
        Auth.NONE: "",
    }[state.auth]
    return f"curl -s {header}{shlex.quote(url)}"


def _json(answer: Answer) -> dict[str, Any] | None:
    try:
        said = json.loads(answer.text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _odd(answer: Answer) -> str:
    text = answer.text.strip()
    if text[:1] == "<" or "html" in answer.content_type:
        return f"it answered {answer.status} with a web page"
    return f"it answered {answer.status} with {redact(text, 80) or 'nothing'}"
