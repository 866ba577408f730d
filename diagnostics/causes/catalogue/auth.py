"""Pushes that are refused before they reach code."""

from diagnostics.causes.model import BOTH, Cause, Has, Over, all_of, any_of, ok
from diagnostics.evidence.model import ProjectPolicy, ServiceConfig, ServicePolicy, Stage, SubscriptionConfig
from diagnostics.steps import push_auth
from diagnostics.steps.finding import Status

_FORBIDDEN = any_of(Has(push_auth.FORBIDDEN), Over(push_auth.FORBIDDEN, lambda told: told.spent, 0))
_REFUSED = any_of(Has(push_auth.REFUSED), Over(push_auth.REFUSED, lambda told: told.spent, 0))
"""Refused so now, or until nothing of the batch was left to be pushed: what is set up wrong is to blame as long as it is."""

CAUSES = (
    Cause(
        code="push-invoker-missing",
        family="auth",
        title="The push account may not invoke the service",
        says="the push service account lacks roles/run.invoker on the service",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(push_auth.INVOKER),
        decisive=all_of(Has(push_auth.INVOKER, (Status.FAULT,)), _FORBIDDEN),
        effects=(push_auth.FORBIDDEN,),
        refutes=ok(push_auth.PROVEN),
        overturned_by=(ServicePolicy, ProjectPolicy),
        settled_by=("pubsub-diag push-auth --leg {leg}",),
        next=("pubsub-diag runbook show push-invoker-missing", "pubsub-diag push-auth --leg {leg}"),
    ),
    Cause(
        code="push-audience-mismatch",
        family="auth",
        title="The service does not accept the push token's audience",
        says="the audience in the push configuration is neither a URL of the service nor a custom audience",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(push_auth.AUDIENCE),
        decisive=_REFUSED,
        effects=(push_auth.REFUSED,),
        refutes=ok(push_auth.PROVEN),
        overturned_by=(SubscriptionConfig, ServiceConfig),
        settled_by=("pubsub-diag push-auth --leg {leg}",),
        next=("pubsub-diag runbook show push-audience-mismatch", "pubsub-diag push-auth --leg {leg}"),
    ),
)
