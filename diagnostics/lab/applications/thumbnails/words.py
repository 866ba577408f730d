"""What both programs say for what happens to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.messages import OVERSIZED, dump

BATCH_FIELD, ITEM_FIELD = "dropId", "imageKey"
MISSING_PROJECT = 'panic: config: required key "GCP_PROJECT_ID" missing value'
REASONS = {
    "skip": "image_withdrawn",
    "injury": "supplier_suspended",
    "transient": "source_bucket_timeout",
    "limited": "source_bucket_throttled",
    "downstream": "source_bucket_unavailable",
}
PLACES = {
    "batch": ("drop", "id"),
    "date": ("drop", "day"),
    "mode": ("drop", "size"),
    "blocker": ("drop", "open"),
    "expected": ("drop", "images"),
    "exported": ("drop", "scaled"),
    "of": ("drop", "of"),
    "queued": ("drop", "handed_out"),
    "failed": ("drop", "not_handed_out"),
    "selected": ("drop", "to_scale"),
    "found": ("drop", "found"),
    "count": ("drop", "found"),
    "alreadyExported": ("drop", "scaled_before"),
    "onHold": ("drop", "in_review"),
    "order": ("image", "key"),
    "lines": ("image", "renditions"),
    "ms": ("image", "took_ms"),
    "retry": ("task", "retry"),
}
"""Group and name of what a line is about; what has no place here stands beside the groups, under its own name."""


def tell(instance: InstanceView, severity: str, says: Mapping[str, str], event: str, about: Mapping[str, Any]) -> None:
    """One line in this pipeline's words, or none where it has none for that."""
    message = says.get(event)
    if not message:
        return
    line: dict[str, Any] = {"msg": message}
    for name, value in about.items():
        group, _, inner = ".".join(PLACES.get(name, (name,))).partition(".")
        if inner:
            line.setdefault(group, {})[inner] = value
        else:
            line["err" if group == "reason" else group] = value
    instance.log(severity, json=line)


def drop(date: str, number: int) -> str:
    """Name of the number-th drop of a day."""
    return f"drop-{date.replace('-', '')}-{number:02d}"


def image(rng: random.Random) -> str:
    return f"p{rng.randint(10000, 99999)}-{rng.randint(1, 9)}.jpg"


def request_data(payload: str, item: str, date: str, batch: str, rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a request; a malformed one lacks the image, an undecodable one is no JSON."""
    if payload == "undecodable":
        return f"<image>{item}</image>".encode(), {"supplier": "unknown"}
    content: dict[str, Any] = {BATCH_FIELD: batch, "date": date, "widths": rng.choice(([160, 640], [160, 640, 1280]))}
    content |= {"image": item} if payload == "malformed" else {ITEM_FIELD: item}
    return dump(content) + (OVERSIZED if payload == "oversized" else b""), {"supplier": f"s{rng.randint(10, 99)}"}


def receipt_data(item: str, batch: str, renditions: int) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of what comes back."""
    content: dict[str, Any] = {BATCH_FIELD: batch, ITEM_FIELD: item, "lines": renditions}
    if not batch:
        del content[BATCH_FIELD]
    return dump(content), {}
