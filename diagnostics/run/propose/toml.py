"""Proposals as a part of a profile: what is taken, and, as comments, what is doubtful and what no sampled line looked like."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from diagnostics.evidence.model import Means
from diagnostics.evidence.redact import redact
from diagnostics.evidence.whole_text import whole
from diagnostics.pipeline.profile import Marker
from diagnostics.run.propose.proposals import Proposal

LONGEST_EXAMPLE = 110
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def written(found: Sequence[Proposal], days: float) -> str:
    """The tables of [[markers]]. Log lines are somebody else's: nothing of them ends a comment or a string."""
    lines = [
        f"# Proposed from log lines of the last {days:g} days, by their words and by what comes back in them. Look at each, then run",
        "# pubsub-diag profile test. What a line means: pubsub-diag profile explain means",
    ]
    for one in found:
        lines += _table(one)
    if absent := _absent(found):
        lines += [
            "",
            "# No sampled line looked like these; most are of bad days. Add them when you know how they read:",
            *absent,
        ]
    return "\n".join(lines) + "\n"


def taken(found: Sequence[Proposal]) -> list[Proposal]:
    """Those that nothing speaks against."""
    return [one for one in found if not one.why_not]


def _table(one: Proposal) -> Iterator[str]:
    captured = ", ".join(f"{name}={value}" for name, value in one.captured.items())
    yield ""
    if one.why_not:
        yield f"# Not taken: {one.why_not}."
    yield f"# {one.lines} lines, such as: {_comment(one.example)}"
    if captured:
        yield f"# captures {_comment(captured)}"
    for line in _marker(one.marker):
        yield f"# {line}" if one.why_not else line


def _marker(marker: Marker) -> Iterator[str]:
    yield "[[markers]]"
    yield f'means = "{marker.means.value}"'
    if marker.service != "coordinator":
        yield f'service = "{marker.service}"'
    if marker.field != "textPayload":
        yield f"field = {quoted(marker.field)}"
    yield f"contains = {quoted(marker.contains)}"
    yield f"pattern = {quoted(marker.pattern)}"
    if marker.captures:
        yield f"captures = {{ {', '.join(f'{name} = {quoted(path)}' for name, path in marker.captures.items())} }}"


def quoted(text: str) -> str:
    """A TOML string of one line: as it stands between single quotes where that can be, else with escapes."""
    plain = not any(unicodedata.category(letter) in _UNSEEN for letter in text)
    if plain and "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\U{ord(x):08x}" if unicodedata.category(x) in _UNSEEN else x for x in whole(escaped)) + '"'


def _comment(text: str) -> str:
    seen = "".join(" " if unicodedata.category(x) in _UNSEEN else x for x in whole(text))
    return redact(seen, LONGEST_EXAMPLE)


def _absent(found: Sequence[Proposal]) -> list[str]:
    there = {one.marker.means for one in found}
    names = [means.value for means in Means if means not in there and means is not Means.PHASE]
    rows = [names[at : at + 8] for at in range(0, len(names), 8)]
    return [f"#   {', '.join(row)}" for row in rows]
