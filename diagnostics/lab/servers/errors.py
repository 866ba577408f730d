"""Errors in Google's words, with Google's details."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class RpcError(Exception):
    """An RPC that is answered with an error."""

    code: str
    """Name of the gRPC status: NOT_FOUND, PERMISSION_DENIED, …"""
    message: str
    reason: str = ""
    """Reason of the google.rpc.ErrorInfo detail; empty: the error carries none."""
    domain: str = "googleapis.com"
    metadata: dict[str, str] = field(default_factory=dict)


def invalid(message: str) -> RpcError:
    return RpcError("INVALID_ARGUMENT", message)


def not_found(message: str) -> RpcError:
    return RpcError("NOT_FOUND", message)


def denied(service: str, permission: str, resource: str) -> RpcError:
    """How an API says that the caller lacks a permission. Pub/Sub and Firestore name none."""
    if service.startswith("google.pubsub.") or permission.startswith("pubsub."):
        return RpcError("PERMISSION_DENIED", "User not authorized to perform this action.")
    if service.startswith("google.firestore."):
        return RpcError("PERMISSION_DENIED", "Missing or insufficient permissions.")
    metadata = {"permission": permission, "resource": resource}
    text = f"Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
    if permission.startswith("logging."):
        text = "Permission denied for all log views"
    return RpcError("PERMISSION_DENIED", text, "IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata)


def no_consumer(service: str, project: str) -> RpcError:
    """How Cloud Run says that there is no such project, or not for the caller (as in cloudquery/cloudquery issue 5385)."""
    metadata = {"service": service, "consumer": f"projects/{project}"}
    text = f"Permission denied on resource project {project}."
    return RpcError("PERMISSION_DENIED", text, "CONSUMER_INVALID", metadata=metadata)


def quota(metric: str, limit: str, service: str, number: str) -> RpcError:
    return RpcError(
        "RESOURCE_EXHAUSTED",
        f"Quota exceeded for quota metric '{metric}' and limit '{limit}' of service '{service}' "
        f"for consumer 'project_number:{number}'.",
        "RATE_LIMIT_EXCEEDED",
        metadata={"service": service, "consumer": f"projects/{number}", "quota_limit": limit},
    )
