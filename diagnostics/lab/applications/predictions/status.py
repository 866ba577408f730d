"""What GET /status says: one form from the instance that owns the batch, another from the store."""

from __future__ import annotations

import json
from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.plan import BatchState
from diagnostics.lab.applications.predictions.closing import STALLED_S


def status_of(state: BatchState | None, asked: str, instance: InstanceView) -> tuple[int, bytes]:
    """HTTP status and body for a batch; `asked` is the batch id of the query, or ""."""
    if state is None:
        says: dict[str, Any] = {"status": "not_found", "batch_id": asked} if asked else {"status": "no_active_batch"}
        return (404 if asked else 200), json.dumps(says).encode()
    done = len(state.completed)
    share = round(100 * done / state.expected, 1) if state.expected else 100.0
    says = {"status": "complete" if state.closed else "in_progress", "batch_id": state.id}
    if instance.memory.get("batch") == state.id:
        says |= {
            "progress": {
                "expected": state.expected,
                "completed": done,
                "failed": 0,
                "remaining": max(0, state.expected - done),
                "is_complete": state.closed,
                "total_predictions": sum(state.completed.values()),
                "elapsed_seconds": round(instance.now - state.started),
                "progress_percentage": share,
            },
            "is_stalled": not state.closed and instance.now - state.updated > STALLED_S,
        }
    else:
        says |= {
            "game_date": state.date,
            "expected_players": state.expected,
            "completed_players": done,
            "completion_pct": share,
            "source": "firestore",
        }
    return 200, json.dumps(says).encode()
