"""The RPCs of the probe, beside those that sources use, with the IAM permission that Google checks (Pub/Sub access-control page)."""

from diagnostics.transport.rpcs import Rpc

LIST_SNAPSHOTS = Rpc("subscriber", "list_snapshots", "pubsub.snapshots.list")
CREATE_SNAPSHOT = Rpc("subscriber", "create_snapshot", "pubsub.snapshots.create")
DELETE_SNAPSHOT = Rpc("subscriber", "delete_snapshot", "pubsub.snapshots.delete")
CREATE_SUBSCRIPTION = Rpc("subscriber", "create_subscription", "pubsub.subscriptions.create")
DELETE_SUBSCRIPTION = Rpc("subscriber", "delete_subscription", "pubsub.subscriptions.delete")
UPDATE_SUBSCRIPTION = Rpc("subscriber", "update_subscription", "pubsub.subscriptions.update")
SEEK = Rpc("subscriber", "seek", "pubsub.subscriptions.consume")
PULL = Rpc("subscriber", "pull", "pubsub.subscriptions.consume")
MODIFY_ACK_DEADLINE = Rpc("subscriber", "modify_ack_deadline", "pubsub.subscriptions.consume")
WRITE_LOG = Rpc("logs", "write_log_entries", "logging.logEntries.create")

CONSUME = "pubsub.subscriptions.consume"
ATTACH = "pubsub.topics.attachSubscription"
SEEK_SNAPSHOT = "pubsub.snapshots.seek"
ACT_AS = "iam.serviceAccounts.actAs"
