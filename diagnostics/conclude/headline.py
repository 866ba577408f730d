"""One sentence about a batch, to paste into a pager: how it stands, what holds it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude import hidden, part
from diagnostics.conclude.clauses import Clauses
from diagnostics.conclude.diagnosis import State
from diagnostics.conclude.outlook import Outlook
from diagnostics.conclude.standing import creeping_s, doubts, reasons
from diagnostics.evidence.model import BatchMarks, EvidenceSet, Leg, Stage, seen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.nearest import nearest_batch
from diagnostics.readings.stakes import cut_short
from diagnostics.steps import progress, returned
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.words import clock, count, span


class Headline:
    """Words for one run."""

    def __init__(
        self, profile: PipelineProfile, evidence: EvidenceSet, ledger: Ledger, now: datetime, clauses: Clauses
    ) -> None:
        self._profile = profile
        self._evidence = evidence
        self._ledger = ledger
        self._now = now
        self._clauses = clauses

    def says(
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
        cut = cut_short(ledger, self._profile)
        how = self._cut_off(counts) if cut else f"done: {counts}"
        begun = f", started {clock(self._ledger.started, self._now)}" if self._ledger.started else ""
        return f"{name} {how}{begun}" + self._ailing(verdict, but="closed-short" if cut else "")

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

    def _ailing(self, verdict: Verdict, but: str = "") -> str:
        """What else is wrong; without the cause `but`, which stands in the sentence already."""
        loose = reasons(verdict.unexplained)
        # What keeps it from being done for good comes first.
        sick = [f.says for f in loose if f.code == returned.OVERDUE.name]
        sick += [
            self._clauses.alone(x.match)
            for x in verdict.live
            if x.role in (Role.WORSENS, Role.LATENT) and not x.until and x.match.cause.code != but
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


def _done(ledger: Ledger) -> str:
    """How many items are done: a number only where something counts them; what only counters bound is a range."""
    if ledger.done or ledger.done_most == 0:
        return str(ledger.done)
    return f"0–{ledger.done_most}" if ledger.done_most else "?"


def _left_open(findings: Sequence[Finding]) -> str:
    """What keeps an answer about a batch that gets on, or is closed, from being well."""
    return "".join(f"; {f.says}" for f in doubts(findings)[:1])


def _speaks_against(ahead: Outlook) -> str:
    """The same, where nothing was found but what speaks against its end."""
    return next((f"; but {one.says}" for one in ahead.unsure if one.status is not Status.OK), "")
