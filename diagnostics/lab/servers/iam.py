"""Service accounts and custom roles (google.iam.admin.v1), deny policies (google.iam.v2), tokens (google.iam.credentials.v1), the
project (resourcemanager.v3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from google.cloud import iam_admin_v1, iam_credentials_v1, iam_v2, resourcemanager_v3

from diagnostics.lab.model import DenyPolicy, ServiceAccount
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import RpcError, denied, invalid, not_found
from diagnostics.lab.servers.iam_policy import (
    GetIamPolicyRequest,
    TestIamPermissionsRequest,
    held_permissions,
    policy_message,
)
from diagnostics.lab.servers.pages import read_cursor
from diagnostics.lab.tokens import Claims

ACCOUNT = "projects/*/serviceAccounts/*"


def get_service_account(cloud: Cloud, request: Any) -> Any:
    account = _account(cloud, request.name, "iam.serviceAccounts.get")
    project = cloud.world.project
    return iam_admin_v1.ServiceAccount.pb()(
        name=f"projects/{project}/serviceAccounts/{account.email}",
        project_id=project,
        unique_id=account.unique_id,
        email=account.email,
        oauth2_client_id=account.unique_id,
        disabled=account.disabled,
    )


def get_account_policy(cloud: Cloud, request: Any) -> Any:
    return policy_message(_account(cloud, request.resource, "iam.serviceAccounts.getIamPolicy").policy, request)


def test_account_permissions(cloud: Cloud, request: Any) -> Any:
    _account(cloud, request.resource, "iam.serviceAccounts.get")
    return held_permissions(cloud, request)


def get_role(cloud: Cloud, request: Any) -> Any:
    """A custom role of the project or of its organisation. A deleted one is still there, and says so."""
    role = cloud.world.roles.get(request.name)
    if role is None:
        raise not_found(f"The role named {request.name} was not found.")
    stages = iam_admin_v1.Role.RoleLaunchStage
    return iam_admin_v1.Role.pb()(
        name=role.name,
        title=role.name.rpartition("/")[2],
        included_permissions=sorted(role.permissions),
        stage=stages[role.stage],
        deleted=role.deleted,
    )


def list_deny_policies(cloud: Cloud, request: Any) -> Any:
    """Without their rules: those each policy tells for itself (policies.listPolicies). The page size is ignored, as documented."""
    on = _attached(cloud, request.parent, "policies/*/denypolicies")[0]
    read_cursor(request.page_token)
    found = [p for p in cloud.world.denied if p.on == on]
    return iam_v2.ListPoliciesResponse.pb()(policies=[_deny_policy(p) for p in found])


def get_deny_policy(cloud: Cloud, request: Any) -> Any:
    on, name = _attached(cloud, request.name, "policies/*/denypolicies/*")
    policy = next((p for p in cloud.world.denied if (p.on, p.name) == (on, name)), None)
    if policy is None:
        raise not_found(f"Unknown policy: {request.name}")
    answer = _deny_policy(policy)
    rule = answer.rules.add().deny_rule
    rule.denied_principals.extend(policy.principals)
    rule.exception_principals.extend(policy.excepted)
    rule.denied_permissions.append(policy.permission)
    if policy.condition:
        rule.denial_condition.expression = policy.condition
    return answer


def _deny_policy(policy: DenyPolicy) -> Any:
    answer = iam_v2.Policy.pb()(
        name=f"policies/{quote(f'{_RESOURCES}{policy.on}', safe='')}/denypolicies/{policy.name}",
        kind="DenyPolicy",
        display_name=policy.name,
    )
    answer.create_time.FromNanoseconds(int(policy.created * 1e9))
    answer.update_time.CopyFrom(answer.create_time)
    return answer


_RESOURCES = "cloudresourcemanager.googleapis.com/"


def _attached(cloud: Cloud, name: str, pattern: str) -> tuple[str, ...]:
    """What the policies are attached to, and the rest of the name. The attachment point is one part of it: its slashes are quoted; of
    folders and organisations it has the number, of projects the id or the number."""
    point, *rest = split_name(name, pattern)
    full = unquote(point)
    if not full.startswith(_RESOURCES):
        raise invalid(f"Invalid attachment point {full}.")
    on = full.removeprefix(_RESOURCES)
    kind, _, which = on.partition("/")
    if kind == "projects" and cloud.is_project(which):
        return (f"projects/{cloud.world.number}", *rest)
    if on not in cloud.world.above:
        raise denied("google.iam.v2.Policies", "iam.denypolicies.list", on)
    return (on, *rest)


def generate_id_token(cloud: Cloud, request: Any) -> Any:
    """A token of the account. The project in the name must be the wildcard: that is the method's own rule."""
    project, name = split_name(request.name, ACCOUNT)
    if project != "-":
        raise invalid("Invalid form of account ID: the project must be the '-' wildcard.")
    if not request.audience:
        raise invalid("The audience is required.")
    account = _find(cloud, name)
    if account is None:
        raise not_found(f"Not found; Gaia id not found for email {name}")
    if account.disabled:
        raise RpcError("FAILED_PRECONDITION", f"Service account {account.email} is disabled.")
    claims = Claims(account.email, account.unique_id, request.audience, with_email=request.include_email)
    return iam_credentials_v1.GenerateIdTokenResponse.pb()(token=cloud.tokens.mint(claims, cloud.lab.now()))


def get_project(cloud: Cloud, request: Any) -> Any:
    home = _known_project(cloud, request.name, "resourcemanager.projects.get")
    return resourcemanager_v3.Project.pb()(
        name=f"projects/{cloud.world.number_of(home)}",
        project_id=home,
        state="ACTIVE",
        parent=_parent_of(cloud) if home == cloud.world.project else "",
    )


def _parent_of(cloud: Cloud, name: str = "") -> str:
    """What the folder is in; without a name, what the project is in."""
    chain = list(cloud.world.above)
    return next(iter(chain[chain.index(name) + 1 if name else 0 :]), "")


def get_folder(cloud: Cloud, request: Any) -> Any:
    _known_above(cloud, request.name, "resourcemanager.folders.get")
    return resourcemanager_v3.Folder.pb()(
        name=request.name, parent=_parent_of(cloud, request.name), display_name=request.name, state="ACTIVE"
    )


def get_folder_policy(cloud: Cloud, request: Any) -> Any:
    _known_above(cloud, request.resource, "resourcemanager.folders.getIamPolicy")
    return policy_message(cloud.world.above[request.resource], request)


def get_organization_policy(cloud: Cloud, request: Any) -> Any:
    _known_above(cloud, request.resource, "resourcemanager.organizations.getIamPolicy")
    return policy_message(cloud.world.above[request.resource], request)


def _known_above(cloud: Cloud, name: str, permission: str) -> None:
    """As with projects: what is not there and what may not be seen are both 403."""
    split_name(name, "folders/*" if ".folders." in permission else "organizations/*")
    if name not in cloud.world.above:
        raise denied("google.cloud.resourcemanager.v3", permission, name)


def get_project_policy(cloud: Cloud, request: Any) -> Any:
    home = _known_project(cloud, request.resource, "resourcemanager.projects.getIamPolicy")
    return policy_message(cloud.world.policy_of(home), request)


def test_project_permissions(cloud: Cloud, request: Any) -> Any:
    _known_project(cloud, request.resource, "resourcemanager.projects.get")
    return held_permissions(cloud, request)


def _account(cloud: Cloud, resource: str, permission: str) -> ServiceAccount:
    """The account meant. With the wildcard instead of the project, Google says 403 where it would say 404 (its own docs)."""
    project, name = split_name(resource, ACCOUNT)
    if project != "-" and not cloud.is_project(project):
        raise denied("google.iam.admin.v1.IAM", permission, resource)
    account = _find(cloud, name)
    if account is None and project == "-":
        raise denied("google.iam.admin.v1.IAM", permission, resource)
    if account is None:
        raise not_found(f"Unknown service account: {name}")
    return account


def _find(cloud: Cloud, name: str) -> ServiceAccount | None:
    """By e-mail or unique id."""
    accounts = cloud.world.accounts.values()
    return next((a for a in accounts if name in (a.email, a.unique_id)), None)


def _known_project(cloud: Cloud, name: str, permission: str) -> str:
    """Its id. A project that does not exist is told apart from one that may not be seen by nobody: both are 403."""
    (project,) = split_name(name, "projects/*")
    if not cloud.world.id_of(project):
        raise denied("google.cloud.resourcemanager.v3.Projects", permission, name)
    return cloud.world.id_of(project)


IAM = "google.iam.admin.v1.IAM"
PROJECTS = "google.cloud.resourcemanager.v3.Projects"

FOLDERS = "google.cloud.resourcemanager.v3.Folders"
ORGANIZATIONS = "google.cloud.resourcemanager.v3.Organizations"

METHODS: tuple[Method, ...] = (
    Method(
        f"{IAM}/GetServiceAccount",
        iam_admin_v1.GetServiceAccountRequest.pb(),
        get_service_account,
        "iam.serviceAccounts.get",
        lambda r: r.name,
    ),
    Method(
        f"{IAM}/GetIamPolicy",
        GetIamPolicyRequest,
        get_account_policy,
        "iam.serviceAccounts.getIamPolicy",
        lambda r: r.resource,
    ),
    Method(f"{IAM}/GetRole", iam_admin_v1.GetRoleRequest.pb(), get_role, "iam.roles.get", lambda r: r.name),
    Method(
        "google.iam.v2.Policies/ListPolicies",
        iam_v2.ListPoliciesRequest.pb(),
        list_deny_policies,
        "iam.denypolicies.list",
        lambda r: r.parent,
    ),
    Method(
        "google.iam.v2.Policies/GetPolicy",
        iam_v2.GetPolicyRequest.pb(),
        get_deny_policy,
        "iam.denypolicies.get",
        lambda r: r.name,
    ),
    Method(f"{IAM}/TestIamPermissions", TestIamPermissionsRequest, test_account_permissions, "", lambda r: r.resource),
    Method(
        "google.iam.credentials.v1.IAMCredentials/GenerateIdToken",
        iam_credentials_v1.GenerateIdTokenRequest.pb(),
        generate_id_token,
        "iam.serviceAccounts.getOpenIdToken",
        lambda r: r.name,
    ),
    Method(
        f"{PROJECTS}/GetProject",
        resourcemanager_v3.GetProjectRequest.pb(),
        get_project,
        "resourcemanager.projects.get",
        lambda r: r.name,
    ),
    Method(
        f"{PROJECTS}/GetIamPolicy",
        GetIamPolicyRequest,
        get_project_policy,
        "resourcemanager.projects.getIamPolicy",
        lambda r: r.resource,
    ),
    Method(
        f"{FOLDERS}/GetFolder",
        resourcemanager_v3.GetFolderRequest.pb(),
        get_folder,
        "resourcemanager.folders.get",
        lambda r: r.name,
    ),
    Method(
        f"{FOLDERS}/GetIamPolicy",
        GetIamPolicyRequest,
        get_folder_policy,
        "resourcemanager.folders.getIamPolicy",
        lambda r: r.resource,
    ),
    Method(
        f"{ORGANIZATIONS}/GetIamPolicy",
        GetIamPolicyRequest,
        get_organization_policy,
        "resourcemanager.organizations.getIamPolicy",
        lambda r: r.resource,
    ),
    Method(
        f"{PROJECTS}/TestIamPermissions", TestIamPermissionsRequest, test_project_permissions, "", lambda r: r.resource
    ),
)
