"""What is printed: no template left, no limit of a read as a count, past things in the past tense, all that was concluded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diagnostics.report import text
from diagnostics.scoring.consistent.answer import Answer

_TEMPLATE = re.compile(r"\{[a-z_]+\}")
_NONE = re.compile(r"\bNone\b|\bnan\b|<[A-Za-z_.]+ object|\bWhere\.|\bStage\.|\bLeg\.")
_PRESENT = re.compile(r"\b(is|are|cannot|keeps?|still|now)\b")
_NOTHING = re.compile(r"\b(?:nothing|none|no \w+) (?:is|are|waits?)\b[^;,]*|none now")
_COUNT = re.compile(r"(?<![\d.,:/-])(\d+)(?! or more|[\d.,:%/-])")
_BOUND = re.compile(r"\bat least \d+\b")
_READ = re.compile(r"\bonly the (?:oldest|newest) \d+ were read\b")
_SHARE = re.compile(r"\(\d+\)")
"""How many of what was counted answered so: 400 (50)."""
_ROUND = 50
"""Limits of reads are round."""


def templates(answer: Answer) -> Iterator[str]:
    """No name in braces, and no word of the program's own inside."""
    for page in answer.pages[:1]:
        yield from (f"a template is left: {name}" for name in dict.fromkeys(_TEMPLATE.findall(page)))
        yield from (f"a word of the program is left: {name}" for name in dict.fromkeys(_NONE.findall(page)))
    listed = [*answer.said.next, *(line for c in answer.said.causes for line in c.next)]
    yield from (f"an offered command is not filled in: {line}" for line in listed if _TEMPLATE.search(line))


def concluded(answer: Answer) -> Iterator[str]:
    """Every cause and every command to take is on the page."""
    said = answer.said
    told = [said.headline, *said.next]
    told += [words for c in said.causes for words in (c.code, c.says)]
    told += [f.says for f in said.unexplained]
    told += [text.suspicion(s, said.as_of) for s in said.suspects[:1]]
    yield from (f"not printed: {words}" for words in dict.fromkeys(told) if not answer.printed(words))


def past(answer: Answer) -> Iterator[str]:
    """What is over is not told as if it went on; what somebody else said of it may be."""
    for finding in answer.said.findings:
        told = _NOTHING.sub("", re.sub(r"“[^”]*”", "", finding.says.partition(": ")[0]))
        if finding.until and (word := _PRESENT.search(told)):
            yield f"{finding.code} is over, and told with “{word[0]}”: {finding.says}"


def limits(answer: Answer) -> Iterator[str]:
    """As many as were read, where more could not be, is no count."""
    for finding in answer.said.findings:
        read = {n for kind in finding.rests_on for n in answer.cut.get(kind, ()) if n and n % _ROUND == 0}
        for number in _COUNT.findall(_bounded(finding.says)):
            if int(number) in read:
                yield f"{finding.code} counts {number} in what was read in part: {finding.says}"


def _bounded(says: str) -> str:
    """The sentence without what it says to be a least, and without the shares of that, which can be no more than leasts either; and
    without its own word on what was read."""
    without = _BOUND.sub("", _READ.sub("", says))
    return without if without == says else _SHARE.sub("", without)
