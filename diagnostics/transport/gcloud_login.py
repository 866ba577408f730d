"""gcloud's login as credentials of google.auth: asked for a token when there is none. Imported only where it is used."""

from __future__ import annotations

import threading
from typing import Any

import google.auth.credentials
import google.auth.exceptions

from diagnostics.transport.gcloud import GcloudError, gcloud


class GcloudLogin(google.auth.credentials.CredentialsWithQuotaProject):  # type: ignore[misc]
    """Whoever is logged in with gcloud. gcloud does not tell when a token ends: `anew` forgets it."""

    def __init__(self, token: str = "", quota_project: str | None = None) -> None:
        super().__init__()
        self.token = token or None
        self._quota_project_id = quota_project
        self._asking = threading.Lock()

    def refresh(self, request: Any) -> None:
        """Ask gcloud, once for all clients that wait. Raises google.auth's RefreshError in gcloud's words."""
        del request
        with self._asking:
            if self.token:
                return
            try:
                self.token = gcloud("auth", "print-access-token")
            except GcloudError as error:
                raise google.auth.exceptions.RefreshError(str(error)) from error

    def with_quota_project(self, quota_project_id: str) -> GcloudLogin:
        return GcloudLogin(self.token or "", quota_project_id)

    def anew(self) -> GcloudLogin:
        """The same login, which asks gcloud before its next call."""
        return GcloudLogin("", self._quota_project_id)
