"""Pushes that are refused before they reach code."""

from diagnostics.causes.model import BOTH, Cause, Has, any_of, ok
from diagnostics.evidence.model import Stage
from diagnostics.steps import delivered, push_auth

_EFFECTS = (
    push_auth.REFUSED,
    push_auth.SILENT,
)

CAUSES = (
    Cause(
        code="push-invoker-missing",
        family="auth",
        title="The push account may not invoke the service",
        says="the push service account lacks roles/run.invoker on the service",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(push_auth.INVOKER),
        decisive=any_of(Has(push_auth.REFUSED), Has(delivered.FAILING)),
        effects=_EFFECTS,
        refutes=ok(push_auth.PROVEN),
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
        decisive=any_of(Has(push_auth.REFUSED), Has(delivered.FAILING)),
        effects=_EFFECTS,
        refutes=ok(push_auth.PROVEN),
        settled_by=("pubsub-diag push-auth --leg {leg}",),
        next=("pubsub-diag runbook show push-audience-mismatch", "pubsub-diag push-auth --leg {leg}"),
    ),
)
