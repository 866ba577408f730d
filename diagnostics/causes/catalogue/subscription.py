"""Subscriptions that are not set up to push."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has
from diagnostics.evidence.model import Stage
from diagnostics.steps.routed import attachment

CAUSES = (
    Cause(
        code="left-in-pull-mode",
        family="subscription",
        title="The subscription was left in pull mode",
        says="the subscription has no push endpoint, so messages wait for a puller that nobody runs",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=Has(attachment.NOT_PUSH),
        decisive=ALWAYS,
        next=("pubsub-diag runbook show left-in-pull-mode", "pubsub-diag probe restore"),
    ),
)
