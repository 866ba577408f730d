"""How long a message may rest between two pushes, as its subscription is set up."""

from __future__ import annotations

from datetime import timedelta

from diagnostics.evidence.model import SubscriptionConfig, Unseen

LONGEST_DEADLINE_S = 600.0
"""The longest ack deadline that Pub/Sub takes (push subscription properties)."""
LONGEST_BACKOFF_S = 600.0
"""The longest delay that a retry policy takes."""
LEAST_ATTEMPTS = 5
"""The fewest delivery attempts after which a dead-letter policy may give a message up (dead-letter topics page)."""
PUSH_BACKOFF_S = 60.0
"""The longest delay that a push subscription adds by itself, for all its messages, while pushes fail (push page)."""


def between_tries(subscription: SubscriptionConfig | Unseen) -> timedelta:
    """From one answer to a message's push until the next one at the latest: the longer of the two delays, then the ack deadline.
    The longest that there is where the subscription was not seen."""
    if isinstance(subscription, Unseen) or subscription.settings is None:
        return timedelta(seconds=LONGEST_BACKOFF_S + LONGEST_DEADLINE_S)
    settings = subscription.settings
    backoff = max(settings.retry.max_s if settings.retry else 0.0, PUSH_BACKOFF_S)
    return timedelta(seconds=backoff + settings.ack_deadline_s)
