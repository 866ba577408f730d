"""The diagnosis as JSON. Its form is API: `schema_version` counts the versions, `schema()` documents this one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.whole_text import wholly
from diagnostics.report.escape import clean_json


def render(diagnosis: Diagnosis) -> str:
    """The diagnosis as indented JSON: keys in the order of the types, times in RFC 3339 with Z."""
    return pretty(_encoded(diagnosis))


def render_all(diagnoses: Sequence[Diagnosis]) -> str:
    """One diagnosis by itself, several as a list."""
    if len(diagnoses) == 1:
        return render(diagnoses[0])
    return pretty(b"[" + b",".join(map(_encoded, diagnoses)) + b"]")


def render_resubmit(diagnosis: Diagnosis) -> str:
    """A JSON list of the names of the items that have to be sent again."""
    return pretty(msgspec.json.encode(diagnosis.recovery.resubmit))


def _encoded(diagnosis: Diagnosis) -> bytes:
    try:
        return msgspec.json.encode(diagnosis, order="deterministic")
    except UnicodeEncodeError:  # a name from the command line that is no UTF-8
        return msgspec.json.encode(wholly(diagnosis), order="deterministic")


def pretty(encoded: bytes) -> str:
    return clean_json(msgspec.json.format(encoded, indent=2).decode())


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render` writes, generated from the types."""
    described = msgspec.json.schema(Diagnosis)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pubsub-diag diagnosis", **described}


def schema_text() -> str:
    return json.dumps(schema(), indent=2)
