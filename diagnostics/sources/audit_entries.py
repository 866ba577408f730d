"""Audit entries as changes: what somebody did, once, with what came of it.

Cloud Run writes what became of a deploy into the system event log, in the name of nobody, under the deploy's own method with a slash
before it. One deploy of `gcloud run deploy` leaves its own entry at the begin and again at the end, a SetIamPolicy that may change
nothing, and an actAs of the service's account each time; a call that takes its time, as those of the v2 API do, is logged at its
begin and its end; a function of the second generation is deployed by its person in Cloud Functions and by Google's robot in Cloud Run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from diagnostics.sources.audit_payload import PolicyDelta, bindings_of, differences, policy_deltas, says_no_change
from diagnostics.sources.entries import log_id, moment
from diagnostics.transport.clients import load

ACTIVITY = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT = "cloudaudit.googleapis.com/system_event"
POLICY = "cloudaudit.googleapis.com/policy"

RUN, FUNCTIONS = "run.googleapis.com", "cloudfunctions.googleapis.com"
SET_POLICY = "SetIamPolicy"
DEPLOYS = frozenset(
    {"CreateService", "ReplaceService", "UpdateService", "CreateInternalService", "ReplaceInternalService"}
    | {"CreateFunction", "UpdateFunction"}
)
ROBOT = "@gcf-admin-robot.iam.gserviceaccount.com"
"""Google's account that deploys the service behind a function."""
ONE_DEPLOY = timedelta(minutes=15)
"""So long a deploy may take from its first entry to its last: a start-up probe may take four minutes, and a function is built first."""


@dataclass(frozen=True)
class Audited:
    """What one audit entry says."""

    at: datetime
    api: str
    method: str
    """Last part of its name."""
    resource: str
    """kind/name."""
    by: str
    """Who did it, by e-mail; empty: nobody is named."""
    code: int
    """google.rpc.Code; 0: it was done."""
    message: str
    payload: Any
    """The google.cloud.audit.AuditLog."""
    operation: str = ""
    """Id of the call, where it has a begin and an end."""
    event: bool = False
    """Whether it is Cloud Run's own account of what became of a change."""
    deltas: tuple[PolicyDelta, ...] = ()
    """Roles that were given and taken."""
    failed: str = ""
    """What Cloud Run said when it did not come to its end."""


def audited(found: Iterable[Any], before: Iterable[Any] = ()) -> list[Audited]:
    """The changes that these entries tell of, oldest first; what was refused is among them. `before`: older entries, for what
    policies were."""
    seen = list(_read(found))
    outcomes = [one for one in seen if one.event]
    acts = [one for one in seen if not one.event and one.method != "actAs"]
    told = _compared(_once(acts), list(_read(before)))
    return _with_outcomes(told, outcomes)


def first_policies(found: Iterable[Any]) -> set[str]:
    """Full names of resources whose first change of the policy here tells the new policy and not what it changed."""
    names: dict[str, Audited] = {}
    for one in _read(found):
        if one.method == SET_POLICY and one.code == 0:
            names.setdefault(one.payload.resource_name, one)
    return {
        name
        for name, one in names.items()
        if not one.deltas and bindings_of(one.payload) is not None and one.api == RUN
    }


def _read(found: Iterable[Any]) -> Iterator[Audited]:
    audit_log = load("google.cloud.audit.audit_log_pb2").AuditLog
    for entry in sorted(found, key=lambda e: (e.timestamp.seconds, e.timestamp.nanos)):
        payload = audit_log()
        if not entry.proto_payload.Unpack(payload):
            continue
        own = payload.method_name.startswith("/") or log_id(entry) == SYSTEM_EVENT
        yield Audited(
            at=moment(entry.timestamp),
            api=payload.service_name,
            method=method_of(payload.method_name),
            resource=resource_of(entry, payload.resource_name),
            by=payload.authentication_info.principal_email,
            code=payload.status.code,
            message=payload.status.message,
            payload=payload,
            operation=entry.operation.id,
            event=own and payload.service_name == RUN,
            deltas=tuple(policy_deltas(payload)),
        )


def method_of(name: str) -> str:
    """Last part of a method's name, written one way."""
    method = name.rpartition("/")[2].rpartition(".")[2]
    return SET_POLICY if method.lower() == "setiampolicy" else method


def resource_of(entry: Any, name: str) -> str:
    """kind/name; a service account by its e-mail, since IAM writes its unique id; a function, and a revision, by its service."""
    labels = entry.resource.labels
    kind, short = ["", *name.split("/")][-2:]
    if email := labels.get("email_id", ""):
        return f"serviceAccounts/{email}"
    if kind == "revisions" and labels.get("service_name"):
        return f"services/{labels['service_name']}"
    return f"services/{short}" if kind == "functions" else "/".join(part for part in (kind, short) if part)


# --- one change, however many entries -------------------------------------------------------------------------------------


def _once(acts: Sequence[Audited]) -> list[Audited]:
    kept: list[Audited] = []
    for one in acts:
        same = next((n for n in reversed(range(len(kept))) if _same(kept[n], one)), None)
        if same is None:
            kept.append(one)
        else:
            kept[same] = _joined(kept[same], one)
    return [one for one in kept if not _by_robot_for(one, kept)]


def _same(first: Audited, second: Audited) -> bool:
    """Whether the second entry tells of the change that the first one told of."""
    if (first.resource, first.method, first.api) != (second.resource, second.method, second.api):
        return False
    if first.operation or second.operation:
        return first.operation == second.operation
    again = first.by == second.by and first.method in DEPLOYS and first.code == second.code == 0
    return again and second.at - first.at <= ONE_DEPLOY and _asks_the_same(first, second)


def _asks_the_same(first: Audited, second: Audited) -> bool:
    asked = _asked(second)
    return not asked or asked == _asked(first)


def _asked(one: Audited) -> Any:
    return load("google.protobuf.json_format").MessageToDict(one.payload.request)


def _joined(first: Audited, last: Audited) -> Audited:
    """The begin, with what only the end tells: how it went, and what was asked for where that is not in the begin."""
    failed = last.message or "failed" if last.code else first.failed
    payload = (
        first.payload if first.payload.HasField("request") or not last.payload.HasField("request") else last.payload
    )
    return replace(first, failed=failed, payload=payload, deltas=first.deltas or last.deltas)


def _by_robot_for(one: Audited, others: Sequence[Audited]) -> bool:
    """Whether Google's robot did it for somebody whose own entry is there."""
    return one.by.endswith(ROBOT) and any(
        o.api == FUNCTIONS and o.resource == one.resource and timedelta(0) <= one.at - o.at <= ONE_DEPLOY
        for o in others
    )


# --- what a policy was before ---------------------------------------------------------------------------------------------


def _compared(acts: Iterable[Audited], before: Iterable[Audited]) -> list[Audited]:
    """With what each change of a policy changed, where the policies before and after are known. One that changed nothing is none."""
    policies: dict[str, set[tuple[str, str, str]]] = {}
    for one in before:
        if one.method == SET_POLICY and one.code == 0 and (bound := bindings_of(one.payload)) is not None:
            policies[one.resource] = bound
    kept: list[Audited] = []
    for one in acts:
        bound = bindings_of(one.payload) if one.method == SET_POLICY and one.code == 0 else None
        was = policies.get(one.resource)
        if bound is None:
            kept += [one] if one.deltas or not says_no_change(one.payload) else []
            continue
        policies[one.resource] = bound
        if one.deltas or was is None:
            kept.append(one)
        elif changed := differences(was, bound):
            kept.append(replace(one, deltas=tuple(changed)))
    return kept


# --- what became of it ----------------------------------------------------------------------------------------------------


def _with_outcomes(acts: Sequence[Audited], outcomes: Iterable[Audited]) -> list[Audited]:
    """With what Cloud Run says of those that did not become ready. Its own word is on the deploy before it."""
    told = list(acts)
    for outcome in outcomes:
        if not outcome.code and "changed to False" not in outcome.message:
            continue
        before = [
            n for n, one in enumerate(told)
            if one.resource == outcome.resource and one.method in DEPLOYS and one.at <= outcome.at <= one.at + ONE_DEPLOY
        ]  # fmt: skip
        if before and not told[before[-1]].failed:
            told[before[-1]] = replace(told[before[-1]], failed=outcome.message)
    return told


class Named(NamedTuple):
    """The forms in which audit entries name a Cloud Run service; SetIamPolicy may leave the label empty."""

    project: str
    region: str
    service: str

    @property
    def resources(self) -> tuple[str, str, str]:
        return (
            f"namespaces/{self.project}/services/{self.service}",
            f"projects/{self.project}/locations/{self.region}/services/{self.service}",
            f"projects/{self.project}/locations/{self.region}/functions/{self.service}",
        )
