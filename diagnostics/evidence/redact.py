"""Take out what must not leave: tokens, keys, cookies, e-mail addresses of people, secrets in URLs, values of environments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

GONE = "[redacted]"

_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_SECRETS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), GONE),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), GONE),  # a JWT: header.payload.signature
    (re.compile(r"\bya29\.[\w.-]+"), GONE),  # a Google access token
    (re.compile(r"\b1//[\w-]{20,}"), GONE),  # a Google refresh token
    (re.compile(r"\bAIza[\w-]{30,}"), GONE),  # a Google API key
    (re.compile(r"\bGOCSPX-[\w-]+"), GONE),  # an OAuth client secret
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|x-goog-api-key|(?:set-)?cookie)(\"?\s*[:=]\s*\"?)[^\r\n\"]+"
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/-]{8,}=*"), rf"\1 {GONE}"),
    (
        re.compile(
            r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|credential|signature))(\"?'?\s*[:=]\s*\"?'?)[^\s\"'&,;}]{3,}"
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"(\b[a-z][\w+.-]*://)[^\s/@:]+:[^\s/@]+@"), rf"\1{GONE}@"),  # user info in an URL
)


def redact(text: str, limit: int = 0) -> str:
    """The text without secrets and without names of people; cut to `limit` characters when that is not 0."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    text = _EMAIL.sub(lambda found: principal(found.group()), text)
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"


def principal(email: str) -> str:
    """A service account as it is; a person as "person-" and four characters that are the same wherever this person occurs."""
    domain = email.rpartition("@")[2].lower()
    if "@" not in email or domain.endswith("gserviceaccount.com"):
        return email
    return f"person-{_digest(email.lower(), 4)}"


def member(name: str) -> str:
    """An IAM member: "user:alice@example.com" becomes "user:person-1f0c"; service accounts, groups' domains and allUsers stay."""
    name, unique, uid = name.partition("?uid=")  # deleted:serviceAccount:…?uid=…
    kind, colon, email = name.rpartition(":")
    return f"{kind}{colon}{principal(email)}{unique}{uid}"


def hashed(value: str, salt: str) -> str:
    """Twelve hex characters that tell whether a value changed and nothing else about it."""
    return _digest(f"{salt}\0{value}", 12)


def endpoint(url: str) -> str:
    """An URL without user info and without the values of its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(
        f"{pair.partition('=')[0]}={GONE}" if "=" in pair else GONE for pair in parts.query.split("&") if pair
    )
    return urlunsplit((parts.scheme, f"{GONE}@{host}" if "@" in parts.netloc else host, parts.path, query, ""))


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
