"""Redaction of whole structures: every text in a piece of evidence, whatever field it is in and wherever it came from.

The sources redact what they know to be risky, and cut it. This is the net below them: the collector passes through it all that
becomes evidence, with the patterns that the profile adds, so that a new source or field cannot forget to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import EvidenceSet
from diagnostics.evidence.redact import BY_PROFILE, GONE, names_secret, redact
from diagnostics.evidence.whole_text import whole

T = TypeVar("T")


class Cleaner(Protocol):
    def __call__(self, value: T, /) -> T: ...


HASHES = frozenset({"env"})
"""Fields whose values are salted hashes of secrets already; their names may well say "key"."""
_PERSON = re.compile(r"\bperson-[0-9a-f]{4}\b")


class Redactions(Struct, frozen=True, kw_only=True):
    """How often something was taken out."""

    secrets: int = 0
    """Tokens, keys, cookies, passwords, queries of URLs."""
    people: int = 0
    """E-mail addresses of people that became person-xxxx."""
    by_profile: int = 0
    """Matches of the profile's own patterns."""
    where: dict[str, int] = {}
    """All of these by the kind of evidence that they were in."""


def cleaner(patterns: Iterable[str] = ()) -> Cleaner:
    """A function that gives the same structure with every text in it redacted, by our rules and by these regular expressions."""
    own = [re.compile(pattern) for pattern in patterns]
    known: dict[str, str] = {}

    def clean_text(text: str) -> str:
        if text not in known:
            cleaned = redact(whole(text))
            for pattern in own:
                cleaned = pattern.sub(BY_PROFILE, cleaned)
            known[text] = cleaned
        return known[text]

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value if isinstance(value, Enum) else clean_text(value)
        if isinstance(value, Struct):
            fields = {n: getattr(value, n) for n in value.__struct_fields__ if n not in HASHES}
            changed = {name: new for name, old in fields.items() if (new := clean(old)) is not old}
            return msgspec.structs.replace(value, **changed) if changed else value
        if isinstance(value, tuple | list):
            cleaned = [clean(inner) for inner in value]
            return type(value)(cleaned) if any(n is not o for n, o in zip(cleaned, value, strict=True)) else value
        if isinstance(value, dict):
            told = {
                clean(k): GONE if isinstance(v, str) and names_secret(str(k)) else clean(v) for k, v in value.items()
            }
            return value if told == value else told
        return value

    return clean


def count(evidence: EvidenceSet) -> Redactions:
    """What was taken out, told by what stands in its place."""
    secrets = people = by_profile = 0
    where: dict[str, int] = {}
    for (kind, leg), found in evidence.items():
        texts = list(texts_of(found))
        of_secrets = sum(text.count(GONE) for text in texts)
        of_profile = sum(text.count(BY_PROFILE) for text in texts)
        of_people = sum(len(_PERSON.findall(text)) for text in texts)
        if total := of_secrets + of_profile + of_people:
            where[f"{kind} ({leg.value})" if leg else kind] = total
        secrets, people, by_profile = secrets + of_secrets, people + of_people, by_profile + of_profile
    return Redactions(secrets=secrets, people=people, by_profile=by_profile, where=where)


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
