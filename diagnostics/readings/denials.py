"""Does a deny policy take a permission from an account, whatever is granted? It does, it does not, or that cannot be told.

Forms of permissions and principals: Google's pages on deny policies and on principal identifiers (IAM v2). Conditions ask for tags of
the resource only, and tags are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from diagnostics.evidence.model import DenyPolicies, DenyRule, Unseen

EVERYBODY = "principalSet://goog/public:all"
_ACCOUNTS = "principal://iam.googleapis.com/projects/"
_OTHERS = (
    "principal://goog/subject/",
    "deleted:",
    "principal://iam.googleapis.com/locations/",
    "principalSet://iam.googleapis.com/",
)
"""Begins of principals that no service account is one of: people, what is deleted, identities of pools."""
_AGENT = re.compile(r"@gcp-sa-[a-z0-9-]+\.iam\.gserviceaccount\.com$")
"""Accounts of Google's own services: whether a rule about everybody means them, too, Google's pages do not say."""
_ALL_OF = "principalSet://cloudresourcemanager.googleapis.com/"
"""Begin of the set of all principals, or all service accounts, of a project, a folder or an organisation."""


@dataclass(frozen=True)
class Denial:
    """What a deny rule does to one account and one permission."""

    certain: bool
    """Whether it surely takes it; else it may."""
    says: str
    """A clause."""
    since: datetime | None = None


def denial(email: str, permission: str, policies: DenyPolicies, now: datetime | None = None) -> Denial | None:
    """The rule that takes this permission (as allow policies write it) from this service account: one that surely does, else one that
    may. None: none of those that were read. An empty e-mail stands for callers without a token."""
    found = [_by(rule, email, permission, policies, now) for rule in policies.rules]
    return min((d for d in found if d), key=lambda d: not d.certain, default=None)


def sure_denial(
    email: str, permission: str, resource: str, policies: DenyPolicies | Unseen, now: datetime
) -> Denial | None:
    """The rule that surely takes it there. None: none of those that were read, or they are of another project than `resource`, a full
    name: deny policies hold in their own."""
    if isinstance(policies, Unseen) or resource.split("/")[1] not in (
        policies.project.split("/")[1],
        policies.within[0].split("/")[1],
    ):
        return None
    found = denial(email, permission, policies, now)
    return found if found and found.certain else None


def _by(rule: DenyRule, email: str, permission: str, policies: DenyPolicies, now: datetime | None) -> Denial | None:
    if now and rule.made and rule.made > now:
        return None
    service, _, rest = permission.partition(".")
    name = f"{service}.googleapis.com/{rest}"
    if not _names(rule.permissions, name) or _names(rule.but, name):
        return None
    meant, spared = _among(rule.principals, email, policies), _among(rule.excepted, email, policies)
    if meant is False or spared is True:
        return None
    policy = f"the deny policy {rule.policy} on {rule.on}"
    who = email or "callers without a token"
    changed = bool(now and rule.changed and rule.changed > now)
    if meant and spared is False and not rule.condition and not changed:
        return Denial(True, f"{policy} takes {permission} from {who}, whatever is granted", rule.changed or rule.made)
    if changed:
        why = "it was changed since"
    elif rule.condition:
        why = f"under the condition {rule.condition}"
    elif meant is None:
        why = f"if {_unsure(rule.principals, email, policies)} includes it"
    else:
        why = f"unless {_unsure(rule.excepted, email, policies)}, which it spares, includes it"
    return Denial(False, f"{policy} takes {permission} from {who}, {why}", rule.changed or rule.made)


def _names(patterns: Iterable[str], permission: str) -> bool:
    """Whether one of them is the permission, or a group with it: SERVICE/RESOURCE.*, SERVICE/*.VERB, SERVICE/*.*."""
    return any(fnmatchcase(permission, pattern) for pattern in patterns)


def _among(principals: Iterable[str], email: str, policies: DenyPolicies) -> bool | None:
    said = [_is(principal, email, policies) for principal in principals]
    return True if True in said else None if None in said else False


def _unsure(principals: Iterable[str], email: str, policies: DenyPolicies) -> str:
    return next((p for p in principals if _is(p, email, policies) is None), "")


def _is(principal: str, email: str, policies: DenyPolicies) -> bool | None:
    """Whether a service account is this principal, or one of this set. None: cannot tell."""
    if principal == EVERYBODY:
        return None if _AGENT.search(email) else True
    if not email or principal.startswith(_OTHERS):
        return False
    if principal.startswith(_ACCOUNTS):
        return principal.endswith(f"/serviceAccounts/{email}")
    if principal.startswith(_ALL_OF):
        return _of_all(principal.removeprefix(_ALL_OF), email, policies)
    return None


def _of_all(which: str, email: str, policies: DenyPolicies) -> bool | None:
    """Whether an account is one of all principals, or all of a type, of a project or of what projects are in."""
    place, _, kind = which.partition("/type/")
    project = policies.project.partition("/")[2]
    if email.endswith(f"@{project}.iam.gserviceaccount.com"):
        if kind in ("ServiceAgent",):
            return False
        known = place in policies.within
        return (kind in ("", "ServiceAccount")) if known else (None if policies.unread else False)
    return None
