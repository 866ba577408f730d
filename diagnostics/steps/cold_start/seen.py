"""One leg with its receiver's instances, as all parts of this step look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from diagnostics.evidence.model import Leg, PushCounts, ReceiverCapacity, ServiceSettings, Unseen
from diagnostics.readings.answers import Answers
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import owed
from diagnostics.steps import subjects
from diagnostics.steps.finding import Subject


@dataclass(frozen=True)
class Seen:
    """One leg, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    now: datetime
    settings: ServiceSettings
    pushes: PushCounts | Unseen
    capacity: ReceiverCapacity | Unseen
    told: Answers
    """Pushes in the request log since the batch began; without a batch, of the last hour."""

    @property
    def least(self) -> int:
        """Items of the batch that the leg still owes."""
        return owed(self.ledger, self.leg)[0]

    @property
    def since(self) -> datetime:
        return self.told.since

    @property
    def service(self) -> Subject | None:
        return subjects.service(self.settings.name)
