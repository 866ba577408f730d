"""The pipeline's project: its id where it was named by its number, and whether it can be seen at all."""

from __future__ import annotations

from diagnostics.evidence.model import Leg
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.route import full_subscription
from diagnostics.transport.call import NoProject, NotThere, call
from diagnostics.transport.rpcs import GET_PROJECT, GET_SUBSCRIPTION
from diagnostics.transport.session import Session


def by_id(session: Session, project: str, subscription: str = "") -> str:
    """The id of a project that may be named by its number, which Google takes everywhere and answers with the id. Where Resource
    Manager does not tell it, the name of the subscription does; where neither does, as it was named."""
    if not project.isdigit():
        return project
    try:
        return str(call(session, GET_PROJECT, {"name": f"projects/{project}"}).project_id) or project
    except (NotThere, NotSeen):
        return _by_subscription(session, project, subscription) or project


def _by_subscription(session: Session, project: str, subscription: str) -> str:
    if not subscription or "/" in subscription:
        return ""
    try:
        found = call(session, GET_SUBSCRIPTION, {"subscription": f"projects/{project}/subscriptions/{subscription}"})
    except (NotThere, NotSeen):
        return ""
    return str(found.name.split("/")[1])


def out_of_sight(session: Session, pipeline: PipelineProfile) -> NoProject | None:
    """What keeps us from the whole project: Pub/Sub tells it apart from a permission that is missing inside, as most APIs do not."""
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
