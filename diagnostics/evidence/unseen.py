"""How a source says that it could not see: raised as `NotSeen`, kept as `Unseen`."""

from __future__ import annotations

from diagnostics.evidence.model import Why
from diagnostics.evidence.redact import redact


class NotSeen(Exception):
    """What a provider raises when it cannot see; the collector makes an `Unseen` of it. Its words are redacted here: commands that
    keep no evidence print them, too, and they may hold what a server answered."""

    def __init__(self, why: Why, says: str, permission: str = "", mend: str = "") -> None:
        self.why = why
        self.says = redact(says)
        self.permission = redact(permission)
        self.mend = redact(mend)
        super().__init__(self.says)
