"""The models that the places know, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from diagnostics.conclude.models import ModelRow
from diagnostics.report.layout import Layout, clock


def render(models: Sequence[ModelRow], layout: Layout, now: datetime) -> str:
    """Name, training range, features, the begin of the digest, status, and which revision serves it; a table where the page has room."""
    rows = [
        [
            model.name,
            f"{model.trained_from} to {model.trained_to}" if model.trained_from and model.trained_to else "",
            "" if model.features is None else str(model.features),
            model.sha256[:12],
            _status(model),
            _serves(model, now),
            ", ".join(model.told_by),
        ]
        for model in models
    ]
    head = ["model", "trained on", "features", "SHA-256", "status", "serves", "known to"]
    table = layout.table(head, rows, right=[2])
    return table if layout.fits(table) else layout.records(head, rows)


def _status(model: ModelRow) -> str:
    if not model.production:
        return model.status
    said = "production" if model.status in ("", "production") else f"production ({model.status})"
    return f"{said} since {model.since}" if model.since else said


def _serves(model: ModelRow, now: datetime) -> str:
    if not model.serves:
        return ""
    since = f" since {clock(model.loaded, now)}" if model.loaded else ""
    return f"{', '.join(model.serves)}{since}"
