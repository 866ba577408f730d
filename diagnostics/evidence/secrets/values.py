"""What stands behind a name: a secret, a word that says there is none, a reference to where it is kept, or an id that may stay."""

from __future__ import annotations

import re
from itertools import pairwise

from diagnostics.evidence.secrets.names import Says
from diagnostics.evidence.secrets.spans import MARK

_OF_STATES = """
    none null nil undefined true false yes no on off empty unset missing required optional invalid valid expired revoked denied failed
    failure failing error errors ok success successful incorrect wrong mismatch mismatched unknown unsupported unavailable
    unauthorized unauthenticated forbidden rejected refused accepted available disabled enabled rotated created updated deleted
    changed verified unverified authenticated signed unsigned present absent found default defaults auto automatic automatically
    managed hidden masked redacted removed omitted str string bytes int bool float object any basic digest bearer oidc oauth oauth2
    mtls iam adc negotiate latest loaded loading leaked stored rotation refresh refreshed refreshing ready provided supplied given
    anonymous public insufficient exceeded exhausted limited deadline_exceeded permission_denied not_found malformed secret password
    token key verification authentication authorization validation check checked checks type value field name read write
"""
_STATES = frozenset(_OF_STATES.split())
"""What stands behind a name instead of a value."""
_OF_SENTENCES = """
    not is was has had been be being must should can cannot could may might will would shall and or but for from in of to by with
    without at as the a an this that these those it its are were if when while where which who what why how than then too very more
    most only also again still already never ever always bad good we you he she they please used using use let lacks lacked needs
    needed requires does did do done kept read sent set gone lost long short weak strong same different stale old new private saved
    pass fail
"""
_NONE = _STATES | frozenset(_OF_SENTENCES.split())
"""And with what a sentence goes on."""
_OF_STATEMENTS = """
    is was has had been be being must should can cannot could may might will would shall are were not does do did needs needed requires
    required missing invalid valid expired expected given set unset found wrong short long least most characters only used use see read
    kept stored saved held vault manager environment variable file config settings docs user users password passphrase secret token key
    keys credentials value field session login
"""
_OF_MESSAGES = frozenset(_OF_STATEMENTS.split())
"""Of which a sentence about a secret has one, or one about where it is."""
_LIKE_VERB = re.compile(r"[a-z]{3,}(?:ed|ing|able|ible)")
_TYPE = re.compile(r"(?:Optional|Union|list|List|dict|Dict|tuple|Tuple|Annotated|Secret\w*)\[")
_MASK = re.compile(r"[*xX.•●_#?…-]+")
_TOLD_ELSEWHERE = re.compile(
    r"\$\([^()]*\)?|\$\{[^{}]*\}?|\$[A-Z]+(?:_[A-Z0-9]+)*|\$\d|%\w{1,30}%|%(?:\(\w+\))?[sdrv]|\{\{?[\w .$-]*\}?\}|<[^<>]{0,60}>|\?|@\w+"
    r"|(?:projects|accounts)/[\w-]{1,60}/[\w/.-]*|[\w-]{1,80}:latest"
    r"|(?:/|\./|~/|\w:\\\\?|file:|gs:|https?:)(?=[\w/.:~-])(?:[\\/]*[A-Za-z][\w.:-]{0,24}(?=[\\/]|\Z))+"
)  # fmt: skip
"""A reference: to a variable, a command, a parameter, a version of a secret, a file."""
_PART = re.compile(
    r"\d{1,19}|[A-Za-z]?[a-z]{1,20}|[A-Z]{1,20}|[A-Za-z]?[a-z]{1,15}\d{1,4}|[A-Z]{1,4}\d{1,4}|\d{1,4}[a-z]{1,3}|(?:[A-Z][a-z]{1,15}){2,4}|[a-z]{1,15}(?:[A-Z][a-z]{1,15}){1,3}"
    r"|\d{8}T\d{4,6}Z?|\d{2}T\d{2}|[0-9a-f]{40}|[0-9a-f]{64}|\d{2}Z"
)
_NOT_DRAWN = re.compile(r"\s|^[\[({<]")
"""A sentence, a program, a pattern."""
_APART = re.compile(r"[-_.:/,@+ ]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE_LIKE = re.compile(r"(?:[a-z_]\w*\.)+[a-z_]\w*(?:\(.*)?|[a-z_]\w*\(.*", re.S)


def none_of(value: str, quoted: bool = False) -> bool:
    """Whether it says that there is no value, or where it is kept, rather than being one."""
    bare = value.strip().rstrip(".,;:!?)")
    if not bare or not any(c.isalnum() for c in bare) or _MASK.fullmatch(bare) or MARK.match(value.strip()):
        return True
    scheme = re.match(r"(?i)(?:bearer|basic|digest|token)[ \t]+", bare)
    if scheme:
        return none_of(bare[scheme.end() :], quoted) or bool(
            re.match(r"[a-z]+\b", bare[scheme.end() :]) and " " in bare[scheme.end() :]
        )
    first = re.match(r"[A-Za-z_']+", bare)
    if first and first.group().lower() in _NONE and (first.end() == len(bare) or bare[first.end()].isspace()):
        return not quoted or first.group().lower() in _STATES or (bare.count(" ") > 1 and _says_something(bare))
    if not quoted and (_TYPE.match(bare) or re.match(r"--[a-z]", bare)):
        return True
    return bool(_TOLD_ELSEWHERE.fullmatch(bare) or _TOLD_ELSEWHERE.fullmatch(value.strip()))


def _says_something(sentence: str) -> bool:
    """Whether it has a word by which a sentence says something of a secret, or where it is; a passphrase of some words has none."""
    return bool(_OF_MESSAGES.intersection(re.findall(r"[a-z]+", sentence.lower())))


def told_elsewhere(value: str) -> bool:
    return bool(_TOLD_ELSEWHERE.fullmatch(value))


def verb(value: str) -> bool:
    """A word that a sentence goes on with: "being", "stored", "readable"."""
    return bool(_LIKE_VERB.fullmatch(value.rstrip(".,;:!?")))


def code(value: str) -> bool:
    """An expression of a program: "credentials.token", "read_secret(name)"."""
    return bool(_CODE_LIKE.fullmatch(value))


def legible(value: str) -> bool:
    """Made of words, numbers, dates and hashes, as ids and names of things are; nothing drawn at random."""
    if _UUID.fullmatch(value):
        return True
    parts = [p for p in _APART.split(value) if p]
    return all(_PART.fullmatch(p) for p in parts) and len(value) <= 400


def drawn(value: str) -> bool:
    """Whether it looks drawn at random."""
    bare = value.rstrip("=.,;")
    return len(bare) >= 8 and not legible(bare) and not _NOT_DRAWN.search(bare)


def mixed(value: str) -> bool:
    """Letters and digits without anything that divides them into words: "hunter2", "x7Kq"."""
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def of_all_letters(body: str) -> bool:
    """Capitals, small letters and digits mixed, as drawing gives them: a name of a class has runs of small letters, a hash no capitals."""
    turns = sum(_class(a) != _class(b) for a, b in pairwise(body))
    kinds = {_class(c) for c in body}
    return {"a", "A", "0"} <= kinds and turns * 3 >= len(body)


def of_both_cases(body: str) -> bool:
    """Capitals and small letters that take turns as drawing gives them, half of the time; names of classes do so more seldom."""
    turns = sum(_class(a) != _class(b) for a, b in pairwise(body))
    return {"a", "A"} <= {_class(c) for c in body} and turns * 5 >= 2 * len(body)


def _class(letter: str) -> str:
    return "0" if letter.isdigit() else "A" if letter.isupper() else "a" if letter.islower() else "-"


def _one_word(value: str) -> bool:
    """Of a query: letters and digits in one, or a long word; names of things are divided."""
    if any(c in "+=" for c in value.rstrip("=")):
        return mixed(value)
    return _APART.search(value) is None and ((len(value) >= 5 and mixed(value)) or len(value) >= 16)


def secret(says: Says, value: str, query: bool = False, quoted: bool = False) -> bool:
    """Whether this value, behind a name that says so much, has to go."""
    if says is Says.NOTHING or none_of(value, quoted):
        return False
    if says is Says.PHONE:
        return sum(c.isdigit() for c in value) >= 7 and not any(
            c.isalpha() for c in value.replace("ext", "").replace("x", "")
        )
    if says is Says.CODE:
        return len(value) >= 4 and any(c.isdigit() for c in value)
    if says is Says.PERHAPS:
        return drawn(value) or (query and _one_word(value))
    return len(value) >= 3 and not (value.isdigit() and len(value) < 4)
