"""How a source says that it could not see: raised as `NotSeen`, kept as `Unseen`."""

from __future__ import annotations

from diagnostics.evidence.model import Why


class NotSeen(Exception):
    """What a provider raises when it cannot see; the collector makes an `Unseen` of it."""

    def __init__(self, why: Why, says: str, permission: str = "", mend: str = "") -> None:
        super().__init__(says)
        self.why = why
        self.says = says
        self.permission = permission
        self.mend = mend
