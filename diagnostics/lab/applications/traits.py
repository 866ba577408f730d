"""Which version of a program an image holds: a set of traits, each one way in which a build differs from the good one."""

from __future__ import annotations

from functools import cache

from diagnostics.lab.model import Revision

# Workers
POISON_REFUSED = "poison-refused"
"""A message that can never be read is answered 400 instead of being acknowledged."""
INJURY_TRANSIENT = "injury-transient"
"""One permanent skip reason is missing from the list, and is answered 500."""
STALE_RETRIED = "stale-retried"
"""A transient failure of a past date is answered 500 like any other, instead of being given up (predictions)."""
SKIP_WITHOUT_COMPLETION = "skip-without-completion"
"""A permanent skip is acknowledged but never reported."""
COMPLETION_BEFORE_WRITE = "completion-before-write"
"""A failed write is acknowledged and reported as done."""
BROKEN = "broken"
"""Every item fails on the same programming error, after its work."""
ACK_FIRST = "ack-first"
"""Answers at once and works afterwards."""
COMPLETION_NACKS = "completion-nacks"
"""A completion that cannot be published makes the worker answer 500 (orders does so; with this, predictions too)."""
COMPLETION_SWALLOWED = "completion-swallowed"
"""A completion that cannot be published is logged and forgotten (predictions does so; with this, orders too)."""

CONSTANT_VERSION = "constant-version"
"""Its rows carry a constant instead of the version of the model that made them (predictions)."""
LOCAL_MODEL_FIRST = "local-model-first"
"""It loads the model that lies in its image, whatever its variable names (predictions)."""
COUNT_LOST = "count-lost"
"""An item that could not be counted is acknowledged all the same (scans)."""
UNSIZED = "unsized"
"""Its lines do not say how many items there are (tiles)."""
FLAT_CONFIDENCE = "flat-confidence"
"""Its rows all have the same confidence, whatever the model says (predictions)."""

# Coordinators
EXPECTED_KEPT = "expected-kept"
"""The expected count is written before the gate and never lowered; an empty batch stays open."""
CREATED_FIRST = "created-first"
"""The batch is created before the long loading, not after it."""
ALL_REQUIRED = "all-required"
"""A batch closes only when nothing at all is missing (predictions; orders does so anyway)."""
NO_AGE_RULE = "no-age-rule"
"""No batch is closed for its age (predictions)."""
RESET_BLOCKS = "reset-blocks"
"""After a reset, the instance still holds the batch for running and refuses the next start (predictions)."""
STATE_IN_MEMORY = "state-in-memory"
"""Batches live in the instance's memory and are gone with it."""
NO_PUBLISH_METRICS = "no-publish-metrics"
"""The PUBLISH_METRICS line does not exist yet (predictions)."""
RECORD_SWALLOWED = "record-swallowed"
"""A completion that could not be recorded is acknowledged, and nothing is said of it."""
OLD_TOPIC_DEFAULT = "old-topic-default"
"""Without a topic in the environment, a topic is used that does not exist (predictions)."""

MERGE_KEEPS_BOTH = "merge-keeps-both"
"""Merging results marks those that they replace, and leaves them in force (predictions)."""
MERGE_CLEARS_LAST = "merge-clears-last"
"""Merging takes the rows of its players out of force when it has added the new ones, and those with them (predictions)."""

# Both
SERVER_TIMEOUT = "server-timeout"
"""Its server kills the process that has been at a request for thirty seconds, as gunicorn does by default; the container lives on."""
BUSY_FAILS_LIVENESS = "busy-fails-liveness"
"""It answers no liveness probe while it is at work, and is shut down after forty seconds of that."""
OUTLIVES_TIMEOUT = "outlives-timeout"
"""The program goes on with a request after Cloud Run gave it up with 504; otherwise its work ends there."""

TRAITS = frozenset(
    {
        POISON_REFUSED,
        INJURY_TRANSIENT,
        STALE_RETRIED,
        SKIP_WITHOUT_COMPLETION,
        COMPLETION_BEFORE_WRITE,
        BROKEN,
        ACK_FIRST,
        COMPLETION_NACKS,
        COMPLETION_SWALLOWED,
        CONSTANT_VERSION,
        LOCAL_MODEL_FIRST,
        COUNT_LOST,
        UNSIZED,
        FLAT_CONFIDENCE,
        EXPECTED_KEPT,
        CREATED_FIRST,
        ALL_REQUIRED,
        NO_AGE_RULE,
        RESET_BLOCKS,
        STATE_IN_MEMORY,
        NO_PUBLISH_METRICS,
        RECORD_SWALLOWED,
        OLD_TOPIC_DEFAULT,
        MERGE_KEEPS_BOTH,
        MERGE_CLEARS_LAST,
        SERVER_TIMEOUT,
        BUSY_FAILS_LIVENESS,
        OUTLIVES_TIMEOUT,
    }
)
PRESETS: dict[str, frozenset[str]] = {
    "head": frozenset(),
    "pre-fix": frozenset(
        {
            POISON_REFUSED,
            INJURY_TRANSIENT,
            STALE_RETRIED,
            SKIP_WITHOUT_COMPLETION,
            EXPECTED_KEPT,
            NO_AGE_RULE,
            NO_PUBLISH_METRICS,
        }
    ),
}
"""head: all is well. pre-fix: the example pipeline on the night of its incident, both programs."""


@cache
def traits_of(code: str) -> frozenset[str]:
    """Traits of a version as scenarios name it: "head", "pre-fix", or a preset and traits: "pre-fix ack-first -no-age-rule".

    Raises ValueError for a word that is neither.
    """
    traits: frozenset[str] = frozenset()
    for word in code.split():
        name = word.removeprefix("-")
        if name not in PRESETS and name not in TRAITS:
            raise ValueError(
                f"unknown version or trait {name!r}; known: {', '.join(sorted(PRESETS | dict.fromkeys(TRAITS)))}"
            )
        named = PRESETS.get(name, frozenset({name}))
        traits = traits - named if word.startswith("-") else traits | named
    return traits


def has(revision: Revision, trait: str) -> bool:
    """Whether the program in this revision's image has the trait."""
    return trait in traits_of(revision.code)
