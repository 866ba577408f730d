"""Put the verdict into words: each cause with its reasons, what was not seen, which items are where, what to send again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude import hidden, part
from diagnostics.conclude.clauses import Clauses
from diagnostics.conclude.diagnosis import Header, Item, Missing, Named, Recovery, State
from diagnostics.conclude.outlook import Outlook
from diagnostics.conclude.standing import moot
from diagnostics.evidence.model import (
    STAGES,
    BatchMarks,
    BatchStatus,
    DenyPolicies,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    Stage,
    Why,
    seen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.wholeness import kind_of
from diagnostics.shell.commands import is_harmless
from diagnostics.steps import closed, dead_letter
from diagnostics.steps.finding import Finding, Kind, Row, Status, Where
from diagnostics.steps.outcome.of_batch import UNREAD

WOULD_SAY = {
    "PushCounts": "how pushes are answered",
    "Backlog": "how many messages wait, and since when",
    "ItemMarks": "how far each item got",
    "BatchMarks": "what was done with the batch",
    "BatchStatus": "what the batch state counts",
    "RequestLog": "who refused or failed what",
    "ServicePolicy": "whether the push account may invoke the service",
    "ProjectPolicy": "which grants hold for the whole project",
    "AncestorPolicies": "what folders and the organisation grant",
    "CustomRoles": "what the project's own roles hold",
    "DenyPolicies": "what deny policies take away",
    "PushAccountPolicy": "whether Google's agent may mint push tokens",
    "SubscriptionPolicy": "whether Google's agent may forward dead letters",
    "DeadLetterTopicPolicy": "whether Google's agent may publish dead letters",
    "ReceiverCapacity": "start-up times and instances",
    "ChangeLog": "what changed, and who changed it",
    "PublishCounts": "what reached the topic",
    "PlatformLines": "whether containers crash",
    "ServiceConfig": "how the service is set up",
    "SubscriptionConfig": "where the subscription pushes to",
    "TopicConfig": "whether the topic is there",
    "TopicSubscriptions": "which subscriptions the topic has",
    "ProjectSubscriptions": "whether other subscriptions push to the service",
    "TopicPolicy": "who may publish",
    "DeadLetterTopic": "whether dead letters are kept",
    "Revisions": "what a deploy changed",
    "PushAccount": "whether the push account is there",
    "ProjectInfo": "who Google's Pub/Sub agent is",
    "StartCalls": "how start calls were answered",
    "AckCounts": "what was acknowledged, and what a filter dropped",
    "DeadLetterCounts": "what was dead-lettered",
    "PushLatencies": "how long pushes take",
    "ReceiverTraffic": "what the service answered, and how fast",
    "DeliveryHealth": "whether Pub/Sub calls the delivery healthy",
    "QuotaExceeded": "whether a quota ran out",
    "PushHistory": "how pushes were answered before",
    "BacklogHistory": "since when messages wait",
    "MetricDelays": "how late metrics are",
    "BalancerLog": "what a load balancer before the service refused",
    "ModelManifest": "which models there are",
    "ModelRegistry": "what the registry says of the models",
    "ModelDocument": "what the documentation says of the models",
    "ModelLoads": "which model the worker loaded",
    "ResultRows": "what is in the results table",
    "DownstreamRows": "whether what is made of the results is there",
    "OpenBatches": "which batches are kept as open",
    "LiveHealth": "whether the push account gets in, tried",
    "LiveStart": "how long a start takes, tried",
}
"""Kind of evidence to what it tells."""

_SELDOM = frozenset({DenyPolicies.__name__})
"""What is seldom to be read and seldom there: missed only where a finding could not tell for want of it."""
_MAY_COME = (Where.WAITING, Where.IN_FLIGHT, Where.RETRYING, Where.UNATTRIBUTED, Where.UNKNOWN)
_TELL_SIZE = frozenset({BatchMarks.__name__, BatchStatus.__name__})
"""What tells how many items a batch expects."""


class Teller:
    """Words for one run."""

    def __init__(
        self,
        profile: PipelineProfile,
        evidence: EvidenceSet,
        ledger: Ledger,
        header: Header,
        now: datetime,
        clauses: Clauses,
    ) -> None:
        self._profile = profile
        self._evidence = evidence
        self._ledger = ledger
        self._header = header
        self._now = now
        self._clauses = clauses

    def named(self, live: Live, remedy: tuple[str, ...], others: Iterable[Live] = ()) -> Named:
        match, share = live.match, live.share
        because = _sentences((*match.because, *share.own))
        elsewhere = {id(f) for x in others if x is not live and _at_work(x) for f in x.share.follows}
        hence = share.follows if _at_work(live) else [f for f in share.follows if id(f) not in elsewhere]
        return Named(
            code=match.cause.code,
            title=match.cause.title,
            leg=match.leg if match.names_leg else None,
            stage=match.cause.stage,
            role=live.role,
            confidence=live.confidence,
            since=live.since,
            until=live.until,
            says=self._clauses.of(match),
            because=because,
            hence=tuple(says for says in _sentences(hence) if says not in because),
            against=self._against(match.leg, match.cause.stage),
            one_of=share.rivals,
            active=hidden.active(live, self._ledger),
            runbook=match.cause.runbook,
            next=remedy,
            over=match.over,
        )

    def _against(self, leg: Leg, stage: Stage) -> tuple[str, ...]:
        return tuple(
            f"{WOULD_SAY.get(u.what, u.what)} was not seen: {u.says}"
            for u in self._evidence.unseen()
            if u.leg in (leg, None) and u.why not in (Why.NOT_ASKED, Why.NOT_CONFIGURED) and stage is not Stage.CLOSED
            if u.what not in _SELDOM
        )

    def missing(
        self, findings: Sequence[Finding], state: State, verdict: Verdict, ahead: Outlook | None = None
    ) -> tuple[Missing, ...]:
        """`ahead`: what becomes of the batch; where that is open for what was not read, this matters."""
        settled = any(x.confidence is Confidence.CONFIRMED for x in verdict.blocking) or state in (
            State.DONE,
            State.RUNNING,
        )
        no_batch = not self._ledger.batch and (self._ledger.attempt is not None or self._header.command != "batch")
        stages = {what: f.stage for f in findings if f.status is Status.UNKNOWN for what in f.rests_on}
        would_settle = {
            (what, f.leg)
            for x in verdict.live
            if not x.match.settled
            for f in x.match.because
            if f.status is Status.UNKNOWN
            for what in f.rests_on
        }
        would_overturn = {
            kind_of(kind).__name__
            for x in verdict.blocking
            if x.match.settled and x.confidence is not Confidence.CONFIRMED
            for kind in x.match.cause.overturned_by
        }
        left_open = {
            what for f in findings if f.code == closed.OPEN.name and f.status is Status.UNKNOWN for what in f.rests_on
        }
        unread = {what for f in findings if f.code == UNREAD.name for what in f.rests_on}
        of_size = self._ledger.told and not self._ledger.owes
        gone = [u for u in self._evidence.unseen() if u.why is not Why.NOT_ASKED]
        gone = [u for u in gone if not (u.why is Why.NOT_CONFIGURED and u.what.startswith("Live"))]
        gone = [u for u in gone if u.what not in _SELDOM or u.what in stages]
        found = (
            Missing.of(
                u,
                matters=(u.what, u.leg) in would_settle
                or u.what in would_overturn
                or (u.what in left_open and state is not State.DONE)
                or u.what in unread
                or (u.what in stages and self._header.command in part.COMMANDS)
                or (
                    not settled
                    and u.why is not Why.NOT_CONFIGURED
                    and not (no_batch and u.what == BatchStatus.__name__)
                    and not (self._header.command == "lint" and u.what == BatchMarks.__name__ and not u.permission)
                    and (
                        (of_size and u.what in _TELL_SIZE)
                        or not moot(stages.get(u.what, Stage.REQUESTED), self._ledger, state)
                    )
                ),
                would_say=WOULD_SAY.get(u.what, ""),
            )
            for u in gone
        )
        left_out = any(one.status is Status.UNKNOWN for one in ahead.unsure) if ahead else False
        return (*found, *self._asked_before(), *self._cut_short(settled, left_out))

    def _asked_before(self) -> Iterator[Missing]:
        """Places where the batch state could not be read, though it then was elsewhere."""
        status = seen(self._evidence.get(BatchStatus))
        for says in status.instead if status else ():
            yield Missing(what=BatchStatus.__name__, leg=None, why=PARTIAL, says=says, matters=False)

    def _cut_short(self, settled: bool, lines: bool) -> tuple[Missing, ...]:
        """Evidence that was seen in part: what is said of it is said of that part. `lines`: what was left out of the items' lines
        matters."""
        return tuple(
            Missing(
                what=kind,
                leg=leg,
                why=PARTIAL,
                says=f"only part of it was read ({found.source.note})"
                if found.source.note
                else "only part of it was read",
                matters=not settled or (lines and kind == ItemMarks.__name__),
                mend="ask again with --timeout 120" if lines and kind == ItemMarks.__name__ else "",
                would_say=WOULD_SAY.get(kind, ""),
            )
            for (kind, leg), found in self._evidence.items()
            if isinstance(found, Evidence) and not found.source.complete
        )

    def items(self, rows: Sequence[Row]) -> tuple[Item, ...]:
        """Items that anything names, least far first."""
        recorded, lost = self._recorded(), self._lost(rows)
        listed = [
            Item(
                name=x.name,
                stage=Stage.RECORDED if recorded and x.stage is Stage.RETURNED else x.stage,
                where="" if recorded and x.stage in (Stage.RETURNED, Stage.RECORDED) else self._where(x, lost),
                attempts=max(x.starts, x.failures),
                last=x.last,
                reason=x.reason,
                many=x.many,
            )
            for x in self._ledger.named
        ]
        return tuple(sorted(listed, key=lambda i: (STAGES.index(i.stage), i.name)))

    def _recorded(self) -> bool:
        """Whether the batch state counts no less than what came back."""
        counts = self._ledger.counts
        return bool(counts) and counts[Stage.RECORDED].least >= counts[Stage.RETURNED].least

    def _lost(self, rows: Sequence[Row]) -> frozenset[Stage]:
        """Stages whose items have no message any more: the ladder counts as many lost behind them, and none on its way."""
        ways = {Stage.PUBLISHED: Leg.REQUEST, Stage.PROCESSED: Leg.COMPLETION}
        on_the_way = (Stage.ROUTED, Stage.DELIVERED, Stage.RETURNED)
        behind = {stage: [r for r in rows if r.leg is leg and r.stage in on_the_way] for stage, leg in ways.items()}
        behind[Stage.RETURNED] = [r for r in rows if r.stage is Stage.RECORDED]
        return frozenset(stage for stage, those in behind.items() if self._is_lost(stage, those))

    def _is_lost(self, stage: Stage, rows: Sequence[Row]) -> bool:
        places: Counter[str] = Counter()
        for row in rows:
            if not row.not_reached:
                places.update(row.where)
        at = Counter(self._where(life) for life in self._ledger.lives if life.stage is stage)
        there = sum(at[where] for where in _MAY_COME)
        return places[Where.DROPPED] - at[Where.DROPPED] >= there > 0 and not any(places[where] for where in _MAY_COME)

    def _where(self, life: Life, lost: frozenset[Stage] = frozenset()) -> str:
        if life.stage is Stage.RECORDED:
            return ""
        if life.dead_lettered:
            return Where.DEAD_LETTERED
        if life.tried_before and life.stage is Stage.DELIVERED:
            return Where.RETRYING if self._pushed(life) else Where.WAITING
        if life.nacked_completion:
            return Where.RETRYING
        if life.skipped and not life.done and life.stage is Stage.PROCESSED:
            return Where.SKIPPED
        if life.completion_failed and life.stage is Stage.PROCESSED:
            return Where.DROPPED
        if life.unrecorded and life.stage is Stage.RETURNED:
            return Where.RETRYING
        if life.stage in lost:
            return Where.DROPPED
        return Where.WAITING if life.stage is Stage.PUBLISHED else Where.IN_FLIGHT

    def _pushed(self, life: Life) -> bool:
        """Whether it was tried so lately that its next try may still come."""
        return life.last is None or self._now - life.last <= self._ledger.dead(Leg.REQUEST).pause

    def unnamed(self) -> int:
        return max((self._ledger.expected or 0) - len(self._ledger.lives), 0)

    def recovery(self, verdict: Verdict, rows: Sequence[Row]) -> Recovery:
        """What will not come by itself: lost, gated, never published or given up, and what waits in a dead-letter topic."""
        places: Counter[str] = Counter()
        for row in rows:
            if not row.not_reached:
                places.update(row.where)
        unpublished = sum(r.where.get(Where.UNATTRIBUTED, 0) for r in rows if r.stage is Stage.PUBLISHED)
        dead, unkept = places[Where.DEAD_LETTERED], _unkept(verdict, rows)
        if not verdict.held:
            return Recovery(replay_dead_letters=dead - unkept)
        gone = (Where.DROPPED, Where.GATED, Where.UNKNOWN, Where.SKIPPED)
        lost = sum(places[w] for w in gone) + unpublished + unkept
        for_ever = (Where.DROPPED, Where.SKIPPED, *((Where.DEAD_LETTERED,) if unkept and unkept == dead else ()))
        gone_for_good = [i for i in self.items(rows) if i.where in for_ever]
        names = tuple(sorted(i.name for i in gone_for_good))
        named = sum(i.many for i in gone_for_good)
        return Recovery(
            resubmit=names,
            resubmit_count=max(lost, named),
            alike=named - len(names),
            replay_dead_letters=dead - unkept,
        )

    def sources(self) -> dict[str, str]:
        return {
            f"{kind}{f'@{leg.value}' if leg else ''}": found.source.by_hand
            for (kind, leg), found in self._evidence.items()
            if isinstance(found, Evidence) and found.source.by_hand and is_harmless(found.source.by_hand)
        }


def _sentences(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.says for f in findings if f.says))


def _at_work(live: Live) -> bool:
    """Whether messages meet it. What nothing meets has consequences only where nothing that is at work has them."""
    seen = live.met or any(f.kind is not Kind.MECHANISM and f.abnormal for f in live.share.own)
    return seen or live.role in (Role.BLOCKS, Role.WORSENS)


PARTIAL = "partial"
"""Why something counts as missing that was seen in part."""


def _unkept(verdict: Verdict, rows: Sequence[Row]) -> int:
    """Dead letters of a leg on which no subscription keeps any: there is nothing to replay."""
    legs = {x.match.leg for x in verdict.live if any(f.code == dead_letter.NO_READER.name for f in x.share.own)}
    return sum(
        r.where.get(Where.DEAD_LETTERED, 0) for r in rows if not r.not_reached and (r.leg or Leg.COMPLETION) in legs
    )
