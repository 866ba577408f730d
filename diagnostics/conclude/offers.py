"""What to do next, in order: the remedy of what is sure, the check that decides most of what is not, and where to read on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude import hidden
from diagnostics.conclude.diagnosis import Missing, State
from diagnostics.evidence.model import EvidenceSet, Leg, Stage, SubscriptionConfig, seen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Finding

_MOST = 4

_LOOK: dict[Stage, tuple[str, ...]] = {
    Stage.REQUESTED: ("pubsub-diag changes --leg completion", "pubsub-diag batches"),
    Stage.CREATED: ("pubsub-diag batches", "pubsub-diag changes --leg completion"),
    Stage.PUBLISHED: ("pubsub-diag published", "pubsub-diag changes --leg completion"),
    Stage.ROUTED: ("pubsub-diag delivery --leg {leg}", "pubsub-diag lint"),
    Stage.DELIVERED: ("pubsub-diag push-auth --leg {leg}", "pubsub-diag delivery --leg {leg}"),
    Stage.PROCESSED: ("pubsub-diag worker --leg {leg}", "pubsub-diag changes --leg {leg}"),
    Stage.RETURNED: ("pubsub-diag delivery --leg completion", "pubsub-diag worker --leg request"),
    Stage.RECORDED: ("pubsub-diag worker --leg completion", "pubsub-diag changes --leg completion"),
    Stage.CLOSED: ("pubsub-diag batch {batch} --items", "pubsub-diag changes --leg completion"),
}
"""What looks closer at a stage, the narrowest first."""

_PARTS = {
    "push_auth": "pubsub-diag push-auth --leg {leg}",
    "cold_start": "pubsub-diag cold-start --leg {leg}",
    "dead_letter": "pubsub-diag lint",
    "delivered": "pubsub-diag delivery --leg {leg}",
    "processed": "pubsub-diag worker --leg {leg}",
}
"""A step, and the command that runs it alone."""


class Offers:
    """Commands for one run, filled in for it."""

    def __init__(self, profile: PipelineProfile, evidence: EvidenceSet, ledger: Ledger) -> None:
        self._profile = profile
        self._evidence = evidence
        self._ledger = ledger

    def next(
        self, state: State, verdict: Verdict, unknown: Sequence[Missing], here: tuple[Stage | None, Leg | None]
    ) -> tuple[str, ...]:
        if self._ledger.known_batch is False:
            return ("pubsub-diag batches",)
        sure = [x for x in verdict.blocking if x.confidence is Confidence.CONFIRMED]
        steps = [
            *([] if self._ledger.told else hidden.ways_on(self._profile, self._evidence)),
            *(c for x in sure for c in self._of(x, x.match.cause.next[:1])),
            *(c for x in verdict.blocking if x not in sure for c in self._settling(x)),
            *(c for f in verdict.nameless for c in self._reading(f)),
            *([] if sure else [gap.mend for gap in unknown if gap.matters and gap.mend and self._adds(gap)][:2]),
        ]
        harmless = [x for x in verdict.live if x.role is Role.BENIGN and x.match.cause.next]
        steps += [c for x in harmless for c in self._of(x, x.match.cause.next)]
        if not verdict.held and not harmless and state in (State.STALLED, State.FAILED):
            steps += self._looking(state, verdict, here)
        steps += [
            self.fill(f"pubsub-diag runbook show {x.match.cause.code}", x.match.leg, ())
            for x in verdict.live
            if x.role in (Role.WORSENS, Role.LATENT)
        ]
        if state is not State.RUNNING or verdict.held:
            steps += [c for f in verdict.unexplained for c in self._reading(f)[:1]]
        return tuple(dict.fromkeys(steps))[:_MOST]

    def _adds(self, gap: Missing) -> bool:
        """Of a batch that cannot be seen it is said already what the profile lacks."""
        return self._ledger.told or bool(gap.permission)

    def of(self, live: Live) -> tuple[str, ...]:
        """The commands of a cause's remedy."""
        return tuple(self._of(live, live.match.cause.next))

    def _of(self, live: Live, commands: Iterable[str]) -> Iterator[str]:
        return (self.fill(command, live.match.leg, live.match.because) for command in commands)

    def _settling(self, live: Live) -> Iterator[str]:
        """The cheapest check that tells the cause from its rivals, or settles it."""
        cause = live.match.cause
        return self._of(live, (cause.settled_by or cause.next)[:1])

    def _reading(self, finding: Finding) -> list[str]:
        """Where to read on about a finding that no cause accounts for, and what looks at it alone."""
        step, leg = finding.code.partition(".")[0], finding.leg or Leg.REQUEST
        page = self.fill(f"pubsub-diag runbook show {_PAGES.get(step, step)}", leg, ())
        part = _PARTS.get(step)
        return [page, self.fill(part, leg, ())] if part else [page]

    def _looking(self, state: State, verdict: Verdict, here: tuple[Stage | None, Leg | None]) -> list[str]:
        """Nothing that was found holds the batch: look closer at the row where it stopped."""
        stage, leg = here
        if stage is None:
            first = next(iter(verdict.unexplained), None)
            stage = first.stage if first else Stage.CREATED if state is State.FAILED else Stage.DELIVERED
            leg = first.leg if first else None
        return [self.fill(c, leg or Leg.REQUEST, ()) for c in (*_LOOK[stage], "pubsub-diag access")]

    def fill(self, command: str, leg: Leg, because: Sequence[Finding]) -> str:
        config = seen(self._evidence.get(SubscriptionConfig, leg))
        named = self._profile.leg(leg)
        words = {k: v for f in because for k, v in f.words.items()}
        values = {
            "batch": self._ledger.batch,
            "leg": leg.value,
            "blocker": words.get("blocker", "BATCH_ID"),
            "project": self._profile.project,
            "subscription": named.subscription if named else "",
            "account": config.settings.push_account if config and config.settings else "",
        }
        for name, value in values.items():
            command = command.replace("{" + name + "}", value)
        if command.startswith("pubsub-diag runbook show") and leg is Leg.COMPLETION:
            command += " --leg completion"
        return " ".join(command.split())


_PAGES = {"closed": "recorded", "peeked": "probe"}
"""Where the page of a step has another name than the codes of its findings."""
