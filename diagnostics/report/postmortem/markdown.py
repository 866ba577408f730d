"""The postmortem in GitHub-flavoured Markdown, as incident tools import it. What is not ours stands escaped or in code spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diagnostics.report.markdown import code, escape
from diagnostics.report.postmortem import words
from diagnostics.report.postmortem.curves import number, thinned
from diagnostics.report.postmortem.model import Cause, Chart, Postmortem

MOST_ROWS = 20
"""Rows of the table that stands for a chart."""


def render(said: Postmortem) -> str:
    return "\n\n".join(_blocks(said)) + "\n"


def _blocks(said: Postmortem) -> Iterator[str]:
    yield f"# {escape(said.title)}"
    looks = f"{len(said.looks)} kept run{'s' if len(said.looks) != 1 else ''}"
    lab = " · **lab, not Google**" if said.lab else ""
    yield f"{code(said.pipeline)} · {code(said.project)}{lab} · all times in UTC · pubsub-diag {escape(said.made_by)}, from {looks}"
    yield f"_{words.BLAMELESS}_"
    yield f"**Summary:** {escape(said.summary)}"
    yield "## Impact"
    yield _table(("what", "value", "from"), ([escape(n.name), escape(n.value), escape(n.says)] for n in said.impact))
    yield "## Detection and durations"
    moments = ([escape(m.name), words.moment(m), escape(m.says), escape(m.means)] for m in said.moments)
    yield _table(("moment", "when (UTC)", "rests on", "defined as"), moments)
    durations = ([escape(d.name), words.duration(d), escape(d.means)] for d in said.durations)
    yield _table(("duration", "how long", "defined as"), durations)
    yield "## Trigger"
    yield f"**What set it off:** {escape(said.trigger.says)}"
    yield from _list(said.trigger.before)
    yield from _why(said)
    yield from _what_happened(said)
    yield from _what_now(said)
    yield from _appendix(said)


def _why(said: Postmortem) -> Iterator[str]:
    yield "## Causes"
    if not said.causes:
        yield "No cause is named: undetermined."
    for cause in said.causes:
        yield from _cause(cause)
    if said.unexplained:
        yield "### Unexplained"
        yield from _list(said.unexplained)
    yield "## Hypotheses considered"
    yield _table(("hypothesis", "refuted by"), ([escape(h.name), escape(h.refuted_by)] for h in said.hypotheses))
    yield "## What could not be seen"
    if said.unseen:
        gaps = ([code(g.what, cell=True), escape(g.why), escape(words.gap(g))] for g in said.unseen)
        yield _table(("what", "why not", "what of it"), gaps)
    else:
        yield "Nothing that was looked for was hidden."


def _cause(cause: Cause) -> Iterator[str]:
    yield f"### Cause: {escape(cause.title)}"
    leg = f" · {escape(cause.leg)} leg" if cause.leg else ""
    since = f" · since {words.when(cause.since)}" if cause.since else ""
    yield f"**{escape(cause.role.upper())}** · {escape(cause.confidence)} · {code(cause.code)}{leg}{since} · named by {escape(cause.looks)}"
    yield f"What it does: {escape(cause.says)}"
    yield from _list((*cause.because, *(f"against it: {why}" for why in cause.against)))


def _what_happened(said: Postmortem) -> Iterator[str]:
    yield "## Timeline"
    if said.left_out:
        yield f"{said.left_out} lines of less weight are left out."
    entries = (
        [words.when(e.at), e.kind, f"**{escape(e.mark)}:** {escape(e.says)}" if e.mark else escape(e.says)]
        for e in said.timeline
    )
    yield _table(("time (UTC)", "from", "what happened"), entries)
    yield "## Numbers over time"
    yield f"{escape(number(None))} means that no data was seen, which is not zero."
    for chart in said.charts:
        yield f"### Chart: {escape(chart.title)}"
        yield from _chart(chart)


def _chart(chart: Chart) -> Iterator[str]:
    if chart.missing:
        yield f"Nothing to show: {escape(chart.missing)}."
        return
    few = thinned(chart, MOST_ROWS)
    limit = f" Limit: {escape(few.limit_name)}." if few.limit is not None else ""
    yield f"In words: {escape(chart.says)}{limit}"
    head = ("until (UTC)", *(f"{escape(line.name)} ({escape(few.unit)})" for line in few.lines))
    yield _table(head, ([words.when(at, seconds=False), *map(number, values)] for at, values in few.rows()))


def _what_now(said: Postmortem) -> Iterator[str]:
    yield "## Residue"
    yield from _list(said.residue) if said.residue else ["Nothing is known to be left behind."]
    yield "## Recurrence"
    yield from _list(said.recurrence)
    yield "## What went well"
    yield _todo((*said.went_well, "what else went well, and where were we lucky?"))
    yield "## What went badly"
    yield _todo((*said.went_badly, "what else went badly?"))
    yield "## Action items"
    yield _todo(f"{a.kind}: {a.says} (because of {a.source})" for a in said.actions) or "None proposed."


def _todo(says: Iterable[str]) -> str:
    return "\n".join(f"- [ ] TODO ({escape(words.TODO_OWNER)}): {_marked(text)}" for text in says)


def _appendix(said: Postmortem) -> Iterator[str]:
    yield "## Appendix: looks"
    yield f"Redacted: {escape(said.redactions)}."
    looks = (
        [
            words.when(k.at),
            code(k.command, cell=True),
            escape(k.version),
            escape(k.concluded + (f" (then: {k.then})" if k.then else "")),
        ]
        for k in said.looks
    )
    yield _table(("looked at (UTC)", "command", "version", "concluded"), looks)
    yield "## Appendix: queries"
    queries = (
        [
            code(q.what, cell=True),
            escape(f"{q.source}{f', {q.note}' if q.note else ''}"),
            words.when(q.as_of),
            "<br>".join(code(line, cell=True) for line in q.by_hand) or _asked(q.query),
        ]
        for q in said.queries
    )
    yield _table(("evidence", "source", "as of (UTC)", "by hand"), queries)


def _list(says: Sequence[str]) -> Iterator[str]:
    """One bullet each; the word in front keeps a text from beginning a line, where it could be a heading or a rule."""
    if says:
        yield "\n".join(f"- {_inert(text)}" for text in says)


def _inert(text: str) -> str:
    """Escaped, also at the begin of a block."""
    escaped = escape(text)
    return f"\\{escaped}" if escaped[:1] in "#+-=>:" else _no_number(escaped)


def _no_number(text: str) -> str:
    """`1.` and `1)` at the begin would make a list within the list."""
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    rest = text[len(digits) :]
    return f"{digits}\\{rest}" if digits and rest[:1] in (".", ")") else text


def _marked(text: str) -> str:
    """Text in which a runbook marks code with backticks."""
    return "".join(code(part) if is_code else escape(part) for is_code, part in words.spans(text))


def _asked(query: Iterable[str]) -> str:
    """Where no command shows the same: what was asked, which is none."""
    lines = "<br>".join(code(line, cell=True) for line in query)
    return f"no command; the query was {lines}" if lines else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
