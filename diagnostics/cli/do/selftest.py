"""What `pubsub-diag selftest` does: read, write the file, say in short what is in it and what is not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.keep import store
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.report.layout import Layout
from diagnostics.run.selftest.document import SelfTest, selftest

if TYPE_CHECKING:
    from diagnostics.cli.selftest import Testing

SHOWN = 12
"""Of what was not understood, so much is printed; the file has all of it."""


def answer(asked: Testing) -> int:
    """Nothing is written before everything is read, so whoever interrupts leaves nothing behind."""
    output.check_form(asked.output.value, [form.value for form in (Format.TEXT, Format.SHORT, Format.JSON)])
    if asked.out is not None and asked.out.exists():
        raise Trouble(f"{asked.out} is there already", "choose another file with --out")
    session, profile = opening.opened(asked)
    output.tell(f"reading a little from every source, at most {asked.timeout:g} s; nothing is changed", asked.quiet)
    found = selftest(session, profile)
    text = pretty(msgspec.json.encode(found)) + "\n"
    out = asked.out or Path(f"pubsub-diag-selftest-{session.now:%Y%m%dT%H%M%SZ}.json")
    _write(out, text)
    code = code_of(found)
    if asked.output is Format.JSON:
        output.answer(text)
    else:
        lines = [_headline(found)] if asked.output is Format.SHORT else _page(found, output.page())
        output.answer("\n".join([*lines, f"written to {out}, {len(text) / 1024:.0f} KiB; nothing was sent"]) + "\n")
    return int(code)


def code_of(found: SelfTest) -> Exit:
    """3 when something could not be read, 1 when something was not understood."""
    if found.unseen or found.failed_samples:
        return Exit.UNKNOWN
    return Exit.WARNING if found.odd else Exit.OK


def _write(out: Path, text: str) -> None:
    """Only its owner may read it: whoever sends it decides that."""
    try:
        store.write_private(out, text.encode())
    except FileExistsError as error:
        raise Trouble(f"{out} is there already", "choose another file with --out") from error
    except OSError as error:
        raise Trouble(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error


def _headline(found: SelfTest) -> str:
    read = sum(source.seen for source in found.sources)
    missing = len(found.unseen) + len(found.failed_samples)
    parts = [f"{read} kinds of evidence read in {found.seconds:g} s"]
    parts.append(f"{missing} could not be read" if missing else "none missing that the profile names")
    parts.append(f"{len(found.odd)} things not understood" if found.odd else "everything understood")
    return f"{', '.join(parts)}{' (lab, not Google)' if found.lab else ''}"


def _page(found: SelfTest, layout: Layout) -> Iterable[str]:
    yield layout.wrap("", _headline(found))
    if found.odd:
        yield "\nnot understood"
        shown = list(found.odd.items())[:SHOWN]
        yield from (layout.wrap(f"  {n:>5} ×  ", clean(says), indent=11) for says, n in shown)
        if len(found.odd) > SHOWN:
            yield f"  and {len(found.odd) - SHOWN} more in the file"
    gaps = [f"{s.kind}{f' ({s.leg})' if s.leg else ''}: {s.says}" for s in found.unseen]
    if gaps or found.failed_samples:
        yield "\nnot read"
        yield from (layout.wrap("  ", clean(says), indent=4) for says in (*gaps, *found.failed_samples))
    told = sum(not isinstance(fact["seen"], str) for fact in found.facts.values())
    yield layout.wrap("\n", f"open questions about Google: {told} of {len(found.facts)} have something to tell here")
    yield "\nthe file holds"
    yield from (layout.wrap("  ", says, indent=4) for says in found.holds)
    yield "it does not hold"
    yield from (layout.wrap("  ", says, indent=4) for says in found.holds_not)
    yield layout.wrap("", "look through it before you send it with a bug report; in it `odd` is what to begin with\n")
