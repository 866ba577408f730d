"""The diagnosis as the engineer sees it: the verdict in one line, then the ladder, the causes, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from diagnostics import __version__
from diagnostics.conclude.diagnosis import Diagnosis, Missing, Named, RuledOut, State, Suppressed, Suspect
from diagnostics.evidence.model import Leg, Why
from diagnostics.report import ladder, levels, models, results, words
from diagnostics.report.escape import clean, clean_all
from diagnostics.report.layout import Layout, clock
from diagnostics.shell.commands import command, is_command, noted
from diagnostics.steps.finding import Finding, Kind, Status, Where
from diagnostics.steps.words import clip, span
from diagnostics.steps.words import count as counted

GUTTER = 11
"""Width of the words at the left: `not seen`, `do now`, …"""
_AT_ONCE_S = 120.0
"""A deploy is logged when it is asked for, and serves a start-up later."""
_ROOM = re.compile(r"; there is room in \d+ s\b")
"""What differs between two calls that one quota kept from being made."""
_SHORT = 140
"""Letters of a reason that is not the first."""
LOUDEST_FIRST = (Status.FAULT, Status.UNKNOWN, Status.WARNING, Status.ADVICE, Status.IDLE, Status.OK)


def render(diagnosis: Diagnosis, layout: Layout, verbose: bool = False, run: str = "") -> str:
    """The whole answer; `run` names the kept run that it can be had from again."""
    said = clean_all(diagnosis)
    whole = said.pipeline.command == "batch"
    blocks = [
        [_verdict(said, layout), *_finishes(said, layout), _header(said, layout), *_concluded(said, layout)],
        [ladder.render(said, layout, every_row=verbose)] if said.ladder else [],
        [levels.render(said.levels, layout)] if said.levels else [],
        [results.render(said.results, layout)] if said.results else [],
        [models.render(said.models, layout, said.as_of)] if said.models else [],
        _findings(said, layout, verbose) if verbose or not whole else [],
        [
            *_causes(said, layout, verbose),
            *_rest(said, layout, verbose),
            *_then(diagnosis, layout),
            *_words(said, layout, verbose),
        ],
        _by_hand(diagnosis, layout) if verbose else [],
        [_said("saved", f"run {run}", layout)] if run else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def render_short(diagnosis: Diagnosis, layout: Layout) -> str:
    """To paste into a chat: the verdict, whether it finishes alone, the causes."""
    said = clean_all(diagnosis)
    accepted = [_said("accepted", acceptance(s), layout) for s in said.suppressed]
    causes = _causes(said, layout, verbose=False)
    return "\n".join([_verdict(said, layout), *_finishes(said, layout), *causes, *accepted]) + "\n"


def render_items(diagnosis: Diagnosis, layout: Layout, missing_only: bool = False) -> str:
    """The items of the batch: how far each got, where it waits, how often it was tried."""
    said = clean_all(diagnosis)
    undone = [item for item in said.items if item.where]
    rows = [
        [
            i.label,
            i.stage.value,
            i.where,
            str(i.attempts) if i.attempts else "",
            clock(i.last, said.as_of) if i.last else "",
            i.reason,
        ]
        for i in (undone if missing_only else said.items)
    ]
    lines = [_verdict(said, layout)]
    if rows:
        lines += ["", layout.table(["item", "came to", "is", "attempts", "last", "reason"], rows, right=[3])]
    if said.unnamed:
        lines += ["", f"and {said.unnamed} more of the batch, known by count only: no log line or state names them"]
    if not rows and not said.unnamed:
        lines += ["", "no item is missing" if missing_only and said.items else "nothing names the items of this batch"]
    return "\n".join(lines) + "\n"


def _verdict(said: Diagnosis, layout: Layout) -> str:
    word = said.status.value.upper()
    return layout.wrap(f"{word}  ", said.headline).replace(word, layout.paint(word), 1)


def _finishes(said: Diagnosis, layout: Layout) -> list[str]:
    told = finishes(said)
    return [layout.wrap("Finishes alone?  ", told, indent=4)] if told else []


def finishes(said: Diagnosis) -> str:
    """Whether the batch finishes alone, where all its items are, and when one last did finish; empty without a batch."""
    if said.batch is None:
        return ""
    last_good = f"Last good batch {clock(said.batch.last_good_at, said.as_of)}." if said.batch.last_good_at else ""
    return "  ".join(part for part in (_alone(said), _accounts(said), last_good) if part)


def _alone(said: Diagnosis) -> str:
    forecast, now = said.forecast, said.as_of
    again = f" Ask again at {clock(forecast.ask_again_at, now, seconds=True)}." if forecast.ask_again_at else ""
    if said.state is State.DONE:
        return "it has."
    if said.finishes_alone is None:
        why = f": {'; '.join(said.unsure)}" if said.unsure else ""
        return f"could not tell{why}.{again}"
    if not said.finishes_alone:
        return f"no.{again}"
    by = f", by {clock(forecast.done_by, now)} at this pace" if forecast.done_by else ""
    return f"yes{by}.{again}"


def _accounts(said: Diagnosis) -> str:
    """Where all items are. `none waiting` is said only if the sum proves it: every item is accounted for elsewhere."""
    batch = said.batch
    if batch is None:
        return ""
    where = ladder.places(said.ladder)
    parts = [
        f"{'?' if batch.done is None else batch.done} done",
        *(f"{where[w]} {ladder.WORDS[w]}" for w in Where if where[w]),
    ]
    known = (batch.done or 0) + sum(count for w, count in where.items() if w is not Where.SURPLUS)
    unsure = where[Where.UNKNOWN] + where[Where.UNATTRIBUTED]
    if (
        batch.expected is not None
        and batch.done is not None
        and not unsure
        and known == batch.expected
        and said.state is not State.DONE
    ):
        moving = where[Where.WAITING] + where[Where.IN_FLIGHT] + where[Where.RETRYING]
        parts += ["none waiting"] if not moving else []
        gone = where[Where.DROPPED] + where[Where.DEAD_LETTERED] + where[Where.SKIPPED]
        parts += ["none lost"] if not gone else []
    return ", ".join(parts) + "."


def _header(said: Diagnosis, layout: Layout) -> str:
    head, now = said.pipeline, said.as_of
    logs = f", logs to {clock(head.logs_as_of, now, seconds=True)}" if head.logs_as_of else ""
    metrics = f", metrics to {clock(head.metrics_as_of, now)}" if head.metrics_as_of else ""
    rests_on = {kind for finding in said.findings for kind in finding.rests_on}
    done = ["called the services"] if any(kind.startswith("Live") for kind in rests_on) else []
    done += ["probed"] if "Probed" in rests_on else []
    parts = [
        f"{head.project} {head.region}".strip(),
        f"{'as of' if head.looked_at else 'now'} {now:%Y-%m-%d} {clock(now, now, seconds=True)}{logs}{metrics}",
        f"seen {head.looked_at:%Y-%m-%dT%H:%MZ}" if head.looked_at else "",
        f"as {head.principal}" if head.principal else "",
        ", ".join(done) or "read-only",
        f"lines of items {head.item_lines}" if head.item_lines else "",
        f"{head.seconds:.1f} s",
        "lab, not Google" if head.lab else "",
    ]
    return layout.wrap("", " · ".join(p for p in parts if p), indent=4)


def _concluded(said: Diagnosis, layout: Layout) -> list[str]:
    """Of a replayed bundle: what was concluded when it was made, where that differs."""
    then = said.concluded
    if then is None:
        return []
    at = f"{then.at:%Y-%m-%d} {clock(then.at, then.at, seconds=True)}"
    line = f"pubsub-diag {then.version} concluded at {at}: {then.status.value.upper()}  {then.headline}"
    return [
        layout.wrap("", line, indent=4),
        layout.wrap("", f"pubsub-diag {__version__} concludes the above", indent=4),
    ]


def _causes(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    if not said.causes:
        return []
    role_width, code_width, sure_width = (
        max(len(part) for part in column)
        for column in zip(*((c.does, _code(c), c.confidence.value) for c in said.causes), strict=True)
    )
    lines = []
    told: set[str] = set()
    for number, cause in enumerate(said.causes, 1):
        role = cause.does.upper()
        label = f"{number} {role:<{role_width}}  {_code(cause):<{code_width}}  {cause.confidence.value:<{sure_width}}  "
        lines.append(
            layout.wrap(label, lasted(cause, said.as_of) + cause.says, indent=4).replace(role, layout.paint(role), 1)
        )
        lines += _reasons(cause, said, layout, verbose, told)
        lines += [layout.wrap("    against  ", reason) for reason in cause.against if verbose]
    return lines


def lasted(cause: Named, now: datetime) -> str:
    """Since when it is there, or from when to when it was."""
    if cause.until:
        begin = f"from {clock(cause.since, now)} to" if cause.since else "until"
        return f"was so {begin} {clock(cause.until, now)}: "
    return f"since {clock(cause.since, now)}: " if cause.since else ""


def _reasons(cause: Named, said: Diagnosis, layout: Layout, verbose: bool, told: set[str]) -> list[str]:
    """What it rests on and what it did: the first reason whole, what else is wrong in short; what follows by its titles. What was
    `told` of a cause before it is not said again."""
    because, hence = "    because  ", "    hence    "
    if verbose:
        return [layout.wrap(because, r) for r in cause.because] + [layout.wrap(hence, r) for r in cause.hence]
    wrong = {f.says: f for f in said.findings if f.abnormal}
    own = [clip(reason, _SHORT) for reason in cause.because[1:] if reason in wrong and reason not in told]
    follows = dict.fromkeys(wrong[reason].title for reason in cause.hence if reason in wrong and reason not in told)
    told.update(cause.because, cause.hence)
    lines = [layout.wrap(because, reason) for reason in (*cause.because[:1], *own)]
    return lines + ([layout.wrap(hence, " · ".join(follows))] if follows else [])


def _code(cause: Named) -> str:
    return f"{cause.code} ({cause.leg.value})" if cause.leg and cause.leg.value == "completion" else cause.code


def _rest(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    not_it = _not_it(said.ruled_out)
    lines = _suspects(said, layout, verbose)
    lines += _unexplained(said, layout)
    doubted = said.status is not Status.OK or verbose
    lines += [_said("not it", " · ".join(not_it), layout)] if not_it and doubted else []
    lines += _not_seen(said, layout, verbose)
    lines += [_said("" if at else "accepted", acceptance(s), layout, hang=2) for at, s in enumerate(said.suppressed)]
    for number, step in enumerate(said.next, 1):
        lines.append(_offered("do now" if number == 1 else "", step, layout, number=f"{number}  "))
    lines += [_offered("" if at else "fix", fix, layout) for at, fix in enumerate(fixes(said))]
    return lines


def fixes(said: Diagnosis) -> list[str]:
    """The commands that mend by themselves what surely blocks: they change the pipeline, which is said behind them."""
    of = {cause.fix: cause.code for cause in said.causes if cause.fix}
    return [
        noted(fix, f"{f'mends {code}; ' if len(of) > 1 else ''}changes the pipeline: read the page first")
        for fix, code in of.items()
    ]


def _then(said: Diagnosis, layout: Layout) -> list[str]:
    """Where its items are listed. Of the answer as it is, since what is made clean is another name."""
    if said.pipeline.command != "batch" or not (said.items or said.unnamed) or said.state is State.DONE:
        return []
    batch = said.batch.id if said.batch else ""
    return [_offered("then", command("pubsub-diag batch {batch} --items", batch=batch), layout)]


def _words(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    """The words of our own in it; of a part's answer, whose way a finding is of."""
    meant = list(words.explained(said) if said.pipeline.command == "batch" else words.ways(_listed(said, verbose)))
    return [_said("words", " · ".join(meant), layout)] if meant else []


def _unexplained(said: Diagnosis, layout: Layout) -> list[str]:
    """What was found and no cause accounts for, and by its titles what follows from that."""
    lines = [_said("unexplained", f.says, layout) for f in said.unexplained]
    told = {says for c in said.causes for says in (*c.because, *c.hence)} | {f.says for f in said.unexplained}
    follows = [f.title for f in said.findings if f.abnormal and f.kind is Kind.CONSEQUENCE and f.says not in told]
    return lines + ([_said("hence", " · ".join(dict.fromkeys(follows)), layout)] if lines and follows else [])


def _suspects(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    """The change that fits best, or with -v all that fit."""
    shown = said.suspects if verbose else said.suspects[:1]
    return [_said("" if at else "changed", suspicion(s, said.as_of), layout, hang=2) for at, s in enumerate(shown)]


def suspicion(suspect: Suspect, now: datetime) -> str:
    """A change, what it changed, and how long before the cause began."""
    what = f" ({clip(suspect.says, 140)})" if suspect.says else ""
    before = f"{span(suspect.before_s)} before" if suspect.before_s is not None else "before"
    before = "as" if suspect.before_s is not None and suspect.before_s < _AT_ONCE_S else before
    return f"{clock(suspect.at, now)} {suspect.method} {suspect.resource} by {suspect.by}{what}, {before} {suspect.cause} began"


def _not_it(ruled_out: Iterable[RuledOut]) -> list[str]:
    """What is cleared, with its reason; the way back in one entry, by name alone."""
    there = [f"{r.code} ({r.because})" for r in ruled_out if r.leg is not Leg.COMPLETION]
    back = list(dict.fromkeys(r.code for r in ruled_out if r.leg is Leg.COMPLETION))
    return there + ([f"the way back ({', '.join(back)})"] if back else [])


def _blind(said: Diagnosis) -> bool:
    """Whether nothing at all tells of the batch that was asked about: then whatever the profile does not describe might."""
    return said.pipeline.command == "batch" and said.state is State.UNKNOWN and not (said.batch and said.batch.id)


def _not_seen(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    """One line a reason: what it hides, and what would show it. Gaps that change nothing are counted, with -v listed; but what has
    expired is always said, since it will not come back, and what a kept run has and this version cannot read. What stands under "do now"
    is not advised here, too."""
    missing, blind = said.unknown, _blind(said)
    listed = [gap for gap in missing if gap.matters or verbose or gap.why in (Why.EXPIRED, Why.SET_APART)]
    undescribed = sum(gap.why == Why.NOT_CONFIGURED for gap in missing if gap not in listed) if blind else 0
    moot = len(missing) - len(listed) - undescribed
    reasons: dict[str, list[Missing]] = {}
    for gap in listed:
        reason = gap.permission or gap.says.removeprefix("not asked because ").rstrip(".")
        reasons.setdefault(_ROOM.sub("", reason), []).append(gap)
    lines: list[str] = []
    for reason, gaps in reasons.items():
        would_say = list(dict.fromkeys(gap.would_say for gap in gaps if gap.would_say))
        kinds = list(dict.fromkeys(f"{g.what} ({g.leg.value})" if g.leg else g.what for g in gaps))
        told = f"would say {'; '.join(would_say)}" if would_say else ", ".join(kinds)
        mend = next((gap.mend for gap in gaps if gap.mend), "")
        advice = f". {mend[0].upper()}{mend[1:]}" if mend and not is_command(mend) and mend not in said.next else ""
        lines.append(_said("" if lines else "not seen", f"{reason}: {told}{advice}", layout, hang=2))
        lines += [layout.command(f"{'':{GUTTER}}  mend  ", mend)] if is_command(mend) else []
        if verbose and would_say:
            lines.append(_said("", f"  hides {', '.join(kinds)}", layout, hang=4))
    more = [f"{_more(undescribed, lines)}, which the profile does not describe"] if undescribed else []
    more += [f"{_more(moot, [*lines, *more])}, which would change nothing"] if moot else []
    if more:
        lines.append(_said("" if lines else "not seen", f"{', and '.join(more)} (-v lists them)", layout))
    return lines


def _more(number: int, before: Sequence[str]) -> str:
    """So many, beside what was said before if anything was."""
    return f"{number} more" if before else counted(number, "thing")


def acceptance(suppressed: Suppressed) -> str:
    """What is accepted, until when and why; said in every output, so that it is never forgotten."""
    leg = f" ({suppressed.leg.value})" if suppressed.leg else ""
    until = f"was until {suppressed.until}, and counts again" if suppressed.over else f"until {suppressed.until}"
    return f"{suppressed.code}{leg} {until} ({suppressed.reason}): {suppressed.says}"


def _findings(said: Diagnosis, layout: Layout, verbose: bool) -> list[str]:
    lines = []
    for finding in _listed(said, verbose):
        word = finding.status.value
        lines.append(layout.wrap(f"{word:<9}", _finding(finding), indent=9).replace(word, layout.paint(word), 1))
        if offer := command_of(finding):
            lines.append(layout.command(f"{' ' * 9}{offer.word}  ", offer.line))
        if verbose and finding.rests_on:
            lines.append(layout.wrap(" " * 9, f"rests on {', '.join(finding.rests_on)}"))
    return lines


def _listed(said: Diagnosis, verbose: bool) -> list[Finding]:
    """Those that are listed, the loudest first; of a health check the levels say what is well."""
    calm = (Status.OK, Status.IDLE) if said.levels and not verbose else ()
    return sorted((f for f in said.findings if f.status not in calm), key=lambda f: LOUDEST_FIRST.index(f.status))


class Command(NamedTuple):
    """A command that is printed below a finding."""

    word: str
    """What it does: "mend", or "tells" where Google itself knows what we cannot tell."""
    line: str


def command_of(finding: Finding) -> Command | None:
    """The command to print below a finding. What would only let us see is said under "not seen"."""
    if not finding.mend:
        return None
    if finding.status is not Status.UNKNOWN:
        return Command("mend", finding.mend)
    told = finding.mend.startswith("gcloud ") and not finding.hidden.permission
    return Command("tells", finding.mend) if told else None


def _finding(finding: Finding) -> str:
    leg = f" ({finding.leg.value})" if finding.leg else ""
    return f"{finding.code}{leg}: {finding.says}"


def _by_hand(said: Diagnosis, layout: Layout) -> list[str]:
    lines = [(kind, clean(line)) for kind, by in sorted(said.sources.items()) for line in by.splitlines()]
    return [layout.command(f"by hand  {kind}: ", line, indent=9) for kind, line in lines]


def _offered(word: str, line: str, layout: Layout, number: str = "") -> str:
    """A command to paste, or advice."""
    return layout.command(f"{word:<{GUTTER}}{number}", line, indent=GUTTER + len(number))


def _said(word: str, text: str, layout: Layout, hang: int = 0) -> str:
    label = f"{word:<{GUTTER}}" if len(word) < GUTTER else f"{word} "
    return layout.wrap(label, text, indent=max(GUTTER, len(label)) + hang)
