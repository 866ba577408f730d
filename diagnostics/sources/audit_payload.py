"""What an audit entry says that changed: roles given and taken, and the fields of the request. Values of environments are hashed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from diagnostics.evidence.redact import endpoint, hashed, redact
from diagnostics.transport.clients import load

FIELDS = 8
"""How many changed fields one change names."""
NOT_CHANGES = frozenset({"@type", "name", "resource", "updateMask", "apiVersion", "kind"})
"""Fields of a request that name what is changed, not the change."""

Path = tuple[str, ...]


Bound = tuple[str, str, str]
"""Role, member, condition."""


class PolicyDelta(NamedTuple):
    """A role that was given (`added`) or taken."""

    added: bool
    role: str
    member: str
    condition: str = ""


def says_of(payload: Any, known: Iterable[PolicyDelta] = ()) -> str:
    """A google.cloud.audit.AuditLog in a line; empty when it does not tell. `known`: what a change of a policy changed."""
    given = list(known) or policy_deltas(payload)
    deltas = [f"{'add' if d.added else 'remove'} {d.role} for {redact(d.member)}" for d in given]
    deltas += _permission_deltas(payload)
    if deltas:
        return redact("; ".join(deltas))
    if (bound := bindings_of(payload)) is not None and _sets_policy(payload):
        return (
            redact("; ".join(f"sets {role} for {member}" for role, member, _ in sorted(bound)))
            or "sets an empty policy"
        )
    request = load("google.protobuf.json_format").MessageToDict(payload.request)
    fields = _masked(list(_leaves(request, payload.resource_name)), request.get("updateMask", ""))
    fields.sort(
        key=lambda field: field[1].startswith("#")
    )  # settings before environments, which a deploy repeats in full
    return ", ".join(f"{path[-1]}={value}" for path, value in fields[:FIELDS])


def policy_deltas(payload: Any) -> list[PolicyDelta]:
    """Roles that a SetIamPolicy gave and took (google.iam.v1.BindingDelta), where IAM wrote them: in serviceData, or in metadata."""
    data = load("google.iam.v1.logging.audit_data_pb2").AuditData()
    if not payload.service_data.Unpack(data):
        json_format = load("google.protobuf.json_format")
        delta = json_format.MessageToDict(payload.metadata).get("policyDelta", {})
        json_format.ParseDict({"policyDelta": delta}, data, ignore_unknown_fields=True)
    return [
        PolicyDelta(d.action == d.ADD, d.role, d.member, d.condition.expression)
        for d in data.policy_delta.binding_deltas
    ]


def says_no_change(payload: Any) -> bool:
    """Whether a SetIamPolicy says by itself that no role was given or taken."""
    said = (
        payload.service_data.type_url.endswith("google.iam.v1.logging.AuditData")
        or "policyDelta" in payload.metadata.fields
    )
    return said and _sets_policy(payload) and payload.status.code == 0 and not policy_deltas(payload)


def bindings_of(payload: Any) -> set[Bound] | None:
    """The policy that a SetIamPolicy left, as it was answered, else as it was asked for; None: the entry does not hold it. An
    answered policy without bindings is an empty one."""
    to_dict = load("google.protobuf.json_format").MessageToDict
    answer, asked = to_dict(payload.response), to_dict(payload.request).get("policy")
    policy = answer or asked
    if not _sets_policy(payload) or not isinstance(policy, dict):
        return None
    bindings = [b for b in policy.get("bindings", ()) if isinstance(b, dict)]
    return {(b.get("role", ""), m, _expression(b)) for b in bindings for m in b.get("members", ())}


def _expression(binding: dict[str, Any]) -> str:
    condition = binding.get("condition")
    return str(condition.get("expression", "")) if isinstance(condition, dict) else ""


def differences(was: set[Bound], now: set[Bound]) -> list[PolicyDelta]:
    """What made the one policy the other: taken first."""
    return [PolicyDelta(False, *b) for b in sorted(was - now)] + [PolicyDelta(True, *b) for b in sorted(now - was)]


def _sets_policy(payload: Any) -> bool:
    return str(payload.method_name).lower().endswith("setiampolicy")


def _permission_deltas(payload: Any) -> list[str]:
    """Permissions that a change of a custom role added and removed (google.iam.admin.v1.AuditData)."""
    data = load("google.cloud.iam_admin_v1.types").AuditData.pb()()
    if not payload.service_data.Unpack(data):
        return []
    delta = data.permission_delta
    return [f"remove {p}" for p in delta.removed_permissions] + [f"add {p}" for p in delta.added_permissions]


def _masked(fields: list[tuple[Path, str]], mask: Any) -> list[tuple[Path, str]]:
    """Only what the update mask names; the mask itself where the request does not hold it."""
    paths = mask.split(",") if isinstance(mask, str) else list(mask.get("paths", ()))
    names = {_plain_name(path): path for path in paths if path}
    if not names:
        return fields
    found = [(path, value) for path, value in fields if any(_plain_name(part) in names for part in path)]
    return found or [((name,), "changed") for name in names.values()]


def _leaves(value: Any, salt: str, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """(path, value) of every field of a request, by name: a message has its fields in another order in every run."""
    if isinstance(value, dict):
        if path and {"name", "value"} <= value.keys():
            yield (*path, str(value["name"])), f"#{hashed(str(value['value']), salt)}"
            return
        for key, inner in sorted(value.items()):
            if key not in NOT_CHANGES:
                yield from _leaves(inner, salt, (*path, key.rpartition("/")[2]))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, salt, path)
    elif path and value not in ("", None):
        yield path, endpoint(value) if isinstance(value, str) and "://" in value else _plain(value)


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain_name(name: str) -> str:
    """push_config and subscription.pushConfig compare equal."""
    return name.rpartition(".")[2].replace("_", "").lower()
