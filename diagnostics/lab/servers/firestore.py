"""Firestore: one document by its name. What the programs keep there stands in `World.documents`.

Its messages come with the extra `firestore`: without it, the lab serves none of this and the RPC is UNIMPLEMENTED.
Rules of names: cloud.google.com/firestore/quotas (ids of collections and documents), firestore.proto, document.proto.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from diagnostics.lab.model import Document
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import denied, invalid, not_found
from diagnostics.lab.servers.pages import slice_page

try:
    from google.cloud.firestore_v1 import types as firestore_v1
except ImportError:
    firestore_v1 = None

DEFAULT = "(default)"
SERVICE = "google.firestore.v1.Firestore"
GET, LIST = "datastore.entities.get", "datastore.entities.list"
ID_BYTES = 1500
_PART = re.compile(r"`(?:[^`\\]|\\.)+`|[A-Za-z_][A-Za-z0-9_]*")


def get_document(cloud: Cloud, request: Any) -> Any:
    if request.WhichOneof("consistency_selector"):
        raise invalid("The lab reads documents as they are now: neither transaction nor read_time.")
    project, database, path = split_name(request.name, "projects/*/databases/*/documents/(.+)")
    if not cloud.is_project(project):
        raise denied(SERVICE, GET, request.name)
    if database != DEFAULT:
        raise not_found(
            f"The database {database} does not exist for project {project} Please visit "
            f"https://console.cloud.google.com/datastore/setup?project={project} to add a Cloud Datastore or Cloud Firestore database. "
        )
    _check_path(path, request.name)
    masked = [_parts(field) for field in request.mask.field_paths]
    found = cloud.world.documents().get(path)
    if found is None:
        raise not_found(f'Document "{request.name}" not found.')
    fields = _masked(found.fields, masked) if request.HasField("mask") else found.fields
    return _document(cloud, path, found, fields)


def _document(cloud: Cloud, path: str, found: Document, fields: dict[str, Any]) -> Any:
    document = firestore_v1.Document.pb()(
        name=f"projects/{cloud.world.project}/databases/{DEFAULT}/documents/{path}",
        fields={name: _value(value) for name, value in fields.items()},
    )
    document.create_time.FromMicroseconds(int(found.created * 1e6))
    document.update_time.FromMicroseconds(int(found.updated * 1e6))
    return document


def list_documents(cloud: Cloud, request: Any) -> Any:
    """One collection, by name or by one field: a document without the field is left out, as in any query that orders by it."""
    if request.WhichOneof("consistency_selector") or request.show_missing:
        raise invalid("The lab lists documents as they are now, and only those that are there.")
    project, database, above = split_name(request.parent, "projects/*/databases/*/documents(|/.+)")
    if not cloud.is_project(project):
        raise denied(SERVICE, LIST, request.parent)
    if database != DEFAULT:
        raise not_found(f"The database {database} does not exist for project {project}")
    begin = f"{above}/{request.collection_id}/".lstrip("/")
    held = {
        path: one
        for path, one in cloud.world.documents().items()
        if path.startswith(begin) and "/" not in path[len(begin) :]
    }
    names = sorted(held)
    if request.order_by:
        field, _, direction = request.order_by.partition(" ")
        if direction not in ("", "asc", "desc"):
            raise invalid(f"Invalid order_by {request.order_by!r}.")
        (key,) = _parts(field)
        names = [name for name in names if held[name].fields.get(key) is not None]
        names.sort(key=lambda name: held[name].fields[key], reverse=direction == "desc")
    page, token = slice_page(names, request.page_size, request.page_token, begin, request.order_by, most=300)
    masked = [_parts(field) for field in request.mask.field_paths]
    return firestore_v1.ListDocumentsResponse.pb()(
        documents=[
            _document(
                cloud, n, held[n], _masked(held[n].fields, masked) if request.HasField("mask") else held[n].fields
            )
            for n in page
        ],
        next_page_token=token,
    )


def _check_path(path: str, name: str) -> None:
    """Collections and documents take turns, and the last is a document."""
    ids = path.split("/")
    for part in ids:
        if re.fullmatch("__.*__", part):
            raise invalid(f'Resource id "{part}" is invalid because it is reserved.')
        if not part or part in (".", "..") or len(part.encode()) > ID_BYTES:
            raise invalid(f'Resource id "{part}" is invalid.')
    if len(ids) % 2:  # it ends with a collection
        raise invalid(f'Document name "{name}" lacks "/" at index {len(name)}.')


def _parts(field_path: str) -> list[str]:
    """The names in a field path: simple ones, or quoted with backticks."""
    parts = _PART.findall(field_path)
    if not parts or ".".join(parts) != field_path:
        raise invalid(
            f'Invalid property path "{field_path}". Unquoted property names must match regex ([a-zA-Z_][a-zA-Z_0-9]*).'
        )
    return [re.sub(r"\\(.)", r"\1", part[1:-1]) if part.startswith("`") else part for part in parts]


def _masked(fields: dict[str, Any], paths: list[list[str]]) -> dict[str, Any]:
    """The fields at these paths; a path that the document does not have is left out."""
    kept: dict[str, Any] = {}
    for first, *rest in paths:
        value = fields.get(first)
        if not rest and first in fields:
            kept[first] = value
        if not rest or not isinstance(value, dict):
            continue
        inner = _masked(value, [rest])
        if inner and not (first in kept and kept[first] is value):
            kept[first] = {**kept.get(first, {}), **inner}
    return kept


def _value(value: Any) -> Any:
    made = firestore_v1.Value.pb()()
    if value is None:
        made.null_value = 0
    elif isinstance(value, bool):
        made.boolean_value = value
    elif isinstance(value, int):
        made.integer_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, datetime):
        made.timestamp_value.FromDatetime(value)
    elif isinstance(value, list):
        made.array_value.SetInParent()
        made.array_value.values.extend(_value(inner) for inner in value)
    elif isinstance(value, dict):
        made.map_value.SetInParent()
        for name, inner in value.items():
            made.map_value.fields[name].CopyFrom(_value(inner))
    else:
        made.string_value = str(value)
    return made


def _methods() -> tuple[Method, ...]:
    if firestore_v1 is None:
        return ()
    asked = firestore_v1.GetDocumentRequest.pb()
    listed = firestore_v1.ListDocumentsRequest.pb()
    return (
        Method(f"{SERVICE}/GetDocument", asked, get_document, GET, lambda r: str(r.name)),
        Method(f"{SERVICE}/ListDocuments", listed, list_documents, LIST, lambda r: str(r.parent)),
    )


METHODS: tuple[Method, ...] = _methods()
