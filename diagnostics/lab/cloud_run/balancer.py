"""What an external Application Load Balancer does with a request, and what it logs of it.

Fields and words: Google's pages on the logs of the global external Application Load Balancer and on Cloud Armor's request logs.
"""

from __future__ import annotations

import random
from typing import Any

from diagnostics.lab.http import Request, Response
from diagnostics.lab.model import Balancer, World
from diagnostics.lab.recorder import LogEntry, Recorder

REQUESTS = "requests"
DENIED, PASSED_ON = "denied_by_security_policy", "response_sent_by_backend"
INGEST_S = (1.0, 8.0)


class Balancers:
    """The load balancers of the project."""

    def __init__(self, world: World, recorder: Recorder, rng: random.Random) -> None:
        self._world = world
        self._recorder = recorder
        self._rng = rng

    def denied(self, balancer: Balancer, request: Request, at: float) -> Response:
        """What a security policy answers; it is logged."""
        policy = {"name": balancer.denies, "outcome": "DENY", "priority": 1000, "configuredAction": "DENY"}
        self._log(balancer, request, 403, at, at, DENIED, {"enforcedSecurityPolicy": policy})
        return Response(403, b"<!doctype html><title>403</title>403 Forbidden")

    def passed_on(self, balancer: Balancer, request: Request, response: Response, start: float, end: float) -> None:
        """Log what came from behind it."""
        if response.status:
            self._log(balancer, request, response.status, start, end, PASSED_ON, {})

    def _log(
        self,
        balancer: Balancer,
        request: Request,
        status: int,
        start: float,
        end: float,
        details: str,
        more: dict[str, Any],
    ) -> None:
        if not balancer.logs:
            return
        name = balancer.host.partition(".")[0]
        self._recorder.log(
            LogEntry(
                log=REQUESTS,
                timestamp=start,
                received=end + self._rng.uniform(*INGEST_S),
                severity="INFO" if status < 400 else "WARNING",
                resource_type="http_load_balancer",
                resource_labels={
                    "project_id": self._world.project,
                    "forwarding_rule_name": f"{name}-https",
                    "target_proxy_name": f"{name}-proxy",
                    "url_map_name": f"{name}-map",
                    "backend_service_name": f"{balancer.service}-backend",
                    "zone": "global",
                },
                json={
                    "@type": "type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry",
                    "statusDetails": details,
                    "backendTargetProjectNumber": f"projects/{self._world.number}",
                    "remoteIp": request.remote_ip,
                    **more,
                },
                http={
                    "requestMethod": request.method,
                    "requestUrl": f"https://{request.host}{request.path}",
                    "requestSize": 900 + len(request.body),
                    "status": status,
                    "responseSize": 200,
                    "userAgent": request.user_agent,
                    "remoteIp": request.remote_ip,
                    "latency": end - start,
                },
                insert_id=f"{self._rng.getrandbits(64):x}",
            )
        )
