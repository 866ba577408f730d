"""How a batch of predictions is closed: complete, or by force. Either way its results are merged and the next phase is told."""

from __future__ import annotations

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import InstanceView, Setting
from diagnostics.lab.applications.messages import client_error, dump
from diagnostics.lab.applications.plan import BatchState
from diagnostics.lab.applications.predictions import results
from diagnostics.lab.http import PublishError
from diagnostics.lab.schedule import after

DONE_TOPIC = "nba-phase5-predictions-complete"
STALLED_S = 600.0
"""A batch is stalled after this long without a completion."""
AGE_S = 1800.0
ENOUGH = 0.95
BACKFILL = "BACKFILL"
"""A run mode after which the next phase makes nothing of the results: that is somebody's own work then."""
PICKED_S = 240.0
"""How long the next phase takes."""


def force_if_stalled(
    setting: Setting, state: BatchState, idle_s: float, enough: float, stalled_s: float, instance: InstanceView
) -> float:
    """Enough is done and nothing came for long, or half an hour of age. At a completion this is asked from 95 % on only."""
    done, age_s = len(state.completed), instance.now - state.started
    share = done / state.expected if state.expected else 1.0
    if share >= enough and idle_s >= stalled_s:
        reason = f"STALLED at {done}/{state.expected}"
    elif age_s > AGE_S and not t.has(instance.revision, t.NO_AGE_RULE):
        reason = f"TIMED OUT after {age_s / 60:.0f} min"
    else:
        return 0.0
    instance.log("WARNING", f"Batch {state.id} {reason}: completing with {done}/{state.expected} players")
    return consolidate(setting, state, instance, forced=reason)


def consolidate(setting: Setting, state: BatchState, instance: InstanceView, forced: str = "") -> float:
    """Close the batch and merge its results; returns the seconds that the merge takes, within this request."""
    state.close(instance.now, forced)
    done, rows = len(state.completed), sum(state.completed.values())
    if not forced:
        instance.log("INFO", f"Batch {state.id} complete! ({done}/{state.expected} players)")
        instance.log("INFO", f"Batch {state.id} complete! Triggering consolidation...")
    instance.log("INFO", f"Starting consolidation for batch {state.id}")

    def merged() -> None:
        how = {"keeps_both": t.MERGE_KEEPS_BOTH, "clears_last": t.MERGE_CLEARS_LAST}
        results.merge(setting.world, state.id, **{name: t.has(instance.revision, trait) for name, trait in how.items()})
        instance.log("INFO", f"CONSOLIDATION_METRICS: {rows} rows merged in {merge_s * 1000:.0f} ms [batch={state.id}]")
        instance.log("INFO", f"Consolidation SUCCESS: batch {state.id}")
        _announce(setting, state, instance)
        instance.log("INFO", f"Run history updated: status=success, completed={done}/{state.expected}")

    merge_s = 0.9 + 0.009 * rows
    instance.after(merge_s, merged)
    return merge_s


def _announce(setting: Setting, state: BatchState, instance: InstanceView) -> None:
    """Tell the next phase; a failure is only logged."""
    data = dump({"batch_id": state.id, "game_date": state.date, "completed": len(state.completed)})
    try:
        setting.publish_as(instance.revision, DONE_TOPIC, data, {})
    except PublishError as error:
        instance.log("ERROR", f"Failed to publish Phase 5 completion: {client_error(error)}")
    else:
        instance.log("INFO", f"Phase 5 completion published for batch: {state.id}")
        if state.mode != BACKFILL:
            after(setting.env, PICKED_S, lambda: results.pick(setting.world, state.date, float(setting.env.now)))
