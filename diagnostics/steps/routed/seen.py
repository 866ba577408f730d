"""One leg with its topic and its receiver, as all parts of this step look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from diagnostics.evidence.model import Leg, ProjectInfo, ProjectSubscriptions, ServiceConfig, TopicConfig, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import undone
from diagnostics.steps.finding import Bears, Code, Finding, Status, Subject


@dataclass(frozen=True)
class Seen:
    """One leg, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    profile: PipelineProfile
    topic: TopicConfig | Unseen
    project: ProjectSubscriptions | Unseen
    service: ServiceConfig | Unseen
    info: ProjectInfo | Unseen
    lost: int
    """Items of the batch that a wrong route holds or loses, if there is one."""
    now: datetime

    @property
    def dropped(self) -> int:
        """Of those the ones that are nowhere else, where nothing keeps them."""
        return min(undone(self.ledger, self.leg), self.lost)

    def fault(self, code: Code, sentence: str, about: Subject | None, held: int) -> Finding:
        """A setting that keeps messages from the service."""
        return code.says(
            Status.FAULT,
            sentence,
            leg=self.leg,
            bears=Bears.HOLDS if held else Bears.APART,
            held=held,
            subject=about,
            rests_on=("SubscriptionConfig", "ServiceConfig"),
        )

    def loses(self, code: Code, sentence: str, about: Subject | None, since: datetime | None) -> Finding:
        """Nothing keeps what is published: it is lost."""
        return code.says(
            Status.FAULT,
            sentence,
            leg=self.leg,
            bears=Bears.HOLDS if self.dropped else Bears.APART,
            held=self.dropped,
            since=since,
            subject=about,
            rests_on=("SubscriptionConfig", "TopicSubscriptions"),
        )
