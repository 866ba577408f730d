"""Put the verdict into words: the headline, each cause with its reasons, what it is not, what was not seen, what to do."""

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
from diagnostics.conclude.standing import creeping_s, doubts, moot, reasons
from diagnostics.evidence.model import (
    STAGES,
    BatchMarks,
    BatchStatus,
    DenyPolicies,
    Evidence,
    EvidenceSet,
    Leg,
    Stage,
    Why,
    seen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.nearest import nearest_batch
from diagnostics.readings.stakes import cut_short
from diagnostics.readings.wholeness import kind_of
from diagnostics.shell.commands import is_harmless
from diagnostics.steps import closed, dead_letter, progress, returned
from diagnostics.steps.finding import Bears, Finding, Kind, Row, Status, Where
from diagnostics.steps.outcome.of_batch import UNREAD
from diagnostics.steps.words import clock, count, span

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

    def headline(
        self,
        command: str,
        status: Status,
        state: State,
        verdict: Verdict,
        findings: Sequence[Finding],
        ahead: Outlook,
    ) -> str:
        """One sentence; what is quoted within it may end in a full stop of its own."""
        return self._headline(command, status, state, verdict, findings, ahead).replace(".;", ";").removesuffix(".")

    def _headline(
        self,
        command: str,
        status: Status,
        state: State,
        verdict: Verdict,
        findings: Sequence[Finding],
        ahead: Outlook,
    ) -> str:
        if command != "batch":
            return part.headline(command, status, findings)
        ledger = self._ledger
        name = ledger.batch or self._attempt()
        counts = f"{_done(ledger)}/{ledger.expected if ledger.expected is not None else '?'}"
        top = verdict.blocking[0] if verdict.blocking else None
        why = self._why(verdict)
        if ledger.known_batch is False:
            near = nearest_batch(ledger.asked, self._evidence)
            return f"{name} is not known: {self._nobody_knows()}{f'; did you mean {near}?' if near else ''}"
        if not ledger.told:
            return self._hidden(verdict, findings)
        if ledger.as_asked and state is State.UNKNOWN:
            return f"{name} at {counts}, as far as the subscription's counters tell" + self._suspect(
                why, verdict, findings
            )
        if state is State.DONE:
            return self._done(name, counts, verdict)
        if state is State.FAILED:
            what = "was closed with none of its work done" if ledger.hollow else "made no batch"
            return f"{name} {what}: {why or self._harmless(verdict) or self._first_fault(findings)}"
        if state is State.STALLED and (every := creeping_s(findings)):
            return (
                f"{name} at {counts} hardly moves, one in {span(every)}: {why or self._undetermined(verdict, findings)}"
            )
        if state is State.STALLED and not ledger.done and ledger.started and not any(progress.STALLED.told(findings)):
            since = span((self._now - ledger.started).total_seconds())  # items get as far as what holds them
            return f"{name} at {counts}, none done in {since}: {why or self._undetermined(verdict, findings)}"
        if state is State.STALLED:
            return (
                f"{name} stuck at {counts} for {self._idle(findings)}: {why or self._undetermined(verdict, findings)}"
            )
        if state is State.RUNNING:
            if why:
                if top and top.match.cause.stage is Stage.CLOSED:
                    return f"{name} at {counts} still moves, and cannot close: {why}"
                pace = f" at {ahead.forecast.rate_per_min:.1f} a minute" if ahead.forecast.rate_per_min else ""
                return f"{name} at {counts} still moves{pace}, and is held: {why}"
            if not ledger.done:
                again = f"; ask again at {ahead.forecast.ask_again_at:%H:%M:%S}Z" if ahead.forecast.ask_again_at else ""
                return f"{name} at {counts}: too early to judge{again}" + self._ailing(verdict) + _left_open(findings)
            but = self._ailing(verdict) + _left_open(findings)
            return f"{name} running: {counts}" + (but or _speaks_against(ahead))
        if ledger.closed and doubts(findings):
            return self._done(name, counts, verdict) + _left_open(findings)
        if not ledger.owes and not why:
            return f"{name} at {counts}: what is known of is done, and {ledger.size_doubted or 'nothing tells how many it expects'}"
        return f"{name} at {counts}: could not tell whether it moves" + self._suspect(why, verdict, findings)

    def _idle(self, findings: Sequence[Finding]) -> str:
        """How long nothing got further: by the newest progress, else by what counters tell."""
        newest = self._ledger.last_progress
        stalled = next(progress.STALLED.told(findings), None)
        if newest is None and stalled is None:
            return "an unknown time"
        return span((self._now - newest).total_seconds() if newest else stalled.idle_s if stalled else 0)

    def _nobody_knows(self) -> str:
        marks = seen(self._evidence.get(BatchMarks))
        log = "no line of the coordinator's log names it and " if marks and marks.source.complete else ""
        return f"{log}its batch state does not have it"

    def _hidden(self, verdict: Verdict, findings: Sequence[Finding]) -> str:
        """Why the batch cannot be seen, and what is known of the subscription all the same, as the subscription's."""
        name = self._ledger.batch or "the latest batch"
        says = f"{name} cannot be seen: {hidden.why(self._profile, self._evidence, self._ledger)}"
        worst = hidden.trouble(verdict, findings)
        if worst is None:
            return says
        leg = (worst.match.leg if worst.match.names_leg else None) if isinstance(worst, Live) else worst.leg
        whose = self._profile.leg(leg or Leg.REQUEST)
        told = f"{self._clauses.alone(worst.match)} ({worst.confidence})" if isinstance(worst, Live) else worst.says
        named = f"subscription {whose.subscription if whose else '?'}"
        return f"{says}; {told if named in told else f'{named}: {told}'}"

    def _done(self, name: str, counts: str, verdict: Verdict) -> str:
        if any(x.match.cause.code == "empty-by-design" for x in verdict.live):
            return f"{name} is empty by design" + self._ailing(verdict)
        ledger = self._ledger
        how = self._cut_off(counts) if cut_short(ledger, self._profile) else f"done: {counts}"
        begun = f", started {clock(self._ledger.started, self._now)}" if self._ledger.started else ""
        return f"{name} {how}{begun}" + self._ailing(verdict)

    def _cut_off(self, counts: str) -> str:
        """How much was done when it was closed by hand or by age; where only what is done by now is known, that."""
        ledger = self._ledger
        if ledger.closed_with is not None and ledger.closed_with < ledger.done:
            late = ledger.done - ledger.closed_with
            return (
                f"was closed with work missing: {ledger.closed_with} of {ledger.expected}, and {late} came after that"
            )
        if ledger.forced and not ledger.short:
            return f"was closed by hand or by age: {counts} by now"
        return f"was closed at {counts} with work missing"

    def _ailing(self, verdict: Verdict) -> str:
        loose = reasons(verdict.unexplained)
        # What keeps it from being done for good comes first.
        sick = [f.says for f in loose if f.code == returned.OVERDUE.name]
        sick += [
            self._clauses.alone(x.match) for x in verdict.live if x.role in (Role.WORSENS, Role.LATENT) and not x.until
        ]
        sick += [f.says for f in loose if f.code != returned.OVERDUE.name]
        return f"; but {sick[0]}" + (f", and {len(sick) - 1} more" if len(sick) > 1 else "") if sick else ""

    def _why(self, verdict: Verdict) -> str:
        """What holds the batch, and how sure that is; what is not named is said as it was found. Empty: nothing that was found does."""
        if not verdict.held:
            return ""
        more = len(verdict.blocking) + len(reasons(verdict.nameless)) - 1
        top = verdict.blocking[0] if verdict.blocking else None
        if top is None:
            says = f"{verdict.nameless[0].says} (found; no known cause accounts for it)"
        elif top.share.rivals:
            says = f"one of {', '.join((top.match.cause.code, *top.share.rivals))} (they cannot be told apart yet)"
            more -= len(top.share.rivals)
        else:
            says = f"{self._clauses.alone(top.match)} ({top.confidence})"
        # of what is found and not named nobody knows whether it is a cause of its own
        noun = "thing" if top is None or reasons(verdict.nameless) else "cause"
        return says + (f", and {count(more, f'more {noun}')} {'holds' if more == 1 else 'hold'} it" if more > 0 else "")

    def _harmless(self, verdict: Verdict) -> str:
        """Why a start that made no batch is nothing to worry about; empty if it is."""
        return next(
            (self._clauses.of(x.match) for x in verdict.live if x.match.cause.benign and x.match.cause.next), ""
        )

    def _attempt(self) -> str:
        started = self._ledger.started
        if started and self._ledger.as_asked:
            return f"the batch of {clock(started, self._now)}, as asked,"
        return f"the start call of {clock(started, self._now)}" if started else "no batch"

    def _suspect(self, why: str, verdict: Verdict, findings: Sequence[Finding]) -> str:
        """What to say of a batch whose own progress is hidden: the cause, else the first fault, else what goes on and nothing accounts
        for."""
        first = next((f.says for f in findings if f.status is Status.FAULT), "")
        seen_wrong = why or first or self._goes_on(verdict)
        return f"; {seen_wrong}" if seen_wrong else ""

    def _undetermined(self, verdict: Verdict, findings: Sequence[Finding]) -> str:
        """What is seen of messages that stay behind, where nothing says why."""
        seen_now = [
            f.says
            for f in findings
            if f.status is Status.FAULT
            and f.bears is Bears.HOLDS
            and f.until is None
            and f.code != progress.STALLED.name
        ]
        says = seen_now[0] if seen_now else self._goes_on(verdict)
        return f"cause undetermined; {says}" if says else "cause undetermined"

    def _goes_on(self, verdict: Verdict) -> str:
        """What goes on and no cause accounts for; of what nothing tells that items of the batch meet it, that it is the subscription's."""
        found = [
            f
            for f in reasons(verdict.unexplained)
            if f.abnormal and f.until is None and f.code != progress.STALLED.name
        ]
        if not found:
            return ""
        first = min(found, key=lambda f: f.bears is Bears.APART)
        leg = self._profile.leg(first.leg) if first.leg else None
        whose = f"subscription {leg.subscription}: " if leg and first.bears is Bears.APART else ""
        return whose + first.says

    def _first_fault(self, findings: Sequence[Finding]) -> str:
        held = [f for f in findings if f.bears is Bears.HOLDS]
        return held[0].says if held else "no reason was found"

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

    def missing(self, findings: Sequence[Finding], state: State, verdict: Verdict) -> tuple[Missing, ...]:
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
        return (*found, *self._asked_before(), *self._cut_short(settled))

    def _asked_before(self) -> Iterator[Missing]:
        """Places where the batch state could not be read, though it then was elsewhere."""
        status = seen(self._evidence.get(BatchStatus))
        for says in status.instead if status else ():
            yield Missing(what=BatchStatus.__name__, leg=None, why=PARTIAL, says=says, matters=False)

    def _cut_short(self, settled: bool) -> tuple[Missing, ...]:
        """Evidence that was seen in part: what is said of it is said of that part."""
        return tuple(
            Missing(
                what=kind,
                leg=leg,
                why=PARTIAL,
                says=f"only part of it was read ({found.source.note})"
                if found.source.note
                else "only part of it was read",
                matters=not settled,
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
            )
            for x in self._ledger.lives
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
        names = tuple(sorted(i.name for i in self.items(rows) if i.where in for_ever))
        return Recovery(resubmit=names, resubmit_count=max(lost, len(names)), replay_dead_letters=dead - unkept)

    def sources(self) -> dict[str, str]:
        return {
            f"{kind}{f'@{leg.value}' if leg else ''}": found.source.by_hand
            for (kind, leg), found in self._evidence.items()
            if isinstance(found, Evidence) and found.source.by_hand and is_harmless(found.source.by_hand)
        }


def _sentences(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.says for f in findings if f.says))


def _done(ledger: Ledger) -> str:
    """How many items are done: a number only where something counts them; what only counters bound is a range."""
    if ledger.done or ledger.done_most == 0:
        return str(ledger.done)
    return f"0–{ledger.done_most}" if ledger.done_most else "?"


def _at_work(live: Live) -> bool:
    """Whether messages meet it. What nothing meets has consequences only where nothing that is at work has them."""
    seen = live.met or any(f.kind is not Kind.MECHANISM and f.abnormal for f in live.share.own)
    return seen or live.role in (Role.BLOCKS, Role.WORSENS)


def _left_open(findings: Sequence[Finding]) -> str:
    """What keeps an answer about a batch that gets on, or is closed, from being well."""
    return "".join(f"; {f.says}" for f in doubts(findings)[:1])


def _speaks_against(ahead: Outlook) -> str:
    """The same, where nothing was found but what speaks against its end."""
    return next((f"; but {one.says}" for one in ahead.unsure if one.status is not Status.OK), "")


PARTIAL = "partial"
"""Why something counts as missing that was seen in part."""


def _unkept(verdict: Verdict, rows: Sequence[Row]) -> int:
    """Dead letters of a leg on which no subscription keeps any: there is nothing to replay."""
    legs = {x.match.leg for x in verdict.live if any(f.code == dead_letter.NO_READER.name for f in x.share.own)}
    return sum(
        r.where.get(Where.DEAD_LETTERED, 0) for r in rows if not r.not_reached and (r.leg or Leg.COMPLETION) in legs
    )
