"""IAM policies as protobuf messages."""

from __future__ import annotations

import hashlib
from typing import Any

from google.iam.v1 import iam_policy_pb2, policy_pb2

from diagnostics.lab.model import Binding, Policy
from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import invalid
from diagnostics.lab.servers.permissions import tested

GetIamPolicyRequest = iam_policy_pb2.GetIamPolicyRequest
TestIamPermissionsRequest = iam_policy_pb2.TestIamPermissionsRequest
TestIamPermissionsResponse = iam_policy_pb2.TestIamPermissionsResponse


def policy_message(policy: Policy, request: Any) -> Any:
    """The policy as asked for. A caller that does not ask for version 3 does not see conditions: the role is then marked.

    Source: cloud.google.com/iam/docs/policies ("requested_policy_version") and /iam/docs/troubleshooting-withcond.
    """
    version = request.options.requested_policy_version
    if version not in (0, 1, 3):
        raise invalid(f"Requested policy version {version} is invalid, expected 0, 1 or 3.")
    bindings = sorted(policy.bindings, key=lambda b: (b.role, b.condition))
    conditional = version == 3 and any(b.condition for b in bindings)
    return policy_pb2.Policy(
        version=3 if conditional else 1,
        bindings=[_binding(b, conditions=version == 3) for b in bindings],
        etag=hashlib.sha256(repr(bindings).encode()).digest()[:8],
    )


def _binding(binding: Binding, conditions: bool) -> Any:
    members = sorted(binding.members)
    if not binding.condition:
        return policy_pb2.Binding(role=binding.role, members=members)
    if conditions:
        condition = {"title": "condition", "expression": binding.condition}
        return policy_pb2.Binding(role=binding.role, members=members, condition=condition)
    digest = hashlib.sha256(binding.condition.encode()).hexdigest()[:20]
    return policy_pb2.Binding(role=f"{binding.role}_withcond_{digest}", members=members)


def held_permissions(cloud: Cloud, request: Any) -> Any:
    """Answer to TestIamPermissions."""
    return TestIamPermissionsResponse(permissions=tested(cloud.held_in(request.resource), list(request.permissions)))
