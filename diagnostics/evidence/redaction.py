"""Redaction of whole structures: every text in a piece of evidence, whatever field it is in and wherever it came from.

The sources redact what they know to be risky, and cut it. This is the net below them: the collector passes through it all that
becomes evidence, with the patterns that the profile adds, so that a new source or field cannot forget to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import EvidenceSet
from diagnostics.evidence.redact import BY_PROFILE, redact, redact_name, redact_value
from diagnostics.evidence.secrets.spans import MARK
from diagnostics.evidence.whole_text import whole

T = TypeVar("T")


class Cleaner(Protocol):
    def __call__(self, value: T, /) -> T: ...


HASHES = frozenset({"env"})
"""Fields whose values are salted hashes of secrets already; their names may well say "key", and only what is in the names is looked at."""
TEXTLESS = frozenset({bool, int, float, type(None), datetime, timedelta})
"""Types of which nothing can be taken out; most of the fields of most of the evidence."""
PART_OF_URL = "part of an URL"
"""The kind of what stands in the query of an URL, or before its host."""
_A_PERSON, _BY_PROFILE = "a person", "by profile"
_PERSON = re.compile(r"\bperson-[0-9a-f]{4}\b")


class Redactions(Struct, frozen=True, kw_only=True):
    """How often something was taken out."""

    secrets: int = 0
    """Tokens, keys, cookies, passwords, queries of URLs, numbers of telephones."""
    people: int = 0
    """E-mail addresses of people that became person-xxxx."""
    by_profile: int = 0
    """Matches of the profile's own patterns."""
    where: dict[str, int] = {}
    """All of these by the kind of evidence that they were in."""
    kinds: dict[str, int] = {}
    """The secrets by what they were: "password", "GitLab token"; not told by older versions."""


def cleaner(patterns: Iterable[str] = ()) -> Cleaner:
    """A function that gives the same structure with every text in it redacted, by our rules and by these regular expressions."""
    own = [re.compile(pattern) for pattern in patterns]
    known: dict[str, str] = {}

    def by_profile(text: str) -> str:
        for pattern in own:
            text = pattern.sub(BY_PROFILE, text)
        return text

    def clean_text(text: str) -> str:
        if text not in known:
            known[text] = by_profile(redact(whole(text)))
        return known[text]

    def clean_named(name: Any, value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Enum):
            return clean(value)
        by_name = redact_value(str(name), whole(value))
        return by_profile(by_name) if by_name != value else clean_text(value)

    def names(value: Any) -> Any:
        told = {by_profile(redact_name(name)): hash_ for name, hash_ in value.items()}
        return value if told == value else told

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value if isinstance(value, Enum) else clean_text(value)
        if isinstance(value, Struct):
            changed = {}
            for name in value.__struct_fields__:
                old = getattr(value, name)
                if type(old) in TEXTLESS:
                    continue
                new = names(old) if name in HASHES else clean(old)
                if new is not old:
                    changed[name] = new
            return msgspec.structs.replace(value, **changed) if changed else value
        if isinstance(value, tuple | list):
            cleaned = [clean(inner) for inner in value]
            return type(value)(cleaned) if any(n is not o for n, o in zip(cleaned, value, strict=True)) else value
        if isinstance(value, dict):
            told = {clean(k): clean_named(k, v) for k, v in value.items()}
            return value if told == value else told
        return value

    return clean


def count(evidence: EvidenceSet) -> Redactions:
    """What was taken out, told by what stands in its place."""
    kinds: Counter[str] = Counter()
    where: dict[str, int] = {}
    for (kind, leg), found in evidence.items():
        of_kind = Counter(what for text in texts_of(found) for what in _marks(text))
        if total := of_kind.total():
            where[f"{kind} ({leg.value})" if leg else kind] = total
        kinds += of_kind
    people, by_profile = kinds.pop(_A_PERSON, 0), kinds.pop(_BY_PROFILE, 0)
    told = dict(sorted(kinds.items()))
    return Redactions(secrets=kinds.total(), people=people, by_profile=by_profile, where=where, kinds=told)


def _marks(text: str) -> Iterator[str]:
    """The kind of each thing that was taken out of a text."""
    if "[redacted" in text:
        for found in MARK.finditer(text):
            yield found.group().removeprefix("[redacted").strip(" ]…") or PART_OF_URL
    if "person-" in text:
        yield from (_A_PERSON for _ in _PERSON.finditer(text))


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a structure, names in mappings included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from texts_of(getattr(value, name))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from texts_of(inner)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_of(name)
            yield from texts_of(inner)
