"""Services that do not run what was built for them."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, any_of
from diagnostics.evidence.model import ChangeLog, Stage
from diagnostics.steps import changes
from diagnostics.steps.changes import builds
from diagnostics.steps.cold_start import instances, startup

CAUSES = (
    Cause(
        code="min-instances-lost-in-deploy",
        family="drift",
        title="A deploy lost the minimum of instances",
        says="the serving revision keeps no instance warm; the one before it did",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(changes.MIN_INSTANCES),
        decisive=ALWAYS,
        effects=(startup.TOO_SLOW, instances.CANNOT_SCALE),
        never_blocks=True,
        next=("pubsub-diag runbook show min-instances-lost-in-deploy",),
    ),
    Cause(
        code="newest-build-not-served",
        family="drift",
        title="What was built last is not what serves",
        says="{service} was built again as {newest}, and pushes still go to {serving}: a fix in it is not in force",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=any_of(Has(builds.NO_TRAFFIC), Has(builds.NOT_READY), Has(builds.STALE_TAG)),
        decisive=ALWAYS,
        overturned_by=(ChangeLog,),
        never_blocks=True,
        next=("pubsub-diag runbook show newest-build-not-served", "pubsub-diag changes --leg {leg}"),
    ),
)
