"""Take out what must not leave: tokens, keys, passwords, cookies, people, secrets in URLs, values of environments.

Secrets are found in the text as a reader takes it (`secrets.plain`), by shape, by name and by what they stand in, and each is
replaced where it stands in the original by a word that says of which kind it was. What is no secret stays byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit, urlunsplit

from diagnostics.evidence.secrets import named, people, shapes
from diagnostics.evidence.secrets.names import Says, says
from diagnostics.evidence.secrets.people import principal as principal
from diagnostics.evidence.secrets.plain import plain
from diagnostics.evidence.secrets.spans import BY_PROFILE as BY_PROFILE
from diagnostics.evidence.secrets.spans import GONE, fresh, mark, merged
from diagnostics.evidence.secrets.values import drawn, mixed, secret

_BODY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{12,}")
"""A part of a name, as names are divided, long enough to be a value."""
_WORD = re.compile(r"[^\s\"'`,;=&(){}\[\]<>|]+")
_WORD_AT_END = re.compile(rf"(?<!{_WORD.pattern[:-1]}){_WORD.pattern}\Z")
LONGEST_WORD = 80
"""Characters; what is longer is a path or a body, of which a part tells something, too."""
ROUNDS = 4
"""What was hidden behind a secret may show when that is gone; so often it is looked again."""
SHORTEST = 5
"""No secret is shorter together with what tells it."""


def redact(text: str, limit: int = 0) -> str:
    """The text without secrets and without names of people; cut to `limit` characters when that is not 0."""
    for _ in range(ROUNDS if len(text) >= SHORTEST else 0):
        cleaned = _once(text)
        if cleaned == text:
            break
        text = cleaned
    return text if not limit or len(text) <= limit else _cut(text, limit - 1) + "…"


def _cut(text: str, most: int) -> str:
    """So many characters at most, without a last word that goes on behind them: what a profile's patterns match is looked for later, and
    half of it matches no more. A text of one word, or with one that is very long, is cut within it."""
    kept = text[:most]
    begun = _WORD_AT_END.search(kept) if _WORD.match(text, most) else None
    whole = kept[: begun.start()] if begun else kept
    return whole if whole and most - len(whole) <= LONGEST_WORD else kept


def _once(text: str) -> str:
    read = plain(text)
    spans = fresh(read.text, [*shapes.find(read.text), *named.find(read.text), *people.find(read.text)])
    if not spans:
        return text
    parts, last = [], 0
    for span in merged(spans):
        start, end = read.original(span.start, span.end)
        parts += [text[last:start], span.instead]
        last = max(last, end)
    return "".join((*parts, text[last:]))


def redact_value(name: str, value: str, limit: int = 0) -> str:
    """The value of this name in a mapping: gone where the name says that it is a secret, else redacted as any text."""
    told, kind = says(name)
    by_name = secret(Says.SECRET if told is Says.HEADER else told, value)
    return mark(kind) if by_name else redact(value, limit)


def redact_name(name: str) -> str:
    """A name of a variable without what is drawn at random in it: somebody wrote the value where the name belongs."""
    return _BODY.sub(
        lambda part: mark("name") if mixed(part.group()) and drawn(part.group()) else part.group(), redact(name)
    )


def member(name: str) -> str:
    """An IAM member: "user:alice@example.com" becomes "user:person-1f0c"; service accounts, groups' domains and allUsers stay."""
    name, unique, uid = name.partition("?uid=")  # deleted:serviceAccount:…?uid=…
    kind, colon, email = name.rpartition(":")
    return f"{kind}{colon}{principal(email)}{unique}{uid}"


def hashed(value: str, salt: str) -> str:
    """Twelve hex characters that tell whether a value changed and nothing else about it."""
    return hashlib.sha256(f"{salt}\0{value}".encode()).hexdigest()[:12]


def endpoint(url: str) -> str:
    """An URL without user info, without the values of its query and without secrets in its path."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(
        f"{pair.partition('=')[0]}={GONE}" if "=" in pair else GONE for pair in parts.query.split("&") if pair
    )
    return redact(urlunsplit((parts.scheme, f"{GONE}@{host}" if "@" in parts.netloc else host, parts.path, query, "")))
