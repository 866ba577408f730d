"""Batch state from its Firestore document: what the coordinator keeps, whoever may call the coordinator.

Only the fields that the profile names are asked for. Firestore itself tells when a document was last written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from diagnostics.evidence.model import BatchStatus, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile, PipelineProfile
from diagnostics.shell.commands import advice, command
from diagnostics.sources.batch_state.status import CoordinatorUrl
from diagnostics.sources.batch_state.told import status_of
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import GET_DOCUMENT
from diagnostics.transport.session import Session

EXTRA = "pip install 'pubsub-diag[firestore]'"
FIELDS = ("expected", "completed", "failed", "closed", "forced", "closed_at", "updated")
OWN = ("batch", "batch_id")
"""Fields by which a document names its batch, where it does."""
ID = re.compile(r"[^/\x00-\x1f]{1,500}")
"""What can be the id of a document; "." and "..", and what Firestore keeps for itself, cannot."""
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since 1970."""
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read(
    session: Session,
    pipeline: PipelineProfile,
    state: BatchStateProfile,
    coordinator: CoordinatorUrl | Unseen,
    batch: str,
) -> BatchStatus:
    """Read one batch's document. Raises NotSeen."""
    del coordinator
    if not ID.fullmatch(batch) or batch in (".", "..") or re.fullmatch("__.*__", batch):
        raise NotSeen(Why.NOT_CONFIGURED, f"the batch {redact(batch, 40)!r} is no name of a document")
    project = state.project or pipeline.project
    database = f"projects/{project}/databases/{state.database}"
    name = f"{database}/documents/{state.document.replace('{batch}', batch)}"
    source = provenance(session, state.name, name, _by_hand(name))
    try:
        found = call(session, GET_DOCUMENT, {"name": name, "mask": {"field_paths": fields_of(state)}})
    except NotThere as error:
        if "/documents/" not in str(error):  # it does not name the document: the database is missing, or more
            says = f"Firestore finds no database {state.database} in {project}: {error}"
            raise NotSeen(Why.NOT_CONFIGURED, says) from error
        return BatchStatus(source=source, batch=batch, exists=False)
    except ImportError as error:
        says = "reading Firestore needs google-cloud-firestore, which is not installed"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=EXTRA) from error
    except NotSeen as error:
        raise denied(error) from error
    said = {key: plain(value) for key, value in found.fields.items()}
    return status_of(state, source, batch, said, moment(found.update_time), moment(found.create_time))


def location(pipeline: PipelineProfile, state: BatchStateProfile, above: str, collection: str) -> tuple[str, str]:
    """What a collection is in, by its full name, and the command that lists it by hand."""
    documents = f"projects/{state.project or pipeline.project}/databases/{state.database}/documents"
    parent = f"{documents}/{above}" if above else documents
    return parent, _by_hand(f"{parent}/{collection}")


def fields_of(state: BatchStateProfile) -> list[str]:
    """The field paths that the profile names, as Firestore wants them written, each once."""
    paths = [path for name in FIELDS for path in (getattr(state, name), *state.alternatives.get(name, ())) if path]
    return list(dict.fromkeys(".".join(map(_quoted, path.split("."))) for path in (*paths, *OWN)))


def plain(value: Any) -> Any:
    """A google.firestore.v1.Value as JSON would have it; times as datetime; what no count or name can be, as text."""
    kind = value.WhichOneof("value_type")
    match kind:
        case "null_value" | None:
            return None
        case "boolean_value" | "integer_value" | "double_value" | "string_value":
            return getattr(value, kind)
        case "timestamp_value":
            return moment(value.timestamp_value)
        case "array_value":
            return [plain(inner) for inner in value.array_value.values]
        case "map_value":
            return {key: plain(inner) for key, inner in value.map_value.fields.items()}
        case "reference_value":
            return str(value.reference_value).rpartition("/")[2]
        case _:
            return str(kind)


def denied(error: NotSeen, permission: str = GET_DOCUMENT.permission) -> NotSeen:
    """Firestore says that permissions are missing, and not which."""
    if error.why is not Why.PERMISSION_DENIED or error.permission or "insufficient permissions" not in error.says:
        return error
    mend = advice("ask for a role with {permission}", permission=permission)
    return NotSeen(error.why, f"{permission} is missing", permission, mend)


def moment(at: Any) -> datetime:
    """Times before the year 1 and after 9999 are the nearest that can be told: what reads them refuses both."""
    seconds = min(max(at.seconds, _FIRST), _LAST)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=at.nanos // 1000 % 1_000_000)


def _quoted(part: str) -> str:
    if _SIMPLE.fullmatch(part):
        return part
    escaped = part.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _by_hand(name: str) -> str:
    """gcloud reads no documents."""
    url = f"https://firestore.googleapis.com/v1/{quote(name, safe='/()')}"
    return command('curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" {url}', url=url)
