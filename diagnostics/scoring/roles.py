"""Causes as they were expected: which are named, in which role, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diagnostics.causes.catalogue import is_kind_of
from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Named
from diagnostics.scoring.expect import Expected


def disagreements(expected: Expected, found: Sequence[Named]) -> Iterator[str]:
    yield from _missing(expected, found)
    for cause in found:
        yield from _unexpected(expected, cause)
    yield from _confidence(expected, found)


def is_cause(cause: Named, code: str) -> bool:
    """Whether it is the one that "code" or "code@leg" names, or a special case of that."""
    name, _, leg = code.partition("@")
    return is_kind_of(cause.code, name) and leg in ("", cause.leg or "")


def is_just(cause: Named, code: str) -> bool:
    """Whether it is the very one that "code" or "code@leg" names: what must not be named says nothing of a special case."""
    return is_cause(cause, code) and cause.code == code.partition("@")[0]


def _missing(expected: Expected, found: Sequence[Named]) -> Iterator[str]:
    for role, codes in _by_role(expected).items():
        for code in codes:
            if not any(c.role is role and is_cause(c, code) for c in found):
                yield f"{code}: expected to be named as {role.value}, found {_named(found, code)}"
    if expected.one_of and not any(_among(c, expected.one_of) for c in found):
        yield f"one_of: expected {' or '.join(expected.one_of)} to be named, found neither"


def _unexpected(expected: Expected, cause: Named) -> Iterator[str]:
    if any(is_just(cause, code) for code in expected.never):
        yield f"{cause.code}: must not be named, found {_said(cause)}"
    elif cause.role is not Role.BENIGN and not _among(cause, _permitted(expected, cause.role)):
        wrong = "not expected to block" if cause.role is Role.BLOCKS else "not expected"
        yield f"{cause.code}: {wrong}, found {_said(cause)}"


def _permitted(expected: Expected, role: Role) -> tuple[str, ...]:
    """Causes that may be named in this role."""
    allowed = () if role is Role.BLOCKS else expected.allow
    return (*_by_role(expected)[role], *allowed, *expected.one_of, *expected.not_confirmed)


def _confidence(expected: Expected, found: Sequence[Named]) -> Iterator[str]:
    for code, confidence in expected.confidence.items():
        if {c.confidence for c in found if is_cause(c, code)} != {confidence}:
            yield f"{code}: expected {confidence.value}, found {_named(found, code)}"
    for cause in found:
        if cause.confidence is not Confidence.CONFIRMED:
            continue
        if _among(cause, expected.not_confirmed):
            yield f"{cause.code}: must not be confirmed, found {_said(cause)}"
        if expected.undetermined and cause.role is Role.BLOCKS:
            yield f"{cause.code}: the cause cannot be determined, found {_said(cause)}"


def _by_role(expected: Expected) -> dict[Role, tuple[str, ...]]:
    return {
        Role.BLOCKS: expected.blocks,
        Role.WORSENS: expected.worsens,
        Role.LATENT: expected.latent,
        Role.BENIGN: expected.benign,
    }


def _among(cause: Named, codes: Iterable[str]) -> bool:
    return any(is_cause(cause, code) for code in codes)


def _named(found: Sequence[Named], code: str) -> str:
    return ", ".join(_said(c) for c in found if is_cause(c, code)) or "nowhere"


def _said(cause: Named) -> str:
    return f"{cause.role.value} ({cause.confidence.value})"
