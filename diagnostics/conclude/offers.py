"""What to do next, in order: the remedy of what is sure, the check that decides most of what is not, and where to read on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude import hidden
from diagnostics.conclude.adding import Adding, leg_of
from diagnostics.conclude.diagnosis import Missing, State
from diagnostics.conclude.standing import doubts
from diagnostics.conclude.suspects import about
from diagnostics.evidence.model import EvidenceSet, Leg, Stage, SubscriptionConfig, seen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.nearest import nearest_batch
from diagnostics.shell.commands import command
from diagnostics.steps.finding import Finding
from diagnostics.steps.routed.vanished import OUTLIVED

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
    "published": ("pubsub-diag published",),
    "routed": ("pubsub-diag delivery --leg {leg}",),
    "push_auth": ("pubsub-diag push-auth --leg {leg}",),
    "cold_start": ("pubsub-diag cold-start --leg {leg}",),
    "dead_letter": ("pubsub-diag lint",),
    "delivered": ("pubsub-diag delivery --leg {leg}",),
    "processed": ("pubsub-diag worker --leg {leg}",),
}
"""A step, and the commands that run it alone."""

_COORDINATOR = (Stage.REQUESTED, Stage.CREATED, Stage.PUBLISHED, Stage.RECORDED, Stage.CLOSED)
"""Stages at which the coordinator is at work, the receiver of the way back; what does not return the worker did not publish."""
_ALL = "pubsub-diag batch {batch} -v"
"""All that was found, as it was found."""


class Offers:
    """Commands for one run, filled in for it."""

    def __init__(
        self,
        command: str,
        profile: PipelineProfile,
        evidence: EvidenceSet,
        ledger: Ledger,
        findings: Sequence[Finding],
        printed: Iterable[str],
    ) -> None:
        """Of an answer to `command`: `findings` are all that were made, `printed` what it prints beside the sentences of causes."""
        self._command = command
        self._profile = profile
        self._evidence = evidence
        self._ledger = ledger
        self._doubtful = bool(doubts(findings))
        self._adding = Adding(command, findings, printed, evidence)

    def next(
        self, state: State, verdict: Verdict, unknown: Sequence[Missing], here: tuple[Stage | None, Leg | None]
    ) -> tuple[str, ...]:
        if self._ledger.known_batch is False:
            near = nearest_batch(self._ledger.asked, self._evidence)
            return (*([command("pubsub-diag batch {batch}", batch=near)] if near else []), "pubsub-diag batches")
        steps = [
            *(hidden.ways_on(self._profile, self._evidence) if self._is_hidden() else ()),
            *self._of_blocking(verdict, unknown),
            *self._of_lost(verdict),
            *self._of_harmless(state, verdict, here),
            *(self._page(x) for x in verdict.live if x.role in (Role.WORSENS, Role.LATENT)),
            *(c for f in verdict.unexplained for c in self._reading(f)[:1]),
        ]
        unsure = self._doubtful or state in (State.STALLED, State.FAILED, State.UNKNOWN)
        if self._command == "batch" and not steps and unsure:
            steps = [self.fill(_ALL, Leg.REQUEST, ())]
        return tuple(dict.fromkeys(steps))[:_MOST]

    def _is_hidden(self) -> bool:
        """Whether a batch was asked about that cannot be seen; who looks at one part asks about no batch."""
        return self._command in ("batch", "watch") and not self._ledger.told

    def _is_news(self, gap: Missing) -> bool:
        """Of a batch that cannot be seen it is said already what the profile lacks."""
        return not self._is_hidden() or bool(gap.permission)

    def _of_blocking(self, verdict: Verdict, unknown: Sequence[Missing]) -> Iterator[str]:
        """The remedy of what is sure, the check of what is not, what looks past a fault that nothing names, what would show more."""
        sure = [x for x in verdict.blocking if x.confidence is Confidence.CONFIRMED]
        for live in verdict.blocking:
            yield from list(self._of(live, live.match.cause.next))[:1] if live in sure else self._settling(live)
        for at, finding in enumerate(verdict.nameless):
            yield from self._reading(finding)
            yield from () if at else self._beyond(finding.stage, finding.leg or Leg.REQUEST)
        if not sure:
            yield from [gap.mend for gap in unknown if gap.matters and gap.mend and self._is_news(gap)][:2]

    def _of_harmless(self, state: State, verdict: Verdict, here: tuple[Stage | None, Leg | None]) -> Iterator[str]:
        """What to do about what is as it should be; where nothing was found at all, what looks closer."""
        harmless = [x for x in verdict.live if x.role is Role.BENIGN and x.match.cause.next]
        for live in harmless:
            yield from self._of(live, live.match.cause.next)
        if not verdict.held and not harmless and state in (State.STALLED, State.FAILED):
            yield from self._looking(state, verdict, here)

    def _of_lost(self, verdict: Verdict) -> Iterator[str]:
        """What to do for messages that are gone: they do not come back when what kept them from being acked is mended."""
        if any(f.code == OUTLIVED.name and f.held for live in verdict.blocking for f in live.share.follows):
            yield self._runbook("messages-outlived-retention", Leg.REQUEST)

    def _page(self, live: Live) -> str:
        return self._runbook(live.match.cause.code, live.match.leg)

    def _runbook(self, page: str, leg: Leg) -> str:
        return command("pubsub-diag runbook show {page}" + self._of_leg(leg), page=page)

    def _of_leg(self, leg: Leg) -> str:
        """The option of a page that is about the way back, where the profile has one."""
        return " --leg completion" if leg is Leg.COMPLETION and self._profile.completion is not None else ""

    def of(self, live: Live) -> tuple[str, ...]:
        """The commands of a cause's remedy."""
        return tuple(self._of(live, live.match.cause.next))

    def _of(self, live: Live, commands: Iterable[str]) -> Iterator[str]:
        """Those of these commands that tell more than the answer does."""
        match = live.match
        filled = (self.fill(line, match.leg, match.because) for line in commands)
        return (line for line in filled if self._adds(line, match.leg, match.cause.family))

    def _settling(self, live: Live) -> list[str]:
        """The cheapest check that tells the cause from its rivals, or settles it; then what to do if it is so."""
        cause = live.match.cause
        return [*list(self._of(live, cause.settled_by))[:1], *list(self._of(live, cause.next))[:1]]

    def _reading(self, finding: Finding) -> list[str]:
        """Where to read on about a finding that no cause accounts for, and what looks at it alone."""
        step, leg = finding.code.partition(".")[0], finding.leg or Leg.REQUEST
        return [self._runbook(step, leg), *self._worth(_PARTS.get(step, ()), leg)]

    def _looking(self, state: State, verdict: Verdict, here: tuple[Stage | None, Leg | None]) -> list[str]:
        """Nothing that was found holds the batch: look closer at the row where it stopped."""
        stage, leg = here
        if stage is None:
            first = next(iter(verdict.unexplained), None)
            stage = first.stage if first else Stage.CREATED if state is State.FAILED else Stage.DELIVERED
            leg = first.leg if first else None
        leg = leg or Leg.REQUEST
        closer = self._worth(_LOOK[stage], leg)
        return [*closer, *self._beyond(stage, leg), *self._worth(("pubsub-diag access", _ALL), leg)]

    def _beyond(self, stage: Stage, leg: Leg) -> list[str]:
        """What looks past what was found: at what changed where that stage is at work."""
        of = Leg.COMPLETION if stage in _COORDINATOR else Leg.REQUEST if stage is Stage.RETURNED else leg
        return self._worth(("pubsub-diag changes --leg {leg}",), of)

    def _worth(self, commands: Iterable[str], leg: Leg) -> list[str]:
        """Those of these commands that tell more than the answer does."""
        filled = [self.fill(line, leg, ()) for line in commands]
        return [line for line in filled if self._adds(line, leg)]

    def _adds(self, line: str, leg: Leg, family: str = "") -> bool:
        whose = leg_of(line)
        if whose and self._profile.leg(whose) is None:
            return False
        return self._adding.adds(line, about(family, whose or leg, self._evidence, self._profile))

    def fill(self, line: str, leg: Leg, because: Sequence[Finding]) -> str:
        """The command with what is known of this run and of these findings in the place of {name}; CAPITALS where it is not known."""
        known = _NOT_KNOWN | {k: v for f in because for k, v in f.words.items()} | self._of_the_run(leg)
        of = self._of_leg(leg) if line.startswith("pubsub-diag runbook show") else ""
        return command(line + of, **known)

    def _of_the_run(self, leg: Leg) -> dict[str, str]:
        config = seen(self._evidence.get(SubscriptionConfig, leg))
        named = self._profile.leg(leg)
        account = config.settings.push_account if config and config.settings else ""
        values = (
            self._ledger.batch,
            leg.value,
            self._profile.project,
            named.subscription if named else "",
            account,
        )
        return dict(zip(OF_THE_RUN, values, strict=True))


OF_THE_RUN = ("batch", "leg", "project", "subscription", "account")
"""What a command may have in braces whatever was found; all else the findings have to tell that the cause rests on."""
_NOT_KNOWN = {"blocker": "BATCH_ID"}
