"""Why, how sure, what else was considered, what could not be seen, what is left, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Missing, Named, Suspect
from diagnostics.evidence.model import Evidence, Leg, Why
from diagnostics.keep.bundle import Bundle
from diagnostics.report.ladder import WORDS, places
from diagnostics.report.postmortem.merged import Seen, holding
from diagnostics.report.postmortem.model import Action, Cause, Gap, Hypothesis, Moment, Trigger
from diagnostics.report.postmortem.results import explains
from diagnostics.report.text import suspicion
from diagnostics.shell.commands import command
from diagnostics.steps.finding import Where
from diagnostics.steps.words import clip, count, names

SURE = {Confidence.CONFIRMED: "", Confidence.PROBABLE: "probably ", Confidence.POSSIBLE: "possibly "}
"""How strongly a cause may be put."""
_ROLES = tuple(Role)
_PRIORITIES = {Role.BLOCKS: "high", Role.WORSENS: "medium", Role.LATENT: "low"}
"""Of what prevents a cause, as proposed: by what the cause did this time."""
_RESET = ("Seek", "DeleteSnapshot", "DeleteSubscription", "DeleteTopic", "ModifyPushConfig", "UpdateSubscription")
_JUST_BEFORE = timedelta(hours=24)


def strongest(seen: Seen) -> list[Named]:
    """Each cause in its strongest role, in the words of the newest look that gave it that role; what blocked comes first."""
    best: dict[tuple[str, Leg | None], Named] = {}
    for said in seen.said:
        for cause in said.causes:
            held = best.get((cause.code, cause.leg))
            if held is None or _ROLES.index(cause.role) <= _ROLES.index(held.role):
                best[cause.code, cause.leg] = cause
    live = {key: cause for key, cause in best.items() if key not in _refuted_later(seen)}
    return sorted(live.values(), key=lambda c: _ROLES.index(c.role))


def causes(seen: Seen) -> tuple[Cause, ...]:
    return tuple(
        Cause(
            code=cause.code,
            title=cause.title,
            leg=cause.leg.value if cause.leg else "",
            role=cause.role.value,
            confidence=cause.confidence.value,
            since=cause.since,
            says=cause.says,
            because=(*cause.because, *cause.hence)[:8],
            against=cause.against[:8],
            looks=_looks(cause, seen.said),
        )
        for cause in strongest(seen)
        if cause.role is not Role.BENIGN
    )


def hypotheses(seen: Seen) -> tuple[Hypothesis, ...]:
    """What the looks ruled out, what one look named and a later one refuted, and what turned out to be harmless."""
    named = {(c.code, c.leg): c for said in seen.said for c in said.causes}
    found: dict[str, Hypothesis] = {}
    for said in seen.said:
        for out in said.ruled_out:
            name = f"{out.code} ({out.leg.value} leg)" if out.leg else out.code
            was = named.get((out.code, out.leg))
            before = f"; named {was.confidence.value} by another look" if was else ""
            found[name] = Hypothesis(name=name, refuted_by=f"{out.because}{before}")
    for cause in strongest(seen):
        if cause.role is Role.BENIGN and cause.code != "done":
            why = "; ".join(cause.because[:2]) or cause.says
            found[cause.code] = Hypothesis(name=f"{cause.code}: {cause.title}", refuted_by=f"harmless: {why}")
    return tuple(found.values())


def gaps(seen: Seen) -> tuple[Gap, ...]:
    """What no look could see; what counts comes first. What one look missed and another saw is no gap."""
    missing: dict[tuple[str, Leg | None], Missing] = {}
    for said in seen.said:
        missing.update({(gap.what, gap.leg): gap for gap in said.unknown})
    saw = {
        key for run in seen.runs for key, part in run.case.evidence.items() if part not in run.case.evidence.unseen()
    }
    for run in seen.runs:
        for part in run.case.evidence.unseen():
            if part.why not in (Why.NOT_ASKED, Why.NOT_CONFIGURED):
                missing.setdefault((part.what, part.leg), Missing.of(part, matters=part.why is Why.EXPIRED))
    left = [gap for key, gap in missing.items() if key not in saw]
    told = [
        Gap(
            what=_of_leg(gap.what, gap.leg),
            why=f"{gap.says} ({gap.permission})" if gap.permission and gap.permission not in gap.says else gap.says,
            would_say=gap.would_say,
            mend=gap.mend,
            matters=gap.matters,
        )
        for gap in sorted(left, key=lambda g: (not g.matters, g.what))
    ]
    return tuple(told) + tuple(_taken_back(seen))


def _taken_back(seen: Seen) -> Iterator[Gap]:
    """What a look at the past did not see as it was, and what told instead."""
    told: dict[str, str] = {}
    for run in seen.runs:
        if run.case.evidence.looked_at == run.case.evidence.now:
            continue
        for (kind, leg), part in run.case.evidence.items():
            if isinstance(part, Evidence) and part.source.note:
                told[_of_leg(kind, leg)] = part.source.note
    by_note: dict[str, list[str]] = {}
    for what, note in told.items():
        by_note.setdefault(note, []).append(what)
    for note, kinds in by_note.items():
        yield Gap(what=names(kinds, 6), why=f"looked at later; {note}", matters=False)


def _of_leg(what: str, leg: Leg | None) -> str:
    return f"{what} ({leg.value} leg)" if leg else what


def trigger(seen: Seen, start: Moment) -> Trigger:
    """What the blocking cause's onset follows. Nothing here is more than order in time."""
    if start.at is None:
        return Trigger(
            says="Undetermined: when the impact began is not known." if seen.troubled else "No impact is known."
        )
    onset = f"the impact began at {start.at:%H:%M:%S}Z ({start.says})"
    begin = min(filter(None, (seen.last_good_at, start.at - _JUST_BEFORE)))
    before = [
        f"{c.at:%m-%d %H:%M:%S}Z {c.method}{'' if c.ok else ' (failed)'} on {c.resource} by {c.by}"
        for c in reversed(seen.changes)
        if begin <= c.at <= start.at
    ]
    fits = [f"fits best, as it is about the same resource: {suspicion(s, seen.end)}" for s in _fitting(seen)[:1]]
    if seen.attempt and seen.attempt.call and seen.attempt.call.at <= start.at:
        call = seen.attempt.call
        agent = f" by {call.user_agent}" if call.user_agent else ""
        before.insert(0, f"{call.at:%m-%d %H:%M:%S}Z the start call of this batch{agent}")
    if before:
        says = (
            f"Undetermined beyond order in time: {onset}; what came before it is listed, newest first. "
            "None of it is proven to have set it off."
        )
    elif seen.knows_changes(begin, start.at):
        says = f"Undetermined: {onset}; the audit logs show no change of configuration from {begin:%Y-%m-%d %H:%M}Z to then."
    else:
        says = f"Undetermined: {onset}; the audit logs could not be read in full, so what changed before is not known."
    return Trigger(says=says, before=(*fits, *before[:8]))


def _fitting(seen: Seen) -> list[Suspect]:
    """Changes that fit what held the batch, the best first."""
    held = {(c.code, c.leg) for d in seen.troubled for c in holding(d)}
    return [s for d in reversed(seen.troubled) for s in d.suspects if (s.cause, s.leg) in held]


def residue(seen: Seen, start: Moment) -> tuple[str, ...]:
    """What the incident and its mending left behind or lost."""
    last = next((d for d in reversed(seen.said) if d.ladder), seen.last)
    where = places(last.ladder)
    left = []
    lost = (Where.DROPPED, "filtered, expired, purged or published where nobody listens: they do not come back")
    dead = (Where.DEAD_LETTERED, "they do not come back by themselves: replay them")
    gated = (Where.GATED, "nobody published them: start again if they were wanted")
    skipped = (Where.SKIPPED, "the worker gave them up and reported nothing: decide what becomes of them")
    for place, then in (lost, dead, gated, skipped):
        if where[place]:
            left.append(f"{count(where[place], 'item')} {WORDS[place]}; {then}")
    if seen.lack:
        left.append(
            f"{seen.lack.says} were missing as of {seen.lack.at:%Y-%m-%d %H:%M}Z: make them again if they are wanted"
        )
    recovery = last.recovery
    if recovery.resubmit_count:
        named = f": {names(recovery.resubmit, 5)}" if recovery.resubmit else ""
        left.append(f"{count(recovery.resubmit_count, 'item')} will not come by themselves{named}")
    if recovery.replay_dead_letters:
        left.append(f"{count(recovery.replay_dead_letters, 'message')} to be replayed from the dead-letter topic")
    since = start.at or seen.begin
    for change in seen.changes:
        if change.at >= since and change.ok and change.method.startswith(_RESET):
            left.append(f"{change.at:%H:%M:%S}Z {change.method} on {change.resource}: check what it dropped or reset")
    for cause in strongest(seen):
        if cause.role is Role.LATENT:
            at = max(said.as_of for said in seen.said if cause.code in {c.code for c in said.causes})
            left.append(
                f"{cause.code} was there as of {at:%Y-%m-%d %H:%M}Z and explains nothing of this batch: {cause.says}"
            )
    return tuple(left)


def recurrence(seen: Seen, earlier: Iterable[Bundle]) -> tuple[str, ...]:
    """Whether kept runs about other batches named the same causes."""
    codes = {c.code for c in strongest(seen) if c.role is not Role.BENIGN}
    runs = [r for r in earlier if (r.diagnosis or r.then) and r.batch and r.batch != seen.batch]
    if not runs:
        return ("no run about another batch is kept, so whether it happened before is not known from here",)
    newest = {r.batch: r for r in sorted(runs, key=lambda r: r.case.evidence.now)}
    told = [
        f"{batch}: {cause.code} ({cause.role}, {cause.confidence}) as of {run.case.evidence.now:%Y-%m-%d %H:%M}Z"
        for batch, run in newest.items()
        if (said := run.diagnosis or run.then)
        for cause in said.causes
        if cause.code in codes
    ]
    return tuple(told[:20]) or (
        f"none of the kept runs about {count(len(newest), 'other batch')} names any of its causes",
    )


def actions(seen: Seen, prevent: Mapping[str, str]) -> tuple[Action, ...]:
    """What is left to repair, what the runbooks advise against a next time, and what would let us see next time; the most urgent first.
    `prevent`: code of a cause to that advice."""
    found = [*_repairs(seen)]
    found += [
        Action(kind="prevent", says=prevent[cause.code], source=cause.code, priority=_PRIORITIES[cause.role])
        for cause in strongest(seen)
        if cause.role in _PRIORITIES and prevent.get(cause.code)
    ]
    mends = {gap.mend: gap for gap in gaps(seen) if gap.mend and gap.matters}
    found += [
        Action(kind="detect", says=f"Make {gap.what} visible{_with(mend)}", source="not seen", priority="medium")
        for mend, gap in mends.items()
    ]
    once = {(a.kind, a.says): a for a in found}
    return tuple(sorted(once.values(), key=lambda a: ("high", "medium", "low").index(a.priority)))


def _repairs(seen: Seen) -> Iterator[Action]:
    """What the last look left undone."""
    for cause in holding(seen.last) or [c for c in seen.last.causes if explains(c, seen.last)]:
        says = f"Mend it, step by step: `{command('pubsub-diag runbook show {code}', code=cause.code)}`"
        yield Action(kind="repair", says=says, source=cause.code, priority="high")
    if lost := seen.last.recovery.resubmit_count:
        says = f"Decide what becomes of the {count(lost, 'item')} that will not come by themselves."
        yield Action(kind="repair", says=says, source="residue", priority="high")


def _with(mend: str) -> str:
    """Where it stands among words of runbooks, in which backticks mark code."""
    return f": {mend}" if "`" not in mend else ", as it says there"


def unexplained(seen: Seen) -> tuple[str, ...]:
    """What no cause accounts for."""
    return tuple(dict.fromkeys(clip(f.says, 300) for f in seen.worst.unexplained))


def _refuted_later(seen: Seen) -> set[tuple[str, Leg | None]]:
    """Causes that a look named and a later look refuted, and no look named again."""
    out: set[tuple[str, Leg | None]] = set()
    for said in seen.said:
        out |= {(r.code, r.leg) for r in said.ruled_out}
        out -= {(c.code, c.leg) for c in said.causes}
    return out


def _looks(cause: Named, said: Sequence[Diagnosis]) -> str:
    naming = [d for d in said if any((c.code, c.leg) == (cause.code, cause.leg) for c in d.causes)]
    if len(said) == 1:
        return "the one look"
    return f"{len(naming)} of {len(said)} looks"
