"""Google's clients, made when they are first needed: importing them is what start-up costs."""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping
from typing import Any

from diagnostics.evidence.model import OUR_USER_AGENT

CLIENTS: dict[str, tuple[str, str]] = {
    "publisher": ("google.pubsub_v1.services.publisher", "PublisherClient"),
    "subscriber": ("google.pubsub_v1.services.subscriber", "SubscriberClient"),
    "metrics": ("google.cloud.monitoring_v3.services.metric_service", "MetricServiceClient"),
    "logs": ("google.cloud.logging_v2.services.logging_service_v2", "LoggingServiceV2Client"),
    "services": ("google.cloud.run_v2.services.services", "ServicesClient"),
    "revisions": ("google.cloud.run_v2.services.revisions", "RevisionsClient"),
    "accounts": ("google.cloud.iam_admin_v1.services.iam", "IAMClient"),
    "deny": ("google.cloud.iam_v2.services.policies", "PoliciesClient"),
    "tokens": ("google.cloud.iam_credentials_v1.services.iam_credentials", "IAMCredentialsClient"),
    "projects": ("google.cloud.resourcemanager_v3.services.projects", "ProjectsClient"),
    "firestore": ("google.cloud.firestore_v1.services.firestore", "FirestoreClient"),
    "folders": ("google.cloud.resourcemanager_v3.services.folders", "FoldersClient"),
    "organizations": ("google.cloud.resourcemanager_v3.services.organizations", "OrganizationsClient"),
}
"""Our name of a client to its module and class. That of Firestore comes with the extra `firestore`."""

CONNECTED: dict[str, str] = {"tables": "diagnostics.transport.tables", "objects": "diagnostics.transport.objects"}
"""Likewise of those that are no clients of gRPC: the module whose `connect` makes it. They come with the extra `outcome`."""

OVERRIDES = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"
"""Begin of the variables in which gcloud takes the endpoint of an API: of a region, or of Private Service Connect."""
_OVERRIDDEN = {
    "publisher": "PUBSUB", "subscriber": "PUBSUB", "metrics": "MONITORING", "logs": "LOGGING", "services": "RUN", "revisions": "RUN",
    "accounts": "IAM", "deny": "IAM", "tokens": "IAMCREDENTIALS", "projects": "CLOUDRESOURCEMANAGER",
}  # fmt: skip
"""Client to the end of its variable."""
_GOOGLES = re.compile(r"https://(?P<host>[a-z0-9.-]+\.googleapis\.com)/?")


def endpoints(environ: Mapping[str, str]) -> dict[str, str]:
    """Client to the host that it is to ask instead of its own, as gcloud's variables say. Raises ValueError for a host that is not
    Google's: tokens go there."""
    found = {}
    for client, api in _OVERRIDDEN.items():
        if given := environ.get(OVERRIDES + api):
            host = _GOOGLES.fullmatch(given)
            if host is None:
                raise ValueError(f"{OVERRIDES}{api}={given}: expected https://HOST.googleapis.com/")
            found[client] = host["host"]
    return found


LAB_CHANNEL = [
    ("grpc.enable_http_proxy", 0),  # gRPC obeys http_proxy even for 127.0.0.1
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


_IMPORTING = threading.Lock()
"""Held while Google's packages are imported: two threads that import them at once may both see half of one."""


def load(module: str) -> Any:
    """The module, imported by one thread at a time. For everything of Google's that a worker thread imports."""
    with _IMPORTING:
        return importlib.import_module(module)


class Clients:
    """The clients of one run: one credentials object, in the lab one channel. Safe to use from many threads."""

    def __init__(
        self,
        credentials: Any,
        lab: str = "",
        payer: str = "",
        endpoints: Mapping[str, str] | None = None,
        lab_http: str = "",
    ) -> None:
        """`lab`: host and port of its gRPC port, `lab_http` of its HTTP port. `payer`: the project that calls may be counted against,
        where Google wants one named; empty: none. `endpoints`: client to the host that it asks instead of its own."""
        self._credentials = credentials
        self.endpoints = endpoints or {}
        self._lab, self._lab_http = lab, lab_http
        self._payer = payer
        self._paid: dict[str, bool] = {}
        """Clients that were told to count against the payer, and whether they may."""
        self.renewals = 0
        """How often the login was asked for a new token."""
        self._channel: Any = None
        self._made: dict[str, Any] = {}
        self._locks = {name: threading.Lock() for name in ("channel", "login", *CLIENTS, *CONNECTED)}

    def get(self, name: str) -> Any:
        """The client of this name; the first caller makes it, the others wait for it."""
        with self._locks[name]:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def pay(self, name: str) -> bool:
        """From now on this client counts its calls against our own project. False: there is none, or it does already."""
        with self._locks[name]:
            if not self._payer or name in self._paid:
                return False
            self._paid[name] = True
            self._made.pop(name, None)
            return True

    def paid(self, name: str) -> str:
        """The project that this client counts its calls against because we told it to; empty: none."""
        return self._payer if self._paid.get(name) else ""

    def barred(self, name: str) -> str:
        """The project that this client may not count its calls against, though it was told to; empty: none."""
        return self._payer if self._paid.get(name) is False else ""

    def pay_no_more(self, name: str) -> None:
        """As before: the project may not be counted against."""
        with self._locks[name]:
            self._paid[name] = False
            self._made.pop(name, None)

    def renew(self, known: int) -> bool:
        """Forget the token and let the login give another, where it can. `known`: `renewals` when the token was used that failed.

        False: this login cannot.
        """
        with self._locks["login"]:
            if not hasattr(self._credentials, "anew"):
                return False
            if self.renewals == known:
                self.renewals += 1
                self._credentials = self._credentials.anew()
                self._made = {}
            return True

    def _make(self, name: str) -> Any:
        if name in CONNECTED:
            credentials = self._credentials
            if self._paid.get(name):
                credentials = credentials.with_quota_project(self._payer)
            return load(CONNECTED[name]).connect(load, credentials, self._lab_http)
        module, class_name = CLIENTS[name]
        client = getattr(load(module), class_name)
        info = load("google.api_core.gapic_v1.client_info").ClientInfo(user_agent=OUR_USER_AGENT)
        if self._lab:
            return client(transport=client.get_transport_class("grpc")(channel=self._lab_channel()), client_info=info)
        credentials = self._credentials
        if self._paid.get(name):
            credentials = credentials.with_quota_project(self._payer)
        asked = {"api_endpoint": self.endpoints[name]} if name in self.endpoints else None
        return client(credentials=credentials, client_info=info, client_options=asked)

    def _lab_channel(self) -> Any:
        with self._locks["channel"]:
            if self._channel is None:
                self._channel = load("grpc").insecure_channel(self._lab, options=LAB_CHANNEL)
            return self._channel
