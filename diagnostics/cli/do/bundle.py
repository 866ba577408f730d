"""What `pubsub-diag capture`, `note` and `bundle` do."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from diagnostics import __version__
from diagnostics.cli.frame import keeping, opening, output, replaying, sharing, times
from diagnostics.cli.frame.options import Access, Asked
from diagnostics.cli.frame.others import Others
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.evidence.model import Evidence, Leg, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.redaction import cleaner, texts_of
from diagnostics.keep import store
from diagnostics.keep.bounds import TooMuchError
from diagnostics.keep.bundle import Bundle, BundleError, Note, NoteKind, dump, load, schema
from diagnostics.keep.names import BUNDLES
from diagnostics.keep.then import Then
from diagnostics.pipeline import places
from diagnostics.question.ask import Ask
from diagnostics.report.escape import clean
from diagnostics.run.investigate import COMMANDS, investigate
from diagnostics.run.look import everything, see
from diagnostics.shell.commands import command
from diagnostics.transport.session import LAB, LabError, find_lab

NO_GAP = (Why.NOT_CONFIGURED, Why.NOT_ASKED)
"""Why something may be unseen though nothing kept it from being seen: nobody named it."""
LISTED = 100
"""So many of the kept runs are listed, the newest: each has to be opened for it."""


def capture(asked: Asked, batch: str | None) -> int:
    """Write the bundle and say in short what is in it. Exit code 3 where that is nothing but gaps."""
    if asked.out is not None and asked.out.exists():
        raise Trouble(f"{asked.out} is there already", "choose another file with --out")
    since = times.parse(asked.since, "--since") if asked.since else None
    until = times.parse(asked.until, "--until") if asked.until else None
    session, profile = opening.opened(asked)
    begin, end = times.window(since, until, session.now)
    output.tell(f"reading all of {profile.project}, at most {asked.timeout:g} s", asked.quiet)
    ask = Ask(batch=batch or "", since=begin, until=end)
    case = see(session, profile, "batch", ask, kinds=everything())
    diagnosis = investigate(case)
    try:
        packed = dump(case, diagnosis, tuple(store.notes_of(case, diagnosis)))
    except TooMuchError as error:
        raise Trouble(f"the bundle {error}", "shorten it: --since") from error
    out = asked.out or _named(diagnosis, session.now)
    try:
        store.write_private(out, packed)
    except FileExistsError as error:
        raise Trouble(f"{out} is there already", "choose another file with --out") from error
    except OSError as error:
        raise Trouble(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
    kept = keeping.keep(case, diagnosis, asked.quiet)  # so that postmortem finds it, wherever the file goes
    if not kept and store.wanted(case):  # it was too large, or there was no room
        sharing.keep_run(store.Packed(store.stem_of(case, diagnosis), packed), BUNDLES)
    gaps = [found for _, found in case.evidence.items() if isinstance(found, Unseen) and found.why not in NO_GAP]
    seen = sum(isinstance(found, Evidence) for _, found in case.evidence.items())
    output.answer(f"{out}  {len(packed) / 1024:.0f} KiB  {seen} kinds of evidence seen, {len(gaps)} not\n")
    for says in _why_not(gaps, all_of_it=not seen):
        output.tell(says)
    output.tell(f"{diagnosis.status.value.upper()}  {clean(diagnosis.headline)}", asked.quiet)
    output.tell(f"read it: {command('pubsub-diag batch --from {file}', file=str(out))}", asked.quiet)
    return int(Exit.OK if seen else Exit.UNKNOWN)


def _why_not(gaps: Sequence[Unseen], all_of_it: bool) -> Iterator[str]:
    """What kept most of the gaps from being seen, in a line; what depends on something else says no more than that does."""
    whys = Counter(gap.says for gap in gaps if gap.why is not Why.DEPENDS) or Counter(gap.says for gap in gaps)
    for says, n in whys.most_common(1):
        others = f"; and for {len(whys) - 1} other reasons: pubsub-diag bundle show tells" if len(whys) > 1 else ""
        yield f"{'nothing could be seen' if all_of_it else 'not seen'}: {clean(says)}{f' ({n} kinds)' if n > 1 else ''}{others}"


def note(text: str, at: str, kind: str, batch: str | None, profile: str | None) -> int:
    now = _now()
    when = times.parse(at, "--at")
    moment = now - when if isinstance(when, timedelta) else when
    if moment > now:
        raise Trouble(f"--at {moment:%Y-%m-%dT%H:%M:%SZ} is not yet: now is {now:%Y-%m-%dT%H:%M:%SZ}")
    said = " ".join(text.split())
    if not said:
        raise Trouble("the note is empty", 'pubsub-diag note "sought the subscription back to 14:00Z" --at 20m')
    asked = Access(profile=profile)
    pipeline = opening.stated(asked)
    cleaned = cleaner(pipeline.redact.patterns if pipeline else ())
    says = redact(cleaned(said), store.LONGEST_NOTE)
    written = Note(at=moment, says=says, batch=cleaned(batch or ""), written=now, kind=NoteKind(kind))
    try:
        store.note(written)
    except OSError as error:
        raise Trouble(f"cannot write the note: {error.strerror}", "set XDG_STATE_HOME to a folder of yours") from error
    if pipeline is not None and sharing.meet(
        pipeline, lambda: opening.session_of(asked, pipeline.project), quiet=False
    ):
        sharing.keep_note(written)
    output.answer(f"noted {moment:%Y-%m-%dT%H:%M:%SZ}  {clean(written.says)}\n")
    return int(Exit.OK)


def print_list(profile: str | None) -> int:
    with replaying.reading_kept():
        here = store.runs()
        others = Others(profile, quiet=False)
        listed = _newest_of(here, others)
    if not listed:
        output.tell(f"no run is kept{_where()}{f', nor in {others.named}' if others.named else ''}")
        return int(Exit.OK)
    where = {True: ["in the store"], False: ["here"]} if others.named else {True: [], False: []}
    rows = [[path.stem, *_in_short(path), *where[path not in here]] for path in listed]
    columns = ["run", "command", "batch", "concluded", *(["kept"] if others.named else [])]
    output.answer(output.page().listing(columns, rows) + "\n")
    if older := len(here) - sum(path in here for path in listed):
        output.tell(f"{older} older ones are{_where()}")
    return int(Exit.OK)


def _newest_of(here: Sequence[Path], others: Others) -> list[Path]:
    """The newest runs, here and in the store, newest first."""
    shared = others.runs(lambda listed: reversed(listed[-LISTED:]))
    return sorted([*here, *(one.path for one in shared)], key=lambda path: store.in_order(path.name), reverse=True)[
        :LISTED
    ]


def _in_short(path: Path) -> list[str]:
    """The command of a run, its batch, and what it came to."""
    try:
        bundle = load(path)
    except BundleError as error:
        return ["", "", clean(str(error).removeprefix(f"{path}: "))]
    then = bundle.then
    told = f"{then.status.value.upper()}  {then.headline}" if then else "drew no conclusion"
    return [clean(bundle.case.command), clean(bundle.batch), clean(told)]


def _where() -> str:
    try:
        return f" in {places.state_dir() / 'runs'}"
    except places.NoHomeError as error:
        return f": {error}"


def show(named: str, profile: str | None) -> int:
    bundle = replaying.opened(named, Others(profile, quiet=False))
    case, then, page = bundle.case, bundle.then, output.page()
    lines = [
        f"made       {_at(bundle.made_at)} by pubsub-diag {clean(bundle.version)}; this is {__version__}",
        f"asked      {clean(case.command)} {clean(case.ask.batch)}".rstrip()
        + f" of {clean(case.header.pipeline)} in {clean(case.header.project)}"
        + (f", as {clean(case.header.principal)}" if case.header.principal else "")
        + (" (lab, not Google)" if case.header.lab else ""),
        f"window     {_at(case.evidence.since)} to {_at(case.evidence.now)}; look-back {case.evidence.lookback}",
        f"batch      {clean(bundle.batch) or 'none by name'}",
        f"concluded  {then.status.value.upper()}  {clean(then.headline)}" if then else "concluded  nothing",
        _redacted(bundle),
        *(f"set apart  {line}" for line in _apart(bundle)),
        *(f"note       {_at(n.at)}  {n.kind.value}: {clean(n.says)}" for n in bundle.notes),
    ]
    rows = [[clean(_of(kind, leg)), *_told(found)] for (kind, leg), found in case.evidence.items()]
    table = page.table(["evidence", "as of", "from"], rows)
    output.answer("\n".join([*(page.wrap("", line, indent=11) for line in lines), "", table]) + "\n")
    return int(Exit.OK)


def verify(named: str, profile: str | None) -> int:
    bundle = replaying.opened(named, Others(profile, quiet=False))
    cleaned = cleaner()
    parts = [found for _, found in bundle.case.evidence.items()]
    secret = sum(
        cleaned(text) != text for text in texts_of([*parts, bundle.notes, bundle.case.profile, bundle.case.ask])
    )
    lines = [f"opens: made {_at(bundle.made_at)} by pubsub-diag {clean(bundle.version)}"]
    lines.append(f"{secret} texts look like secrets or people" if secret else "nothing in it looks like a secret")
    lines += [f"set apart: {line}" for line in _apart(bundle)]
    code = Exit.UNKNOWN if secret else Exit.WARNING if bundle.apart else Exit.OK
    if bundle.then is None:
        lines.append("its run drew no conclusion")
    elif bundle.case.command not in COMMANDS:
        lines.append(f"concluded then: {_short(bundle.then)}")
        lines.append(f"pubsub-diag {__version__} draws no conclusions for {clean(bundle.case.command)}")
        code = max(code, Exit.WARNING)
    else:
        now = replaying.concluded(bundle)
        same = now.concluded is None
        lines.append(f"concluded then: {_short(bundle.then)}")
        lines.append(f"concluded by {__version__}: {'the same to the last byte' if same else _short(now)}")
        code = max(code, Exit.OK if same else Exit.WARNING)
    output.answer("".join(f"{line}\n" for line in lines))
    return int(code)


def print_schema() -> int:
    output.answer(json.dumps(schema(), indent=2) + "\n")
    return int(Exit.OK)


def _named(diagnosis: Diagnosis, now: datetime) -> Path:
    batch = diagnosis.batch.id if diagnosis.batch and diagnosis.batch.id else "no-batch"
    return Path(f"{re.sub(r'[^A-Za-z0-9_-]+', '-', batch)[:80].lstrip('-')}-{now:%Y%m%dT%H%M%SZ}.pubsub-diag.gz")


def _now() -> datetime:
    """The lab's in the lab, else the wall clock's."""
    if not os.environ.get(LAB):
        return datetime.now(UTC)
    try:
        return find_lab(os.environ[LAB], 5).now
    except LabError as error:
        raise Trouble(str(error), f"unset {LAB}") from error


def _redacted(bundle: Bundle) -> str:
    out = bundle.redactions
    where = ", ".join(f"{clean(kind)} {n}" for kind, n in sorted(out.where.items()))
    kinds = ", ".join(
        f"{n} × {clean(kind)}" for kind, n in sorted(out.kinds.items(), key=lambda one: (-one[1], one[0]))
    )
    secrets = f"{out.secrets} secrets ({kinds})" if kinds else f"{out.secrets} secrets"
    says = f"redacted   {secrets}, {out.people} times a person, {out.by_profile} by the profile's patterns"
    return f"{says}: {where}" if where else says


def _apart(bundle: Bundle) -> list[str]:
    """What another version wrote and this one does not read."""
    return [clean(f"{_of(one.what, one.leg)}: {one.says}") for one in bundle.apart]


def _of(kind: str, leg: Leg | None) -> str:
    return f"{kind} ({leg.value})" if leg else kind


def _told(found: Evidence | Unseen) -> list[str]:
    if isinstance(found, Unseen):
        return ["", clean(f"not seen: {found.why.value}: {found.says}")]
    held = [len(v) for name in found.__struct_fields__ if isinstance(v := getattr(found, name), tuple)]
    part = "" if found.source.complete else f", in part: {found.source.note}"
    return [_at(found.source.as_of), clean(f"{found.source.source}{f', {sum(held)} entries' if held else ''}{part}")]


def _short(said: Diagnosis | Then) -> str:
    causes = ", ".join(f"{c.role} {c.code} ({c.confidence})" for c in said.causes)
    return clean(f"{said.status.value.upper()}  {said.headline}{f' [{causes}]' if causes else ''}")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
