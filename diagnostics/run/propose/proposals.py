"""Markers made of groups of lines, each tried on every line that was sampled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from diagnostics.evidence.model import Means
from diagnostics.pipeline.profile import Marker
from diagnostics.run.propose.groups import Group, Line, groups
from diagnostics.run.propose.meanings import Guess, guesses
from diagnostics.run.propose.names import Named, Slot, named

_COUNT = re.compile(
    r"publish|queued|sent|dispatch|export|done|complete|count|selected|chosen|eligible|viable|passed|of_?batch",
    re.IGNORECASE,
)
_OF = re.compile(r"^of$|total|found|candidates|all|\bdue\b", re.IGNORECASE)
_FAILED = re.compile(r"fail", re.IGNORECASE)
_REASON = re.compile(r"reason|error|\berr\b|why|cause|code|message", re.IGNORECASE)
ENOUGH = 10
"""Letters of a literal that tell a kind of line from others."""
_NEEDS_BATCH = (Means.CREATED, Means.CLOSED, Means.EXPECTED)
_WITH_REASON = (
    Means.REFUSED, Means.EMPTY, Means.SKIPPED_ITEM, Means.FAILED_ITEM, Means.WRITE_FAILED, Means.BAD_MESSAGE,
    Means.COMPLETION_ERROR, Means.RECORD_ERROR, Means.RETURN_REJECTED, Means.PUBLISH_ERROR,
)  # fmt: skip


class Proposal(Struct, frozen=True, kw_only=True):
    """One marker that a person may take or leave."""

    marker: Marker
    lines: int
    """Lines of its kind that were sampled."""
    matched: int
    """Lines that it matches, of any kind."""
    captured: dict[str, str]
    """What it captures of one of them."""
    example: str
    why_not: str = ""
    """Why it should not be taken as it is; empty: nothing speaks against it."""


def propose(lines: Sequence[Line]) -> list[Proposal]:
    """A marker for each kind of line that seems to mean something."""
    return [_proposal(guess, lines) for guess in guesses(named(groups(lines)))]


def _proposal(guess: Guess, lines: Sequence[Line]) -> Proposal:
    group, roles = guess.named.group, _roles(guess)
    marker = _marker(guess, roles)
    tried = [found for line in lines if (found := read(marker, line)) is not None]
    own = next((found for line in group.lines if (found := read(marker, line)) is not None), {})
    return Proposal(
        marker=marker,
        lines=len(group.lines),
        matched=len(tried),
        captured=own,
        example=group.lines[0].text.splitlines()[0]
        if group.lines[0].text
        else str(dict(sorted(group.lines[0].fields.items()))),
        why_not=_why_not(guess, marker, len(tried)),
    )


def _why_not(guess: Guess, marker: Marker, matched: int) -> str:
    if matched < len(guess.named.group.lines):
        return f"it matches {matched} of {len(guess.named.group.lines)} such lines"
    if matched > len(guess.named.group.lines) * 1.5:
        return f"it matches {matched - len(guess.named.group.lines)} lines of other kinds, too"
    if guess.means is Means.GATE and not ("count" in marker.captures or "(?P<count>" in marker.pattern):
        return "nothing tells which of its numbers is how many passed"
    if guess.means in _NEEDS_BATCH and guess.named.batch is None:
        return "no part of it seems to name the batch"
    return "" if len(marker.contains) >= 4 else "little of it is the same in all lines"


def read(marker: Marker, line: Line) -> dict[str, str] | None:
    """What the marker captures of a line; None where it does not match."""
    if line.service != marker.service:
        return None
    where = marker.field.removeprefix("jsonPayload.")
    text = (
        (line.text or line.fields.get("message", "")) if marker.field == "textPayload" else line.fields.get(where, "")
    )
    match = re.search(marker.pattern, text) if marker.contains.lower() in text.lower() else None
    if match is None:
        return None
    captured = {name: value for name, value in match.groupdict().items() if value}
    fields = {name: line.fields.get(path.removeprefix("jsonPayload."), "") for name, path in marker.captures.items()}
    return captured | {name: value for name, value in fields.items() if value}


# --- which part is what ---------------------------------------------------------------------------------------------------


def _roles(guess: Guess) -> dict[str, Slot]:
    """By the name that a marker captures it under."""
    one = guess.named
    roles = {name: slot for name in ("batch", "item", "date", "correlation") if (slot := getattr(one, name))}
    roles |= _numbers(guess.means, one)
    if guess.means in _WITH_REASON and (reason := _reason(one)):
        roles["reason"] = reason
    return roles


def _numbers(means: Means, one: Named) -> dict[str, Slot]:
    numbers = list(one.numbers)
    if means in (Means.CREATED, Means.EXPECTED):
        hinted = [s for s in numbers if "expect" in s.label.lower()] or [s for s in numbers if not s.path][-1:]
        hinted = hinted or (numbers if len(numbers) == 1 else [])
        return {"expected": hinted[0]} if hinted else {}
    if means not in (Means.GATE, Means.PUBLISHED, Means.CLOSED, Means.FORCED):
        return {}
    roles: dict[str, Slot] = {}
    for name, label in (("failed", _FAILED), ("of", _OF), ("count", _COUNT)):
        if found := next((s for s in numbers if label.search(s.label) or _said_after(one.group, s, label)), None):
            roles[name] = found
            numbers.remove(found)
    told = [s for s in numbers if not s.path] or (numbers if len(numbers) == 1 else [])  # fields have no order
    if "count" not in roles and told:
        roles["count"] = told[0]
        numbers.remove(told[0])
    if "of" not in roles and numbers and _divided(one.group, roles.get("count"), numbers[0]):
        roles["of"] = numbers.pop(0)
    if means is Means.GATE:
        roles |= {_snake(s.label): s for s in numbers if s.label and _snake(s.label).isidentifier()}
    return roles


def _said_after(group: Group, slot: Slot, label: re.Pattern[str]) -> bool:
    """Whether the word right after a number says what it counts: `0 failed`."""
    space, word, then = (*group.parts[slot.at + 1 : slot.at + 4], "", "", "")[:3]
    return (
        label is _FAILED and slot.at >= 0 and space == " " and bool(label.search(word or "")) and then not in ("=", ":")
    )


def _divided(group: Group, first: Slot | None, second: Slot) -> bool:
    """Whether two numbers stand as 15/181 or 15 of 181."""
    if first is None or first.at < 0 or second.at < 0:
        return False
    return "".join(part or "*" for part in group.parts[first.at + 1 : second.at]).strip() in ("/", "of")


def _reason(one: Named) -> Slot | None:
    hinted = [s for s in one.words if _REASON.search(s.label)]
    after = [s for s in one.words if one.item is None or s.at > one.item.at]
    return next(iter(hinted or ([] if one.group.structured else after)), None)


def _snake(label: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\W]+", "_", label).lower()


# --- markers --------------------------------------------------------------------------------------------------------------


def _marker(guess: Guess, roles: dict[str, Slot]) -> Marker:
    """What stands in fields is taken from there, the rest from what the line says."""
    group = guess.named.group
    contains, pattern = _whole(group) if group.structured and not group.differing else _text(guess, roles)
    return Marker(
        means=guess.means,
        service=group.service,
        field=group.field,
        contains=contains,
        pattern=pattern,
        captures={name: f"jsonPayload.{slot.path}" for name, slot in roles.items() if slot.path},
    )


def _whole(group: Group) -> tuple[str, str]:
    """The name of an event, or a sentence that is always the same."""
    said = "".join(part or "" for part in group.parts)
    return said, f"^{re.escape(said)}$".replace("\\ ", " ")


def _text(guess: Guess, roles: dict[str, Slot]) -> tuple[str, str]:
    group = guess.named.group
    by_place = {slot.at: name for name, slot in roles.items() if not slot.path}
    last = max([*by_place, _first_text(group)], default=0)
    end = _end(group, last) if by_place.get(last) == "reason" else ""
    if guess.means in _WITH_REASON and "reason" not in roles and not group.structured:
        last, end = _constant_reason(group, max(by_place, default=-1), last)
    pattern = "".join(_piece(group, at, by_place) for at in range(last + 1)) + end
    return _literal(group), pattern


def _constant_reason(group: Group, named: int, last: int) -> tuple[int, str]:
    """Where a reason is the same in all lines that were seen: the last part before it, and the pattern that takes it. `named`: the last
    part that names something. It stands behind a word that says so, else behind what is named; else the line has none."""
    said = group.parts
    for at in range(named + 1, len(said) - 2):
        if _REASON.fullmatch(said[at] or "") and said[at + 1] in ("=", ":"):
            return at + 1, r"""\s*["']?(?P<reason>[^"']+)"""
    rest = "".join(part or "" for part in said[named + 1 :])
    if named >= 0 and sum(letter.isalpha() for letter in rest) >= 3:
        return named, r"\W*(?P<reason>\w.*)"
    return last, ""


def _piece(group: Group, at: int, by_place: dict[int, str]) -> str:
    part = group.parts[at]
    if part is not None:
        return re.escape(part).replace("\\ ", " ")
    name = by_place.get(at)
    if name is None:
        return r"\S*?"
    if name == "reason":
        return r"(?P<reason>.+)" if at == len(group.parts) - 1 else r"(?P<reason>.+?)"
    number = name not in ("batch", "item", "date", "correlation")
    return rf"(?P<{name}>\d+)" if number else rf"(?P<{name}>[\w.@-]+)"


def _end(group: Group, last: int) -> str:
    """The literal that follows the last part that is captured: a lazy one has to end somewhere."""
    rest = []
    for part in group.parts[last + 1 :]:
        if part is None:
            break
        rest.append(re.escape(part).replace("\\ ", " "))
    return "".join(rest).rstrip()


def _first_text(group: Group) -> int:
    """Where the longest text that all lines have ends."""
    return max(_runs(group), key=lambda run: len(run[1].strip()), default=(0, ""))[0]


def _literal(group: Group) -> str:
    """What the log is searched for: the first text that says enough, else the longest."""
    told = [text.strip() for _, text in _runs(group)]
    enough = (text for text in told if sum(letter.isalpha() for letter in text) >= ENOUGH)
    return next(enough, max(told, key=len, default=""))


def _runs(group: Group) -> Iterator[tuple[int, str]]:
    """Stretches of text that all lines have, each with where it ends."""
    run = ""
    for at, part in enumerate([*group.parts, None]):
        if part is None:
            yield at - 1, run
            run = ""
        else:
            run += part
