"""Google's clients, made when they are first needed: importing them is what start-up costs."""

from __future__ import annotations

import importlib
import threading
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
    "tokens": ("google.cloud.iam_credentials_v1.services.iam_credentials", "IAMCredentialsClient"),
    "projects": ("google.cloud.resourcemanager_v3.services.projects", "ProjectsClient"),
}
"""Our name of a client to its module and class."""

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

    def __init__(self, credentials: Any, lab: str) -> None:
        self._credentials = credentials
        self._lab = lab
        self._channel: Any = None
        self._made: dict[str, Any] = {}
        self._locks = {name: threading.Lock() for name in ("channel", *CLIENTS)}

    def get(self, name: str) -> Any:
        """The client of this name; the first caller makes it, the others wait for it."""
        with self._locks[name]:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def _make(self, name: str) -> Any:
        module, class_name = CLIENTS[name]
        client = getattr(load(module), class_name)
        info = load("google.api_core.gapic_v1.client_info").ClientInfo(user_agent=OUR_USER_AGENT)
        if self._lab:
            return client(transport=client.get_transport_class("grpc")(channel=self._lab_channel()), client_info=info)
        return client(credentials=self._credentials, client_info=info)

    def _lab_channel(self) -> Any:
        with self._locks["channel"]:
            if self._channel is None:
                self._channel = load("grpc").insecure_channel(self._lab, options=LAB_CHANNEL)
            return self._channel
