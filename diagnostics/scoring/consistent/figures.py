"""The figures of the headline and of the line below it: those of the batch, of the ladder and of the JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis, State
from diagnostics.evidence.model import Stage
from diagnostics.report import json, ladder, text
from diagnostics.scoring.consistent.answer import Answer
from diagnostics.steps.finding import Where
from diagnostics.steps.words import span

_COUNTED = re.compile(r"\b(?:at|done:|running:) ([\d?–]+)/([\d?]+)")
_STUCK = re.compile(r" stuck at \S+ for (.+?): ")
_PLACE = re.compile(rf"(\d+) ({'|'.join(map(re.escape, ladder.WORDS.values()))})\b")
_PACE = re.compile(r"(\d+) times in the last ([\d.]+) (s|min|h)\b[^;]*?, ([\d.]+) a minute")
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0}


def headline(answer: Answer) -> Iterator[str]:
    """How many of how many, and for how long."""
    said = answer.said
    batch = said.batch
    if not answer.of_batch or batch is None:
        return
    told = said.headline.removeprefix(batch.id)
    if counts := _COUNTED.search(told):
        done, expected = counts.groups()
        if batch.done is not None and done != str(batch.done):
            yield f"the headline counts {done} done, the batch {batch.done}"
        if batch.done is None and done.isdecimal():
            yield f"the headline counts {done} done, and nothing counts them"
        if expected != ("?" if batch.expected is None else str(batch.expected)):
            yield f"the headline expects {expected}, the batch {batch.expected}"
    if stuck := _STUCK.search(told):
        idle = (said.as_of - batch.last_progress).total_seconds() if batch.last_progress else None
        if idle is not None and stuck[1] != span(idle):
            yield f"the headline says stuck for {stuck[1]}, the last progress was {span(idle)} ago"
        if batch.expected and batch.done is not None and batch.done >= batch.expected:
            yield f"the headline says stuck, and all {batch.expected} are done"


def counts(answer: Answer) -> Iterator[str]:
    """What is done is what is recorded, or where that was not seen, what came back; the state says so, too."""
    said = answer.said
    batch = said.batch
    if not answer.of_batch or batch is None or batch.done is None:
        return
    back = {r.stage: r for r in answer.rows if r.seen_min is not None and r.seen_max is not None}
    last = back.get(Stage.RECORDED) or back.get(Stage.RETURNED)
    if last and not (last.seen_min or 0) <= batch.done <= (last.seen_max or 0):
        yield f"the batch counts {batch.done} done, the ladder {ladder.seen(last)} {last.stage}"
    if said.state is State.DONE and not batch.done and batch.expected and "work missing" not in said.headline:
        yield f"the batch is done with 0 of {batch.expected}"
    created = next((r for r in answer.rows if r.stage is Stage.CREATED and r.seen_min is not None), None)
    if created and batch.expected is not None and created.seen_min != batch.expected:
        yield f"the batch expects {batch.expected}, the ladder says that {created.seen_min} were created"


def finishes(answer: Answer) -> Iterator[str]:
    """The line below the headline agrees with the state, the roles and the ladder."""
    said = answer.said
    batch = said.batch
    if not answer.of_batch or batch is None:
        return
    held = bool(answer.blocking)
    if said.state is State.DONE and said.finishes_alone is not True:
        yield "the batch is done and does not finish alone"
    if held and said.finishes_alone is not False:
        yield "a cause blocks the batch and it finishes alone, or nobody could tell"
    if said.state in (State.STALLED, State.FAILED) and said.finishes_alone:
        yield f"the batch is {said.state} and finishes alone"
    if said.finishes_alone is False and not held and not said.unexplained and said.state is not State.FAILED:
        yield "the batch does not finish alone, and nothing is said to hold it"
    if said.forecast.done_by and not said.finishes_alone:
        yield "the batch does not finish alone, and a time is told by which it does"
    line = text.finishes(said)
    if not answer.printed(f"Finishes alone? {line}"):
        yield "the line about finishing alone is not printed"
    yield from _places(answer, line)


def _places(answer: Answer, line: str) -> Iterator[str]:
    batch = answer.said.batch
    words = {word: where for where, word in ladder.WORDS.items()}
    told = {words[word]: int(count) for count, word in _PLACE.findall(line)}
    if told and told != {Where(w): n for w, n in answer.places.items() if w in set(Where)}:
        yield f"it says {told}, the ladder {dict(answer.places)}"
    if batch is None or batch.done is None or batch.expected is None:
        return
    there = batch.done + sum(n for w, n in answer.places.items() if w != Where.SURPLUS)
    if there > batch.expected:
        yield f"{there} are done or elsewhere, of {batch.expected}"


def as_json(answer: Answer) -> Iterator[str]:
    """What a script reads is what a person reads."""
    again = msgspec.json.decode(json.render(answer.found), type=Diagnosis)
    if again.headline != answer.said.headline or again.batch != answer.said.batch or again.ladder != answer.said.ladder:
        yield "the JSON says something else than the text"


def paces(answer: Answer) -> Iterator[str]:
    """So many times in so long is so many a minute."""
    for finding in answer.said.findings:
        for number, length, unit, rate in _PACE.findall(finding.says):
            fair = int(number) / max(float(length) * _MINUTES[unit], 1.0)
            if abs(float(rate) - fair) > 0.1 + 0.2 * fair:
                yield f"{number} times in {length} {unit} is not {rate} a minute: {finding.says}"
