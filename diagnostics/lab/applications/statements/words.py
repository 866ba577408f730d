"""What both programs say for what happens to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.messages import OVERSIZED, dump

BATCH_FIELD, ITEM_FIELD = "cycleId", "accountNo"
REASONS = {
    "skip": "account_dormant",
    "injury": "customer_opted_out",
    "transient": "template_store_timeout",
    "limited": "template_store_throttled",
    "downstream": "template_store_down",
}
FIELDS = {
    "batch": "cycle",
    "order": "account",
    "reason": "err",
    "lines": "pages",
    "ms": "tookMs",
    "blocker": "open",
    "date": "day",
    "expected": "accounts",
    "exported": "rendered",
    "queued": "sent",
    "selected": "chosen",
    "found": "due",
    "alreadyExported": "made",
    "onHold": "held",
}
"""Names of what a line is about; others stay as they are."""


def tell(instance: InstanceView, severity: str, says: Mapping[str, str], event: str, about: Mapping[str, Any]) -> None:
    """One line in this pipeline's words, or none where it has none for that."""
    message = says.get(event)
    if message:
        ctx = {FIELDS.get(name, name): value for name, value in about.items()}
        instance.log(severity, json={"message": message, "ctx": ctx})


def cycle(date: str, number: int) -> str:
    """Name of the number-th cycle of a day."""
    return f"C{date.replace('-', '')}{'abcdefghijklmnopqrstuvwxyz'[number % 26]}"


def account(rng: random.Random) -> str:
    return f"{rng.randint(1000, 9999)}-{rng.randint(10, 99)}-{rng.randint(100, 999)}"


def request_data(payload: str, item: str, date: str, batch: str, rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a task; a malformed one lacks the account, an undecodable one is no JSON."""
    if payload == "undecodable":
        return f"account;{item}".encode(), {}
    content: dict[str, Any] = {BATCH_FIELD: batch, "date": date, "locale": rng.choice(("en", "fr", "nl"))}
    content |= {"acct": item} if payload == "malformed" else {ITEM_FIELD: item}
    return dump(content) + (OVERSIZED if payload == "oversized" else b""), {}


def receipt_data(item: str, batch: str, pages: int) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a confirmation."""
    content: dict[str, Any] = {BATCH_FIELD: batch, ITEM_FIELD: item, "lines": pages}
    if not batch:
        del content[BATCH_FIELD]
    return dump(content), {}
