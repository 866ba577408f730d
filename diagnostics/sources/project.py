"""Whether the pipeline's project can be seen at all: most APIs call a project that is not there a missing permission."""

from __future__ import annotations

from diagnostics.evidence.model import Leg
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.route import full_subscription
from diagnostics.transport.call import NoProject, NotThere, call
from diagnostics.transport.rpcs import GET_SUBSCRIPTION
from diagnostics.transport.session import Session


def out_of_sight(session: Session, pipeline: PipelineProfile) -> NoProject | None:
    """What keeps us from the whole project: Pub/Sub tells it apart from a permission that is missing inside."""
    _, project, _, name = full_subscription(pipeline, Leg.REQUEST).split("/")
    if project != pipeline.project:
        return None
    try:
        call(session, GET_SUBSCRIPTION, {"subscription": f"projects/{project}/subscriptions/{name}"}, repeated=False)
    except NoProject as hidden:
        return hidden
    except (NotThere, NotSeen):
        return None
    return None
