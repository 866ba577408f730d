"""The postmortem in Markdown, as GitHub, documents, chat and incident tools take it. What is not ours is text and nothing else.

First what everybody reads, on a page or two; then the appendix, with which an engineer can ask all of it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from diagnostics.report.markdown import code, escape
from diagnostics.report.postmortem import words
from diagnostics.report.postmortem.curves import number, thinned
from diagnostics.report.postmortem.links import CONSOLE
from diagnostics.report.postmortem.model import Cause, Chart, Entry, Postmortem, Query

MOST_ROWS = 20
"""Rows of the table that stands for a chart."""


def render(said: Postmortem) -> str:
    return "\n\n".join(block for block in (*_front(said), *_appendix(said)) if block) + "\n"


# --- the first page ---------------------------------------------------------------------------------------------------------


def _front(said: Postmortem) -> Iterator[str]:
    yield f"# {escape(said.title)}"
    yield "\n".join(f"- **{name}:** {escape(value)}" for name, value in words.head(said))
    yield f"_{words.BLAMELESS}_"
    yield "## Summary"
    yield " ".join(_inert(sentence) if n == 0 else escape(sentence) for n, sentence in enumerate(said.summary))
    yield "## Impact"
    yield _table(("what", "value", "from"), ([escape(n.name), escape(n.value), escape(n.says)] for n in said.impact))
    yield "## Trigger"
    yield _inert(said.trigger.says)
    yield _list(said.trigger.before)
    yield "## Causes"
    yield _list(_in_a_line(cause) for cause in said.causes) or "No cause is named: undetermined."
    yield "## Detection"
    yield _list(said.detection)
    yield "## Resolution"
    yield _inert(said.resolution.says)
    yield _list(said.resolution.done)
    for title, says in words.lessons(said):
        yield f"## {title}"
        yield "\n".join((_list(says), f"- {words.TO_FILL_IN}")).strip()
    yield "## Action items"
    yield _actions(said)
    yield "## Timeline"
    yield _timeline(said.key)
    yield "All of it stands in the appendix."
    yield "## Links"
    yield "\n".join(_links(said)) or f"None: {escape(said.no_links)}."


def _in_a_line(cause: Cause) -> str:
    leg = f", {cause.leg} leg" if cause.leg else ""
    since = f", since {words.when(cause.since)}" if cause.since else ""
    return f"{cause.role.upper()} {cause.code} ({cause.confidence}{leg}{since}): {cause.says}"


def _actions(said: Postmortem) -> str:
    rows = [
        (a.priority, a.kind, _marked(a.says), code(a.source, cell=True), words.BLANK, words.BLANK) for a in said.actions
    ]
    none = [("", "", "none proposed", "", words.BLANK, words.BLANK)]
    return _table(("priority (proposed)", "kind", "action", "because of", "owner", "due"), rows or none)


def _timeline(entries: Iterable[Entry]) -> str:
    rows = (
        [words.when(e.at), e.kind, f"**{escape(e.mark)}:** {escape(e.says)}" if e.mark else escape(e.says)]
        for e in entries
    )
    return _table(("time (UTC)", "from", "what happened"), rows)


def _links(said: Postmortem) -> Iterator[str]:
    for link in said.links:
        if link.url.startswith(CONSOLE) and not re.search(r"[\s()<>]", link.url):
            yield f"- [{escape(link.name)}]({link.url})"


# --- the appendix -----------------------------------------------------------------------------------------------------------


def _appendix(said: Postmortem) -> Iterator[str]:
    yield "## Appendix: the record"
    yield "### Moments and durations"
    moments = ([escape(m.name), words.moment(m), escape(m.says), escape(m.means)] for m in said.moments)
    yield _table(("moment", "when (UTC)", "rests on", "defined as"), moments)
    durations = ([escape(d.name), words.duration(d), escape(d.means)] for d in said.durations)
    yield _table(("duration", "how long", "defined as"), durations)
    yield "### Causes, and what each rests on"
    for cause in said.causes:
        yield from _cause(cause)
    if said.unexplained:
        yield "#### Unexplained"
        yield _list(said.unexplained)
    yield "### Hypotheses considered"
    yield _table(("hypothesis", "refuted by"), ([escape(h.name), escape(h.refuted_by)] for h in said.hypotheses))
    yield "### What could not be seen"
    gaps = [[code(g.what, cell=True), escape(g.why), escape(words.gap(g))] for g in said.unseen]
    yield _table(("what", "why not", "what of it"), gaps) if gaps else "Nothing that was looked for was hidden."
    yield "### Timeline, whole"
    if said.left_out:
        yield f"{said.left_out} lines of less weight are left out."
    yield _timeline(said.timeline)
    yield "### Numbers over time"
    yield f"{escape(number(None))} means that no data was seen, which is not zero."
    for chart in said.charts:
        yield f"#### {escape(chart.title)}"
        yield from _chart(chart)
    yield "### Residue"
    yield _list(said.residue) or "Nothing is known to be left behind."
    yield "### Recurrence"
    yield _list(said.recurrence)
    yield from _how(said)


def _cause(cause: Cause) -> Iterator[str]:
    yield f"#### Cause: {escape(cause.title)}"
    leg = f" · {escape(cause.leg)} leg" if cause.leg else ""
    since = f" · since {words.when(cause.since)}" if cause.since else ""
    yield f"**{escape(cause.role.upper())}** · {escape(cause.confidence)} · {code(cause.code)}{leg}{since} · named by {escape(cause.looks)}"
    yield f"What it does: {escape(cause.says)}"
    yield _list((*cause.because, *(f"against it: {why}" for why in cause.against)))


def _chart(chart: Chart) -> Iterator[str]:
    if chart.missing:
        yield f"Nothing to show: {escape(chart.missing)}."
        return
    few = thinned(chart, MOST_ROWS)
    limit = f" Limit: {escape(few.limit_name)}." if few.limit is not None else ""
    yield f"In words: {escape(chart.says)}{limit}"
    head = ("until (UTC)", *(f"{escape(line.name)} ({escape(few.unit)})" for line in few.lines))
    yield _table(head, ([words.when(at, seconds=False), *map(number, values)] for at, values in few.rows()))


def _how(said: Postmortem) -> Iterator[str]:
    yield "### Looks"
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
    yield "### Queries"
    yield "How each kind of evidence was fetched, and the command that shows the same by hand."
    for query in said.queries:
        yield from _query(query)


def _query(query: Query) -> Iterator[str]:
    note = f" · {escape(query.note)}" if query.note else ""
    yield f"**{code(query.what)}** · {escape(query.source)} · as of {words.when(query.as_of)}{note}"
    if query.by_hand:
        yield _block(query.by_hand)
    elif query.query:  # not as a block: it is nothing to paste into a shell, whoever wrote it
        yield f"There is no command; the query was {' '.join(map(code, query.query))}"
    elif query.too_long:
        yield f"{words.TOO_LONG}: `pubsub-diag bundle show` names its run."
    else:
        yield words.NOT_KEPT


def _block(lines: Sequence[str]) -> str:
    """A block of code, whatever is in its lines."""
    fence = "`" * max(3, 1 + max(len(run) for run in re.findall("`*", "\n".join(lines))))
    return "\n".join((fence + ("sh" if lines[0].startswith("gcloud ") else "text"), *lines, fence))


def _list(says: Iterable[str]) -> str:
    """One bullet each."""
    return "\n".join(f"- {_inert(text)}" for text in says)


def _inert(text: str) -> str:
    """As text, also at the begin of a block, where it could be a heading, a rule or another list."""
    first, _, rest = text.strip().partition(" ")
    if first[:1] in tuple("#+-=>:_") or re.match(r"\d+[.)]", first):
        return f"{code(first)} {escape(rest)}".strip()
    return escape(text.strip())


def _marked(text: str) -> str:
    """Text in which a runbook marks code with backticks; it stands in a cell."""
    return "".join(code(part, cell=True) if is_code else escape(part) for is_code, part in words.spans(text))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
