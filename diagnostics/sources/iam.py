"""What IAM and Resource Manager say of accounts and the project."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from diagnostics.evidence.model import (
    Above,
    AncestorPolicies,
    Binding,
    CustomRole,
    CustomRoles,
    DeadLetterTopicPolicy,
    Leg,
    Policy,
    ProjectInfo,
    ProjectPolicy,
    PushAccount,
    PushAccountPolicy,
    ServicePolicy,
    SubscriptionPolicy,
    TopicPolicy,
    Unseen,
    Why,
)
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import advice, command
from diagnostics.sources.collect import BY_THE_WAY
from diagnostics.sources.pubsub import bindings
from diagnostics.sources.route import Signer
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import (
    ACCOUNT_POLICY,
    FOLDER_POLICY,
    GET_ACCOUNT,
    GET_FOLDER,
    GET_PROJECT,
    GET_ROLE,
    ORGANIZATION_POLICY,
    PROJECT_POLICY,
)
from diagnostics.transport.session import Session, together

LEVELS = 12
"""Folders lie at most ten deep (Resource Manager: quotas), and the organisation is above them."""
ROLES = 30
"""So many custom roles are read at most, those bound on the resources themselves first."""
ABOUT = ("iam.", "pubsub.", "run.", "cloudfunctions.")
"""Permissions of these products are kept."""
PEOPLE = ("user:", "deleted:")
"""Members that no account of the pipeline is one of."""


def push_account(session: Session, pipeline: PipelineProfile, signer: Signer) -> PushAccount:
    name = full_account(pipeline, signer.account)
    source = provenance(
        session, "IAM", name, command("gcloud iam service-accounts describe {account}", account=signer.account)
    )
    try:
        found = call(session, GET_ACCOUNT, {"name": name})
    except NotThere:
        return PushAccount(source=source, email=signer.account, exists=False)
    return PushAccount(source=source, email=signer.account, exists=True, disabled=found.disabled)


def push_account_policy(session: Session, pipeline: PipelineProfile, signer: Signer) -> PushAccountPolicy:
    name = full_account(pipeline, signer.account)
    by_hand = command("gcloud iam service-accounts get-iam-policy {account}", account=signer.account)
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
        source=provenance(
            session, "Resource Manager", name, command("gcloud projects describe {project}", project=pipeline.project)
        ),
        project=pipeline.project,
        number=found.name.rpartition("/")[2],
        parent=found.parent,
    )


def project_policy(session: Session, pipeline: PipelineProfile) -> ProjectPolicy:
    name = f"projects/{pipeline.project}"
    by_hand = command("gcloud projects get-iam-policy {project}", project=pipeline.project)
    return ProjectPolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, PROJECT_POLICY, name),
    )


def ancestor_policies(session: Session, project: ProjectInfo) -> AncestorPolicies:
    """Each folder and the organisation, as far up as the caller may see; each policy for itself."""
    by_hand = command("gcloud projects get-ancestors-iam-policy {project}", project=project.project)
    source = provenance(session, "IAM", f"projects/{project.project}", by_hand)
    names = [project.parent] if project.parent else []
    ends: NotSeen | None = None
    while names and names[-1].startswith("folders/") and len(names) < LEVELS and ends is None:
        try:
            names.append(str(call(session, GET_FOLDER, {"name": names[-1]}).parent))
        except NotThere as error:
            ends = NotSeen(Why.FAILED, str(error))
        except NotSeen as failed:
            ends = failed
    places = together(*(partial(_level, session, name) for name in names if name)) if names else []
    beyond, permission = (ends.says, ends.permission) if ends else ("", "")
    return AncestorPolicies(
        source=source, project=f"projects/{project.project}", places=tuple(places), beyond=beyond, permission=permission
    )


def _level(session: Session, name: str) -> Above:
    try:
        found = bindings(session, ORGANIZATION_POLICY if name.startswith("organizations/") else FOLDER_POLICY, name)
    except NotSeen as failed:
        return Above(resource=name, unseen=failed.says, permission=failed.permission)
    return Above(resource=name, bindings=found)


def custom_roles(
    session: Session,
    pipeline: PipelineProfile,
    project: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    request_service: Annotated[ServicePolicy | Unseen, Leg.REQUEST, BY_THE_WAY],
    completion_service: Annotated[ServicePolicy | Unseen, Leg.COMPLETION, BY_THE_WAY],
    request_account: Annotated[PushAccountPolicy | Unseen, Leg.REQUEST, BY_THE_WAY],
    completion_account: Annotated[PushAccountPolicy | Unseen, Leg.COMPLETION, BY_THE_WAY],
    request_subscription: Annotated[SubscriptionPolicy | Unseen, Leg.REQUEST, BY_THE_WAY],
    completion_subscription: Annotated[SubscriptionPolicy | Unseen, Leg.COMPLETION, BY_THE_WAY],
    request_dead: Annotated[DeadLetterTopicPolicy | Unseen, Leg.REQUEST, BY_THE_WAY],
    completion_dead: Annotated[DeadLetterTopicPolicy | Unseen, Leg.COMPLETION, BY_THE_WAY],
    request_topic: Annotated[TopicPolicy | Unseen, Leg.REQUEST, BY_THE_WAY],
    completion_topic: Annotated[TopicPolicy | Unseen, Leg.COMPLETION, BY_THE_WAY],
) -> CustomRoles:
    """What the custom roles hold that these policies give to more than people; which policies, the question decides."""
    inherited = () if isinstance(above, Unseen) else above.places
    policies: tuple[Policy | Above | Unseen, ...] = (
        *(request_service, completion_service, request_account, completion_account),
        *(request_subscription, completion_subscription, request_dead, completion_dead),
        *(request_topic, completion_topic, project, *inherited),
    )
    if hidden := _all_unseen(policies):
        raise NotSeen(Why.DEPENDS, f"not asked because {hidden.says}", hidden.permission, hidden.mend)
    bound = [b for p in policies if not isinstance(p, Unseen) for b in p.bindings if _of_its_own(b)]
    names = tuple(dict.fromkeys(b.role for b in bound))
    roles = together(*(partial(_role, session, name) for name in names[:ROLES])) if names else []
    denied = next((r for r in roles if r.permission), None)
    if denied and all(r.permission for r in roles):
        mend = advice("ask for a role with {permission}", permission=denied.permission)
        raise NotSeen(Why.PERMISSION_DENIED, denied.unseen, denied.permission, mend)
    more = f"only {ROLES} custom roles are read at a time"
    by_hand = (
        _described(names[0])
        if names
        else command("gcloud iam roles list --project={project}", project=pipeline.project)
    )
    return CustomRoles(
        source=provenance(session, "IAM", f"projects/{pipeline.project}", by_hand),
        roles=(*roles, *(CustomRole(name=name, unseen=more) for name in names[ROLES:])),
    )


def _all_unseen(policies: Sequence[Policy | Above | Unseen]) -> Unseen | None:
    """Why no policy at all could be seen: then nobody knows which roles there are to be read. None: one was."""
    unseen = [p for p in policies if isinstance(p, Unseen)]
    if len(unseen) < len(policies):
        return None
    return next((p for p in unseen if p.why not in (Why.DEPENDS, Why.NOT_CONFIGURED, Why.NOT_ASKED)), unseen[0])


def _of_its_own(binding: Binding) -> bool:
    return not binding.role.startswith("roles/") and not all(m.startswith(PEOPLE) for m in binding.members)


def _described(name: str) -> str:
    """The command that shows a custom role, of a project or of an organisation."""
    kind, owner, _, role = name.split("/")
    return command(
        "gcloud iam roles describe {role} " + ("--project={owner}" if kind == "projects" else "--organization={owner}"),
        role=role,
        owner=owner,
    )


def _role(session: Session, name: str) -> CustomRole:
    try:
        found = call(session, GET_ROLE, {"name": name})
    except NotThere:
        return CustomRole(name=name, off="does not exist")
    except NotSeen as failed:
        return CustomRole(name=name, unseen=failed.says, permission=failed.permission)
    stage = found.DESCRIPTOR.fields_by_name["stage"].enum_type.values_by_number[found.stage].name
    off = "is deleted" if found.deleted else "is disabled" if stage == "DISABLED" else ""
    held = sorted(p for p in found.included_permissions if p.startswith(ABOUT))
    return CustomRole(name=name, permissions=tuple(held), off=off)


def full_account(pipeline: PipelineProfile, email: str) -> str:
    """Name of a service account for the IAM API. Raises NotSeen when the pushes carry no token.

    With the wildcard "-" for its project, IAM answers 403 where it would answer 404; so the project is named: it is in the
    e-mail, but for the default accounts.
    """
    if not email:
        raise NotSeen(Why.NOT_CONFIGURED, "the pushes carry no token, so there is no push account")
    return f"projects/{_project_of(email) or pipeline.project}/serviceAccounts/{email}"


def _project_of(email: str) -> str:
    """The project of a service account, as far as its address tells. That of a project example.com:shop ends in shop.example.com."""
    name, _, domain = email.partition("@")
    if domain == "appspot.gserviceaccount.com":
        project = name
    elif domain.endswith(_OWN):
        project = domain.removesuffix(_OWN)
    else:
        return ""
    short, _, scope = project.partition(".")
    return f"{scope}:{short}" if scope else short


_OWN = ".iam.gserviceaccount.com"
