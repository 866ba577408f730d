"""CreateSnapshot, GetSnapshot, ListSnapshots, DeleteSnapshot and Seek."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2, json_format
from google.pubsub_v1 import types

from diagnostics.lab.audit import Target
from diagnostics.lab.replay import Refused
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, invalid
from diagnostics.lab.servers.pages import slice_page
from diagnostics.lab.servers.pubsub_resources import (
    DELETED_TOPIC,
    check_project,
    find_snapshot,
    find_subscription,
    new_id,
    snapshot_message,
)
from diagnostics.lab.servers.subscriptions import checked_labels

CONSUME = "pubsub.subscriptions.consume"


def create_snapshot(cloud: Cloud, request: Any) -> Any:
    """The name has to be given: nobody here lets Google choose one."""
    name = new_id(cloud, request.name, "snapshots", cloud.world.snapshots)
    subscription = find_subscription(cloud, request.subscription)
    if request.tags:
        raise invalid("The field tags is not supported here.")
    if subscription.detached or subscription.topic == DELETED_TOPIC:
        raise RpcError(
            "FAILED_PRECONDITION", "The subscription has no topic from which a snapshot could retain messages."
        )
    labels = checked_labels(request.labels)
    try:
        snapshot = cloud.lab.broker.create_snapshot(name, subscription.name, labels)
    except Refused as refused:
        raise RpcError("FAILED_PRECONDITION", refused.message) from refused
    _log(cloud, name, "CreateSnapshot", request)
    return snapshot_message(cloud, snapshot)


def get_snapshot(cloud: Cloud, request: Any) -> Any:
    return snapshot_message(cloud, find_snapshot(cloud, request.snapshot))


def list_snapshots(cloud: Cloud, request: Any) -> Any:
    check_project(cloud, request.project)
    every = [snapshot for _, snapshot in sorted(cloud.world.snapshots.items())]
    page, token = slice_page(every, request.page_size, request.page_token, request.project)
    messages = [snapshot_message(cloud, s) for s in page]
    return types.ListSnapshotsResponse.pb()(snapshots=messages, next_page_token=token)


def delete_snapshot(cloud: Cloud, request: Any) -> Any:
    name = find_snapshot(cloud, request.snapshot).name
    cloud.lab.broker.delete_snapshot(name)
    _log(cloud, name, "DeleteSnapshot", request)
    return empty_pb2.Empty()


def seek(cloud: Cloud, request: Any) -> Any:
    """Leaves no audit entry: Seek is in the Data Access log, which is off by default."""
    subscription = find_subscription(cloud, request.subscription)
    target = request.WhichOneof("target")
    if target is None:
        raise invalid("No target was specified in the SeekRequest: a time or a snapshot.")
    if subscription.detached:
        raise RpcError("FAILED_PRECONDITION", "The subscription is detached from its topic.")
    if target == "time":
        cloud.lab.broker.seek(subscription.name, request.time.ToMicroseconds() / 1e6)
        return types.SeekResponse.pb()()
    try:
        cloud.lab.broker.seek_to_snapshot(subscription.name, find_snapshot(cloud, request.snapshot).name)
    except Refused as refused:
        raise RpcError("FAILED_PRECONDITION", refused.message) from refused
    return types.SeekResponse.pb()()


def _log(cloud: Cloud, name: str, method: str, request: Any) -> None:
    cloud.lab.audit.activity(Target("snapshot", name), method, cloud.caller, json_format.MessageToDict(request))


def _seek_needs(request: Any) -> tuple[str, ...]:
    return (CONSUME, "pubsub.snapshots.seek") if request.snapshot else (CONSUME,)


SUBSCRIBER = "google.pubsub.v1.Subscriber"

METHODS: tuple[Method, ...] = (
    Method(
        f"{SUBSCRIBER}/CreateSnapshot",
        types.CreateSnapshotRequest.pb(),
        create_snapshot,
        ("pubsub.snapshots.create", CONSUME),
        lambda r: r.name,
    ),
    Method(
        f"{SUBSCRIBER}/GetSnapshot",
        types.GetSnapshotRequest.pb(),
        get_snapshot,
        "pubsub.snapshots.get",
        lambda r: r.snapshot,
    ),
    Method(
        f"{SUBSCRIBER}/ListSnapshots",
        types.ListSnapshotsRequest.pb(),
        list_snapshots,
        "pubsub.snapshots.list",
        lambda r: r.project,
    ),
    Method(
        f"{SUBSCRIBER}/DeleteSnapshot",
        types.DeleteSnapshotRequest.pb(),
        delete_snapshot,
        "pubsub.snapshots.delete",
        lambda r: r.snapshot,
    ),
    Method(f"{SUBSCRIBER}/Seek", types.SeekRequest.pb(), seek, _seek_needs, lambda r: r.subscription),
)
