"""What looks like a stall and is none."""

from diagnostics.causes.model import ALWAYS, Cause, any_of, ok
from diagnostics.evidence.model import Stage
from diagnostics.steps import created, published, recorded
from diagnostics.steps import progress as p

CAUSES = (
    Cause(
        code="done",
        family="state",
        title="The batch is done",
        says="the batch is closed",
        stage=Stage.CLOSED,
        requires=ok(recorded.CLOSED),
        decisive=ALWAYS,
        refutes=ok(published.EMPTY),
        benign=True,
    ),
    Cause(
        code="empty-by-design",
        family="state",
        title="The batch is empty by design",
        says="the coordinator found nothing to do, and the profile lists its reason as right",
        stage=Stage.PUBLISHED,
        requires=ok(published.EMPTY),
        decisive=ALWAYS,
        benign=True,
    ),
    Cause(
        code="still-running",
        family="artefact",
        title="The batch is still running",
        says="items got further within the time that one item may take",
        stage=Stage.PROCESSED,
        requires=ok(p.PROGRESSING),
        decisive=ALWAYS,
        benign=True,
    ),
    Cause(
        code="too-early",
        family="artefact",
        title="It is too early to judge",
        says="nothing has come back yet, and nothing has to have",
        stage=Stage.PROCESSED,
        requires=any_of(ok(p.TOO_EARLY), ok(created.LOADING)),
        decisive=any_of(ok(p.TOO_EARLY), ok(created.LOADING)),
        benign=True,
    ),
)
