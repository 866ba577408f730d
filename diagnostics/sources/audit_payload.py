"""What an audit entry says that changed: roles given and taken, and the fields of the request. Values of environments are hashed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diagnostics.evidence.redact import endpoint, hashed, redact
from diagnostics.transport.clients import load

FIELDS = 8
"""How many changed fields one change names."""
NOT_CHANGES = frozenset({"@type", "name", "resource", "updateMask", "apiVersion", "kind"})
"""Fields of a request that name what is changed, not the change."""

Path = tuple[str, ...]


def says_of(payload: Any) -> str:
    """A google.cloud.audit.AuditLog in a line; empty when it does not tell."""
    deltas = [f"{_action(d)} {d.role} for {redact(d.member)}" for d in policy_deltas(payload)]
    deltas += _permission_deltas(payload)
    if deltas:
        return redact("; ".join(deltas))
    request = load("google.protobuf.json_format").MessageToDict(payload.request)
    fields = _masked(list(_leaves(request, payload.resource_name)), request.get("updateMask", ""))
    fields.sort(
        key=lambda field: field[1].startswith("#")
    )  # settings before environments, which a deploy repeats in full
    return ", ".join(f"{path[-1]}={value}" for path, value in fields[:FIELDS])


def policy_deltas(payload: Any) -> list[Any]:
    """Roles that a SetIamPolicy gave and took (google.iam.v1.BindingDelta), where IAM wrote them: in serviceData, or in metadata."""
    data = load("google.iam.v1.logging.audit_data_pb2").AuditData()
    if not payload.service_data.Unpack(data):
        json_format = load("google.protobuf.json_format")
        delta = json_format.MessageToDict(payload.metadata).get("policyDelta", {})
        json_format.ParseDict({"policyDelta": delta}, data, ignore_unknown_fields=True)
    return list(data.policy_delta.binding_deltas)


def _permission_deltas(payload: Any) -> list[str]:
    """Permissions that a change of a custom role added and removed (google.iam.admin.v1.AuditData)."""
    data = load("google.cloud.iam_admin_v1.types").AuditData.pb()()
    if not payload.service_data.Unpack(data):
        return []
    delta = data.permission_delta
    return [f"remove {p}" for p in delta.removed_permissions] + [f"add {p}" for p in delta.added_permissions]


def _action(delta: Any) -> str:
    return str(delta.DESCRIPTOR.fields_by_name["action"].enum_type.values_by_number[delta.action].name).lower()


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
