"""Every command that an answer prints, typed into real shells: `make paste`, or `python -m tests.shell.pasted [--only TEXT] [--names N]`.

Captured cases are told again with names that nobody would choose, and what each format says of them is read as a person would copy it:
from the terminal, from JSON, from rendered Markdown and HTML, from annotations and test reports, from a monitor, from a runbook page.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import quote

from markdown_it import MarkdownIt
from msgspec.structs import replace

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import BatchMarks, Evidence, ItemMarks, Leg
from diagnostics.keep.bundle import dump, parse
from diagnostics.report import formats
from diagnostics.report.layout import Layout
from diagnostics.report.postmortem import charts, html
from diagnostics.report.postmortem import markdown as postmortem
from diagnostics.report.postmortem.build import build
from diagnostics.run.investigate import Case, investigate
from diagnostics.runbook import pages
from diagnostics.shell.commands import PROGRAMS, is_command, parted
from tests.matrices.captured import bundles, capture, case_of, scenarios
from tests.matrices.likenesses import names_in, renamed
from tests.report.consumers import workflow_command
from tests.shell.names import PIECES, TELLTALE
from tests.shell.typed import SHELLS, Called, Room

NOT_IN_A_RESOURCE = frozenset("/")
"""What no name of a resource holds, since it parts them; a batch may."""
WIDTHS = (80, 120)
_FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.M | re.S)
_A_COMMAND = re.compile(rf"\b(?:{'|'.join(PROGRAMS)}) .*$")
_FROM_A_WORD_ON = re.compile(rf"(?:^|(?<=  )|(?<=: ))(?:{'|'.join(PROGRAMS)}) .*$")


class Printed(NamedTuple):
    """A command as it can be copied."""

    where: str
    line: str


class Judged(NamedTuple):
    typed: Counter[str]
    """Commands that were typed, by where they were printed."""
    whole: int
    """Arguments with a name of ours in them, all of which arrived whole."""
    wrong: list[str]


def odd_name(rng: random.Random, without: frozenset[str]) -> str:
    """A name that can be typed, of hostile pieces around the telltale."""
    pieces = [p for p in PIECES if not set(p) & without]
    before, after = ("".join(rng.choices(pieces, k=rng.randint(0, 3))) for _ in "ab")
    return " ".join(f"{before}{TELLTALE}{after}".split())


def told_again(case: Case, rng: random.Random) -> tuple[Case, list[str]]:
    """The case with odd names for all that is named in it, and those names. Tables and buckets keep theirs: a profile with odd ones is
    refused before anything is asked."""
    batches = {name for name in names_in(case) if "batch" in name}
    names = {n: odd_name(rng, frozenset() if n in batches else NOT_IN_A_RESOURCE) for n in sorted(names_in(case))}
    bare = dataclasses.replace(case, profile=replace(case.profile, results=None, model=None))
    again = renamed(bare, lambda name, _: names[name])
    kept = replace(again.profile, results=case.profile.results, model=case.profile.model)
    return dataclasses.replace(again, profile=kept), list(names.values())


# --- what is printed, as it is copied ---------------------------------------------------------------------------------


def printed(case: Case, said: Diagnosis) -> Iterator[Printed]:
    """Every command of every format. What a kept run brings along as the way to fetch something by hand was not made here and now."""
    kept = {line for _, e in case.evidence.items() if isinstance(e, Evidence) for line in e.source.by_hand.splitlines()}
    told = tuple(" ".join(text.split()) for text in _told(case))
    for where, line in (*_of_formats(said), *_of_postmortem(case, said), *_of_pages(case, said)):
        if not _is_quoted(" ".join(line.split()), told):
            yield Printed("by hand" if line in kept else where, line)


def _told(case: Case) -> Iterator[str]:
    """What lines of the programs' own say that begins like a command, "export of this order already exists": quoted, never offered."""
    for _, found in case.evidence.items():
        if isinstance(found, ItemMarks | BatchMarks):
            words = [word for mark in found.marks for word in mark.words.values()]
            yield from (said[0] for word in words if (said := _A_COMMAND.search(word)))


def _is_quoted(line: str, told: Sequence[str]) -> bool:
    """Whether it is what a program said, as far as the row goes, or that and what stands behind it. An offered command that only begins
    like one is none."""
    return any(text.startswith(line) or line.startswith(text) for text in told)


def _of_formats(said: Diagnosis) -> Iterator[tuple[str, str]]:
    for width in WIDTHS:
        text = formats.render("text", [said], Layout(width), verbose=True)
        yield from on_a_page(text)
    yield from (("json", line) for line in _strings(json.loads(formats.render("json", [said], Layout()))))
    yield from (("markdown", line) for line in _spans(formats.render("markdown", [said], Layout())))
    for line in formats.render("github", [said], Layout()).splitlines():
        yield from (("github", part) for part in workflow_command(line).message.split("\n"))
    junit = unescape(re.sub("<[^>]*>", "\n", formats.render("junit", [said], Layout())))
    yield from (("junit", part) for part in junit.split("\n"))
    for line in formats.render("nagios", [said], Layout()).splitlines():
        yield "nagios", line.removeprefix("do now: ")


def _of_postmortem(case: Case, said: Diagnosis) -> Iterator[tuple[str, str]]:
    if said.batch is None:
        return
    bundle = replace(parse(dump(case, None)), case=case, diagnosis=said)
    advice = {
        c.code: pages.prevent(c.code, case.profile, c.leg or Leg.REQUEST, said.batch.id or "BATCH") for c in said.causes
    }
    try:
        made = build([bundle], prevent=advice)
    except ValueError:
        return
    yield from (("postmortem", line) for line in _spans(postmortem.render(made)))
    with mock.patch.object(charts, "svg", return_value=""):
        yield from (("html", line) for line in _of_html(html.render(made)))


def _of_pages(case: Case, said: Diagnosis) -> Iterator[tuple[str, str]]:
    """The runbook pages of its causes: each statement of a block, each command in a sentence, each query."""
    books = {book.front.name: book for book in pages.every()}
    for cause in said.causes:
        known = pages.known_from(case.profile, cause.leg or Leg.REQUEST)
        known |= {"batch": said.batch.id if said.batch else "", "dead_letter_topic": known["topic"]}
        page = pages.fill(books[cause.code].body, known)
        yield from (("runbook", block.strip("\n")) for kind, block in _FENCE.findall(page) if kind == "sh")
        yield from (("query", block.strip()) for kind, block in _FENCE.findall(page) if kind == "promql")
        yield from (("runbook", line) for line in _spans(_FENCE.sub("", page)))


def on_a_page(text: str) -> Iterator[tuple[str, str]]:
    """From a program's name to the end of the line, and on as long as a backslash says so."""
    rows = iter(text.splitlines())
    for row in rows:
        if found := _FROM_A_WORD_ON.search(row):
            line = found[0]
            while line.endswith(" \\"):
                line += f"\n{next(rows)}"
            yield "by hand" if row.startswith("by hand") else "text", line


def _spans(text: str) -> Iterator[str]:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    yield from (c.content for token in tokens for c in token.children or () if c.type == "code_inline")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value.split("\n")
    elif isinstance(value, dict):
        yield from (line for one in value.values() for line in _strings(one))
    elif isinstance(value, list):
        yield from (line for one in value for line in _strings(one))


def _of_html(text: str) -> list[str]:
    class Reader(HTMLParser):
        said: list[str] = []
        inside = False

        def handle_starttag(self, tag: str, attrs: object) -> None:
            del attrs
            if tag in ("code", "pre"):
                self.inside, self.said = True, [*self.said, ""]

        def handle_endtag(self, tag: str) -> None:
            self.inside = self.inside and tag not in ("code", "pre")

        def handle_data(self, data: str) -> None:
            if self.inside:
                self.said[-1] += data

    reader = Reader()
    reader.feed(text)
    return [line for part in reader.said for line in part.split("\n")]


# --- and typed -----------------------------------------------------------------------------------------------------------


def judge(case: Case, rng: random.Random, room: Room, shells: Sequence[str] = SHELLS) -> Judged:
    """Tell the case again with odd names, and type what it prints."""
    again, names = told_again(case, rng)
    offered = dict.fromkeys(
        p for p in printed(again, investigate(again)) if is_command(p.line) or p.where in ("query", "runbook")
    )
    lines = [p for p in offered if p.where in ("query", "runbook") or parted(p.line)[0]]
    lines = [p for p in lines if p.where != "runbook" or "\n" in p.line or is_command(p.line.strip())]
    wrong, whole = list[str](), 0
    for shell in shells:
        queries = [p.line for p in lines if p.where == "query"]
        for query in queries:  # no shell can read one, and dash forgets what was typed after it
            ran = room.type([query], shell)
            wrong += [f"{shell}: {query!r} ran {ran.calls}"] if any(ran.calls) else []
        ours = [p for p in lines if p.where != "query"]
        typed = room.type([p.line for p in ours], shell)
        wrong += [f"{shell}: made {name}" for name in typed.made]
        if len(typed.calls) != len(ours):
            wrong.append(f"{shell}: {len(typed.calls)} of {len(ours)} lines ended: {typed.said}")
        for one, calls in zip(ours, typed.calls, strict=False):
            wrong += [f"{shell}: {one.where}: {one.line!r} {why}" for why in _amiss(one, calls, names)]
            whole += sum(TELLTALE in a for call in calls for a in call.arguments)
        for left in room.here.iterdir():
            left.unlink()
    return Judged(Counter(p.where for p in lines), whole, wrong)


def _amiss(one: Printed, calls: Sequence[Called], names: Sequence[str]) -> Iterator[str]:
    if one.where == "by hand":  # of a kept run: what it names may be read as several words, and no more
        return
    if not calls or calls[-1].program not in PROGRAMS:
        yield f"ran {calls}"
    for call in calls:
        for argument in call.arguments:
            if TELLTALE in argument and not any(form in argument for name in names for form in _forms(name)):
                yield f"gave {argument!r}"


def _forms(name: str) -> tuple[str, ...]:
    """The name, and as it is written in an address and in a string of a filter."""
    return name, quote(name, safe=""), name.replace("\\", "\\\\").replace('"', '\\"')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--names", type=int, default=2, help="how often each case is told again")
    want = parser.parse_args()
    typed, whole, wrong, told = Counter[str](), 0, 0, 0
    cases: dict[str, Callable[[], Path]] = {b.stem: lambda b=b: b for b in bundles()}  # type: ignore[misc]
    cases |= {f"{p.parent.name}/{p.stem}": lambda p=p: capture(p) for p in scenarios()}  # type: ignore[misc]
    for name, bundle in cases.items():
        if want.only not in name:
            continue
        for number in range(want.names):
            with tempfile.TemporaryDirectory() as folder:
                judged = judge(case_of(bundle()), random.Random(f"{name} {number}"), Room(Path(folder)))
            typed, whole, told = typed + judged.typed, whole + judged.whole, told + 1
            wrong += len(judged.wrong)
            for line in judged.wrong:
                print(f"{name} {number}: {line}")
    by_place: Mapping[str, int] = dict(sorted(typed.items()))
    print(f"{told} tellings, {sum(typed.values())} commands in {len(SHELLS)} shells: {by_place}")
    print(f"{whole} arguments with an odd name arrived whole; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
