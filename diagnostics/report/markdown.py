"""The diagnosis in GitHub-flavoured Markdown, to paste into an issue, or as the summary of a job.

What is not ours is text and nothing else: words that Markdown, GitHub or a chat tool would read as more (markup, HTML, links, mentions,
references to issues) stand in code spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.evidence.model import Leg
from diagnostics.report import ladder, text
from diagnostics.report.escape import clean, clean_all
from diagnostics.report.layout import clock

SUMMARY_BYTES = 1024 * 1024
"""GitHub takes so much as a job summary of one step ("Adding a job summary", workflow commands); more is an error there."""

_MEANS_MORE = re.compile(
    r"""[\\`*\[\]<>|~&$@]             # markup, HTML, cells, entities, mathematics, mentions, addresses
    |(?<![^\W_])_|_(?![^\W_])        # an underscore that is not inside a word
    |\#(?=\w)|\bGH-\d|//|www\.
    |:(?!\d\dZ:)(?:[+-]1|100|1234|(?=[\d+-]*[^\W\d])[\w+-]+):    # an emoji; the minutes of a time are none
    |\b(?:mailto|xmpp):
    |[^\s.]\.[^\W\d_](?:[^\W\d_]|[^\x00-\x7f])    # what some reader takes for a domain, in any script
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What GitHub, documents or chat tools may take for more than text."""
_BEHIND = ".,;:)"
"""What stays outside at the end of a code span."""


def render(diagnoses: Sequence[Diagnosis]) -> str:
    return "\n".join("\n\n".join(_blocks(clean_all(diagnosis))) + "\n" for diagnosis in diagnoses)


def render_summary(diagnoses: Sequence[Diagnosis], most: int = SUMMARY_BYTES) -> str:
    """The same within the size of a job summary: whole blocks, and a word on what was left out."""
    left_out = "_The rest was left out: it exceeds the size of a job summary._\n"
    said: list[str] = []
    size = len(left_out)
    for block in (b for diagnosis in diagnoses for b in _blocks(clean_all(diagnosis))):
        size += len(block.encode()) + 2
        if size > most:
            return "".join(said) + left_out
        said.append(f"{block}\n\n")
    return "".join(said)


def render_trouble(says: str, mend: str) -> str:
    mended = f"\n{code(clean(mend))}\n" if mend else ""
    return f"## UNKNOWN pubsub-diag could not run: {escape(clean(says))}\n{mended}"


def escape(words: str) -> str:
    """The words as text and nothing else, to go on a line with (not to begin one) or in a cell. They must be clean.

    Words that some reader would take for more stand in code spans, which every reader shows as they are; nothing is written that only
    some of them take back, as a backslash or a comment is.
    """
    parts = []
    for means_more, group in groupby(words.split(" "), key=_means_more):
        together = " ".join(group)
        parts.append(_spanned(together) if means_more else together)
    return " ".join(parts)


def _means_more(word: str) -> bool:
    """Underscores by themselves, with space around them, are a blank to fill in for every reader."""
    return bool(_MEANS_MORE.search(word)) and bool(word.strip("_"))


def _spanned(words: str) -> str:
    """In code, but for the bars: in a cell a bar has to be written otherwise than on a line, an entity is read in both."""
    before = "(" if words.startswith("(") else ""
    inner = words.removeprefix("(").rstrip(_BEHIND)
    behind = words[len(before) + len(inner) :]
    if not inner:
        before, inner, behind = "", words, ""
    return before + "&#124;".join(code(part) for part in inner.split("|")) + behind


def code(words: str, cell: bool = False) -> str:
    """A code span, however many backticks are in the words. In a cell even a code span must not hold a bare bar; and a bar behind a
    backslash ends the cell for some readers and not for others, however it is escaped, so that it is written in HTML."""
    if cell and "\\|" in words:
        return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in words)}</code>"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", words)), default=0))
    pad = " " if words[:1] in ("`", " ") or words[-1:] in ("`", " ") else ""
    span = f"{fence}{pad}{words}{pad}{fence}" if words else ""
    return span.replace("|", "\\|") if cell else span


def _blocks(said: Diagnosis) -> Iterator[str]:
    yield f"## {said.status.value.upper()} {escape(said.headline)}"
    if told := text.finishes(said):
        yield f"**Finishes alone?** {escape(told)}"
    yield _header(said)
    if said.ladder:
        yield _ladder(said)
    if said.causes:
        yield _table(
            ("", "role", "cause", "sure", "since", "says"), [_cause(n, c, said) for n, c in enumerate(said.causes, 1)]
        )
    if said.suspects:
        yield f"**Changed** {escape(text.suspicion(said.suspects[0], said.as_of))}"
    findings = said.unexplained if said.pipeline.command == "batch" else said.findings
    if findings:
        rows = [
            (f.status.value, code(_of(f.code, f.leg), cell=True), escape(f.says))
            for f in sorted(findings, key=lambda f: text.LOUDEST_FIRST.index(f.status))
        ]
        yield _table(("status", "unexplained" if said.pipeline.command == "batch" else "finding", "says"), rows)
    if said.next:
        yield "**Do now**\n\n" + "\n".join(f"{n}. {code(step)}" for n, step in enumerate(said.next, 1))
    if fixes := text.fixes(said):
        yield "**Fix**\n\n" + "\n".join(f"- {code(fix)}" for fix in fixes)
    gaps = [gap for gap in said.unknown if gap.matters]
    if gaps:
        rows = [
            (code(_of(g.what, g.leg), cell=True), escape(g.says), code(g.permission or g.mend, cell=True)) for g in gaps
        ]
        yield _table(("not seen", "because", "would settle it"), rows)
    if said.suppressed:
        yield "\n".join(f"- **accepted** {escape(text.acceptance(s))}" for s in said.suppressed)


def _header(said: Diagnosis) -> str:
    head = said.pipeline
    parts = [
        code(f"{head.project} {head.region}".strip()),
        f"pipeline {code(head.pipeline)}",
        f"as of {said.as_of:%Y-%m-%d %H:%M:%SZ}",
        "lab, not Google" if head.lab else "",
    ]
    return " · ".join(part for part in parts if part)


def _ladder(said: Diagnosis) -> str:
    items = said.batch.expected if said.batch else None
    here = ladder.stopped(said)
    rows = [
        (
            escape(ladder.label(row)) + (" **◀ HERE**" if row is here else ""),
            escape(ladder.seen(row, items)),
            escape(ladder.rest(row)),
            escape(ladder.says_so(row)),
        )
        for row in ladder.in_order(said)
    ]
    return _table(("stage", f"of {items}" if items is not None else "items", "where the rest is", "seen in"), rows)


def _cause(number: int, cause: Named, said: Diagnosis) -> tuple[str, ...]:
    since = clock(cause.since, said.as_of) if cause.since else ""
    name = code(_of(cause.code, cause.leg), cell=True)
    return (
        str(number),
        f"**{cause.does.upper()}**",
        name,
        cause.confidence.value,
        escape(since),
        escape(cause.says),
    )


def _of(name: str, leg: Leg | None) -> str:
    return f"{name} ({leg.value})" if leg else name


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
