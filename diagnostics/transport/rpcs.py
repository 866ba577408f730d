"""The RPCs that sources use: which client and method, and the IAM permission that Google checks for it.

Permissions: Pub/Sub access-control page, Cloud Run, IAM, Resource Manager, Monitoring and Logging IAM references.
"""

from __future__ import annotations

from typing import NamedTuple


class Rpc(NamedTuple):
    client: str
    """Name in `clients.CLIENTS`."""
    method: str
    permission: str

    @property
    def name(self) -> str:
        """Name for people: Subscriber.GetSubscription."""
        service = {
            "logs": "logging",
            "metrics": "monitoring",
            "services": "run",
            "revisions": "run",
            "projects": "resourcemanager",
            "folders": "resourcemanager",
            "organizations": "resourcemanager",
            "tables": "bigquery",
            "objects": "storage",
        }
        return f"{service.get(self.client, self.client)}.{self.method}"

    @property
    def api(self) -> str:
        """The API that has to be enabled for it."""
        return APIS[self.client]


APIS = {
    "publisher": "pubsub.googleapis.com",
    "subscriber": "pubsub.googleapis.com",
    "metrics": "monitoring.googleapis.com",
    "logs": "logging.googleapis.com",
    "services": "run.googleapis.com",
    "revisions": "run.googleapis.com",
    "accounts": "iam.googleapis.com",
    "deny": "iam.googleapis.com",
    "tokens": "iamcredentials.googleapis.com",
    "projects": "cloudresourcemanager.googleapis.com",
    "firestore": "firestore.googleapis.com",
    "folders": "cloudresourcemanager.googleapis.com",
    "organizations": "cloudresourcemanager.googleapis.com",
    "tables": "bigquery.googleapis.com",
    "objects": "storage.googleapis.com",
}

GET_SUBSCRIPTION = Rpc("subscriber", "get_subscription", "pubsub.subscriptions.get")
LIST_SUBSCRIPTIONS = Rpc("subscriber", "list_subscriptions", "pubsub.subscriptions.list")
SUBSCRIPTION_POLICY = Rpc("subscriber", "get_iam_policy", "pubsub.subscriptions.getIamPolicy")
GET_TOPIC = Rpc("publisher", "get_topic", "pubsub.topics.get")
TOPIC_SUBSCRIPTIONS = Rpc("publisher", "list_topic_subscriptions", "pubsub.topics.get")
TOPIC_POLICY = Rpc("publisher", "get_iam_policy", "pubsub.topics.getIamPolicy")
GET_SERVICE = Rpc("services", "get_service", "run.services.get")
LIST_SERVICES = Rpc("services", "list_services", "run.services.list")
SERVICE_POLICY = Rpc("services", "get_iam_policy", "run.services.getIamPolicy")
LIST_REVISIONS = Rpc("revisions", "list_revisions", "run.revisions.list")
GET_ACCOUNT = Rpc("accounts", "get_service_account", "iam.serviceAccounts.get")
GET_ROLE = Rpc("accounts", "get_role", "iam.roles.get")
LIST_DENY_POLICIES = Rpc("deny", "list_policies", "iam.denypolicies.list")
GET_DENY_POLICY = Rpc("deny", "get_policy", "iam.denypolicies.get")
ACCOUNT_POLICY = Rpc("accounts", "get_iam_policy", "iam.serviceAccounts.getIamPolicy")
GET_PROJECT = Rpc("projects", "get_project", "resourcemanager.projects.get")
PROJECT_POLICY = Rpc("projects", "get_iam_policy", "resourcemanager.projects.getIamPolicy")
GET_FOLDER = Rpc("folders", "get_folder", "resourcemanager.folders.get")
FOLDER_POLICY = Rpc("folders", "get_iam_policy", "resourcemanager.folders.getIamPolicy")
ORGANIZATION_POLICY = Rpc("organizations", "get_iam_policy", "resourcemanager.organizations.getIamPolicy")
TIME_SERIES = Rpc("metrics", "list_time_series", "monitoring.timeSeries.list")
LIST_DESCRIPTORS = Rpc("metrics", "list_metric_descriptors", "monitoring.metricDescriptors.list")
LOG_ENTRIES = Rpc("logs", "list_log_entries", "logging.logEntries.list")
GET_DOCUMENT = Rpc("firestore", "get_document", "datastore.entities.get")
LIST_DOCUMENTS = Rpc("firestore", "list_documents", "datastore.entities.list")
GET_TABLE = Rpc("tables", "get_table", "bigquery.tables.get")
ESTIMATE = Rpc("tables", "estimate", "bigquery.jobs.create")
QUERY = Rpc("tables", "query", "bigquery.jobs.create")
GET_OBJECT = Rpc("objects", "get_object", "storage.objects.get")
LIST_OBJECTS = Rpc("objects", "list_objects", "storage.objects.list")
PUT_OBJECT = Rpc("objects", "put_object", "storage.objects.create")
"""The one RPC here that writes: only `keep` makes it, where the profile names a store."""
ID_TOKEN = Rpc("tokens", "generate_id_token", "iam.serviceAccounts.getOpenIdToken")

TEST_TOPIC = Rpc("publisher", "test_iam_permissions", "")
TEST_SUBSCRIPTION = Rpc("subscriber", "test_iam_permissions", "")
TEST_SERVICE = Rpc("services", "test_iam_permissions", "")
TEST_ACCOUNT = Rpc("accounts", "test_iam_permissions", "")
TEST_PROJECT = Rpc("projects", "test_iam_permissions", "")
TEST_BUCKET = Rpc("objects", "test_iam_permissions", "")
