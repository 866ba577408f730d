"""What IAM and Resource Manager say of accounts and the project."""

from __future__ import annotations

from diagnostics.evidence.model import ProjectInfo, ProjectPolicy, PushAccount, PushAccountPolicy, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.pubsub import bindings
from diagnostics.sources.route import Push
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.provenance import gcloud, provenance
from diagnostics.transport.rpcs import ACCOUNT_POLICY, GET_ACCOUNT, GET_PROJECT, PROJECT_POLICY
from diagnostics.transport.session import Session


def push_account(session: Session, pipeline: PipelineProfile, push: Push) -> PushAccount:
    name = full_account(pipeline, push.account)
    source = provenance(session, "IAM", name, gcloud("iam", "service-accounts", "describe", push.account))
    try:
        found = call(session, GET_ACCOUNT, {"name": name})
    except NotThere:
        return PushAccount(source=source, email=push.account, exists=False)
    return PushAccount(source=source, email=push.account, exists=True, disabled=found.disabled)


def push_account_policy(session: Session, pipeline: PipelineProfile, push: Push) -> PushAccountPolicy:
    name = full_account(pipeline, push.account)
    by_hand = gcloud("iam", "service-accounts", "get-iam-policy", push.account)
    return PushAccountPolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, ACCOUNT_POLICY, name),
    )


def project_info(session: Session, pipeline: PipelineProfile) -> ProjectInfo:
    name = f"projects/{pipeline.project}"
    try:
        found = call(session, GET_PROJECT, {"name": name})
    except NotThere as error:
        raise NotSeen(
            Why.FAILED, f"the project {pipeline.project} does not exist", mend="say another --project"
        ) from error
    return ProjectInfo(
        source=provenance(session, "Resource Manager", name, gcloud("projects", "describe", pipeline.project)),
        project=pipeline.project,
        number=found.name.rpartition("/")[2],
    )


def project_policy(session: Session, pipeline: PipelineProfile) -> ProjectPolicy:
    name = f"projects/{pipeline.project}"
    by_hand = gcloud("projects", "get-iam-policy", pipeline.project)
    return ProjectPolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, PROJECT_POLICY, name),
    )


def full_account(pipeline: PipelineProfile, email: str) -> str:
    """Name of a service account for the IAM API. Raises NotSeen when the pushes carry no token.

    With the wildcard "-" for its project, IAM answers 403 where it would answer 404; so the project is named: it is in the
    e-mail, but for the default accounts.
    """
    if not email:
        raise NotSeen(Why.NOT_CONFIGURED, "the pushes carry no token, so there is no push account")
    domain = email.rpartition("@")[2]
    named = domain.removesuffix(".iam.gserviceaccount.com") if domain.endswith(".iam.gserviceaccount.com") else ""
    return f"projects/{named or pipeline.project}/serviceAccounts/{email}"
