"""Services that do not run what was built for them."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, any_of
from diagnostics.evidence.model import Stage
from diagnostics.steps import builds

CAUSES = (
    Cause(
        code="newest-build-not-served",
        family="drift",
        title="What was built last is not what serves",
        says="{service} was built anew as {newest}, and pushes still go to {serving}: a fix in it is not in force",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=any_of(Has(builds.NO_TRAFFIC), Has(builds.NOT_READY), Has(builds.STALE_TAG)),
        decisive=ALWAYS,
        never_blocks=True,
        next=("pubsub-diag runbook show newest-build-not-served", "pubsub-diag changes --leg {leg}"),
    ),
)
