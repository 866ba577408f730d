"""What `pubsub-diag probe` does: plan, consent, probe, answer."""

from __future__ import annotations

import contextlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from diagnostics.cli.frame import keeping, opening, output
from diagnostics.cli.frame.options import Access
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import EvidenceSet, Leg, Probed, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe import recover
from diagnostics.probe.against import of_switch
from diagnostics.probe.journal import Journal, Mode
from diagnostics.probe.plan import NoPlan, Order, Plan, plan
from diagnostics.probe.push_config import shown
from diagnostics.probe.reach import Clock, Reach, Waits
from diagnostics.probe.restore import Outcome, State
from diagnostics.probe.run import Failed, carry_out
from diagnostics.probe.traces import JOURNAL, SWITCHED, Traces, traces
from diagnostics.question.ask import LOOKBACK, Ask
from diagnostics.report import probe as report
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.run.freshness import our_clock
from diagnostics.run.investigate import Case
from diagnostics.run.look import header, kept
from diagnostics.shell.commands import command
from diagnostics.transport.session import Session

CLOCK_S = 2.0
"""So long Google's time is asked for at most."""
MOST_BESIDE = 100
"""Messages that an investigation looks at."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the command line asks of a probe."""

    mode: str = "snapshot"
    leg: str = "request"
    peek: int = 20
    max_seconds: float = 60.0
    yes: bool = False
    dry_run: bool = False
    force: bool = False
    show_data: bool = False
    allow_secret_in_log: bool = False
    json: bool = False
    out: Path | None = None


def run(asked: Access, wish: Wish) -> int:
    """Exit code: 0 all readable, 1 candidates for poison, 2 not restored, 3 nothing seen or refused."""
    session, profile = opening.opened(asked)
    if wish.dry_run:
        made, _ = _planned(session, profile, wish)
        _answer(_as_json(_shown(made)) if wish.json else _words(made), wish.out)
        return int(Exit.UNKNOWN if made.forbidden else Exit.OK)
    probed, outcome, made = probe(session, profile, wish, asked.impersonate or "", asked.quiet)
    _keep(session, profile, probed, asked.quiet, Leg(wish.leg))
    said = report.answer(probed, probed.source.as_of, outcome.over, _next(made, probed))
    _answer(_as_json(said) if wish.json else report.render(said, output.page(to_file=wish.out is not None)), wish.out)
    return said.exit_code


def probe(
    session: Session, profile: PipelineProfile, wish: Wish, impersonate: str = "", quiet: bool = False
) -> tuple[Probed, Outcome, Plan]:
    """Plan, ask, do; with the plan as it was. Raises Trouble."""
    made, source = _planned(session, profile, wish)
    for line in _words(made).splitlines():
        _tell(line, quiet=False)
    if made.forbidden:
        first = made.forbidden[0]
        how = " (--force overrides)" if all(r.forcible for r in made.forbidden) else ""
        raise Trouble(f"not done: {first.says}{how}", first.mend or "pubsub-diag probe run --dry-run")
    _consent(wish.yes)
    try:
        probed, outcome = carry_out(
            _reach(session, wish.max_seconds),
            profile,
            made,
            source,
            Journal(),
            lambda text: _tell(text, quiet),
            impersonate,
            warn=lambda text: _tell(text, quiet=False),
        )
    except Failed as failed:
        mend = "" if failed.outcome.over else "pubsub-diag probe restore"
        raise Trouble(f"{failed.says}; {failed.outcome.says}", mend or "pubsub-diag probe status") from failed
    return probed, outcome, made


def _next(made: Plan, probed: Probed) -> str:
    """What tells more, where a copy brought nothing of what is there: the subscription itself, or where that is refused the log."""
    if probed.messages or made.order.mode is not Mode.SNAPSHOT or not probed.backlog:
        return ""
    leg = made.order.leg.value
    if next(of_switch(made.settings, made.measured), None):
        return command("pubsub-diag worker --leg {leg}", leg=leg)
    return command("pubsub-diag probe run --mode switch --leg {leg}", leg=leg)


def beside(asked: Access, yes: bool) -> Probed | Unseen:
    """A look at a copy of the request leg's backlog, for an investigation. What keeps it from looking is evidence, too."""
    session, profile = opening.opened(asked)
    try:
        probed, _, _ = probe(session, profile, Wish(yes=yes, peek=MOST_BESIDE), asked.impersonate or "", asked.quiet)
    except Trouble as trouble:
        _tell(f"without the probe: {trouble.says}", quiet=False)
        return Unseen(what=Probed.__name__, leg=Leg.REQUEST, why=Why.FAILED, says=trouble.says, mend=trouble.mend)
    return probed


def status(asked: Access, json_output: bool) -> int:
    """Exit code: 0 nothing, 1 something is left, 2 a subscription is left in pull mode, 3 could not look everywhere."""
    session, profile = opening.opened(asked)
    left = traces(_bounded(session), Journal(), profile.project, _world(session))
    _answer(_as_json(left) if json_output else _listed(left))
    if any(t.what == SWITCHED and not t.running for t in left.found):
        return int(Exit.FAULT)
    if left.unseen:
        return int(Exit.UNKNOWN)
    return int(Exit.WARNING if left.found else Exit.OK)


def restore(asked: Access, run_id: str, *, force: bool, forget: bool, json_output: bool) -> int:
    """Exit code: 0 all is put back, 2 something is not, 3 could not look everywhere. What there was no time for is tried again by whoever
    asks again, and by the watchdog of the probe where one is left."""
    session, profile = opening.opened(asked)
    outcomes, left = recover.recover(
        _bounded(session), Journal(), profile.project, _world(session), run_id, force=force, forget=forget
    )
    if json_output:
        _answer(_as_json({"outcomes": outcomes, "unseen": left.unseen}))
    else:
        lines = []
        for outcome in outcomes:
            lines.append(f"{outcome.run}  {outcome.state.value}  {clean(outcome.says)}")
            lines += [f"  {line}" for line in outcome.by_hand]
        lines += [f"not looked at: {clean(says)}" for says in left.unseen]
        if any(o.state is State.FAILED for o in outcomes):
            lines.append("what is left is tried again by `pubsub-diag probe restore`, with a longer --timeout")
        if left.unseen and not outcomes:
            lines.append("whether anything is left to restore is not known")
        _answer("\n".join(lines or ["nothing to restore"]) + "\n")
    if any(not o.over for o in outcomes):
        return int(Exit.FAULT)
    return int(Exit.UNKNOWN if left.unseen and not (run_id and outcomes) else Exit.OK)


def _keep(session: Session, profile: PipelineProfile, probed: Probed, quiet: bool, leg: Leg) -> None:
    """What was seen is evidence: it is kept like that of any run, for a postmortem."""
    now = probed.source.as_of
    evidence = EvidenceSet({(Probed.__name__, leg): probed}, now, LOOKBACK, now)
    redacts, profile = profile.redact.patterns, kept(profile)
    told = header(session, profile, "probe", evidence)
    keeping.keep(Case("probe", evidence, profile, Ask(), told, redacts=redacts), None, quiet)


def _planned(session: Session, profile: PipelineProfile, wish: Wish) -> tuple[Plan, Any]:
    order = Order(
        mode=Mode(wish.mode),
        leg=Leg(wish.leg),
        peek=wish.peek,
        force=wish.force,
        show_data=wish.show_data,
        allow_secret_in_log=wish.allow_secret_in_log,
    )
    try:
        return plan(_bounded(session, wish.max_seconds), profile, order, Journal())
    except NoPlan as failed:
        raise Trouble(failed.says, failed.mend) from failed


def _reach(session: Session, max_seconds: float = 60.0) -> Reach:
    return Reach(session, Waits(peek_s=max_seconds), ahead_s=_ahead_s(session))


def _bounded(session: Session, max_seconds: float = 60.0) -> Reach:
    """For what ends with --timeout: planning, looking, and putting back on somebody's word."""
    return Reach(session, Waits(peek_s=max_seconds), ends=Clock(session.remaining()), ahead_s=_ahead_s(session))


@lru_cache(maxsize=1)
def _ahead_s(session: Session) -> float:
    """By so much this machine's clock is ahead of Google's, where that is more than it matters: the marks of a probe say until when it
    is at work, and are read on other machines."""
    if session.lab:
        return 0.0
    clock = our_clock(session.again(CLOCK_S / 0.4))
    if clock.ahead_s is None or not clock.skewed:
        return 0.0
    way = "ahead of" if clock.ahead_s > 0 else "behind"
    _tell(f"this machine's clock is {abs(clock.ahead_s):.0f} s {way} Google's, which is used instead", quiet=False)
    return clock.ahead_s


def _world(session: Session) -> str:
    return session.lab.http or session.lab.grpc if session.lab else ""


def _shown(made: Plan) -> Plan:
    """The plan for whoever reads JSON: the push config that would be kept is the journal's alone where it may hold a secret."""
    push = made.entry.push
    return structs.replace(made, entry=structs.replace(made.entry, push=shown(push) if push else None))


def _words(made: Plan) -> str:
    """The plan for a person: what it says is laid out, what can be copied stands in one line."""
    layout = output.page()
    where = made.settings.name if not made.entry.world else f"{made.settings.name} (lab, not Google)"
    lines = [f"probe {made.entry.run}, {made.order.mode.value} mode, of {where}"]
    told = {"will": made.does, "cost": made.costs, "note": made.notes}
    lines += [layout.wrap(f"  {word}  ", clean(says)) for word, those in told.items() for says in those]
    lines += [f"  undo  {clean(line)}" for line in made.undo]
    anywhere = made.logged or made.entry.push is None
    lines.append(f"        or, from {'any' if anywhere else 'this'} machine: pubsub-diag probe restore")
    for refusal in made.refusals:
        against = "against it" if refusal in made.forbidden else "against it, overridden by --force"
        lines.append(layout.wrap(f"  {against}: ", clean(refusal.says), indent=8))
    return "".join(f"{line}\n" for line in lines)


def _listed(left: Traces) -> str:
    lines = []
    for trace in left.found:
        until = f", until {trace.until:%m-%d %H:%M:%SZ}" if trace.until else ""
        state = "at work" if trace.running else "left behind"
        lines.append(f"{trace.run}  {trace.what}  {clean(trace.name)}  {state}{until}")
        lines += [f"  {line}" for line in trace.by_hand if trace.what != JOURNAL]
    lines += [f"not looked at: {clean(says)}" for says in left.unseen]
    if left.unseen and not left.found:
        lines.append("whether a probe is active, or has left anything, is not known")
    if any(not t.running for t in left.found):
        lines.append("put everything back: pubsub-diag probe restore")
    return "\n".join(lines or ["no probe is active, and none has left anything"]) + "\n"


def _consent(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Trouble(
            "not done: nobody is there to say yes", "say --yes, or look first: pubsub-diag probe run --dry-run"
        )
    print("type yes to do it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise Trouble("not done: you did not say yes")


def _tell(text: str, quiet: bool) -> None:
    """Progress. A terminal that is gone must not keep anything from being put back."""
    with contextlib.suppress(OSError, ValueError):
        output.tell(text, quiet)


def _answer(text: str, out: Path | None = None) -> None:
    with contextlib.suppress(OSError, ValueError):
        output.answer(text, out)


def _as_json(said: Any) -> str:
    return pretty(msgspec.json.encode(said)) + "\n"
