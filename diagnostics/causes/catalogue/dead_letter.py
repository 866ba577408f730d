"""Dead letters that do not go where they should."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has
from diagnostics.evidence.model import Stage
from diagnostics.steps import dead_letter, processed

CAUSES = (
    Cause(
        code="dead-letter-grants-missing",
        family="dead_letter",
        title="Dead-lettering is set up and cannot work",
        says="Google's Pub/Sub agent lacks a grant, so delivery attempts are not counted and bad messages never leave",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(dead_letter.GRANTS),
        decisive=ALWAYS,
        effects=(processed.REPEATS,),
        never_blocks=True,
        next=("pubsub-diag runbook show dead-letter-grants-missing",),
    ),
)
