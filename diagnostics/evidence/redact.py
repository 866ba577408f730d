"""Take out what must not leave: tokens, keys, cookies, e-mail addresses of people, secrets in URLs, values of environments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

GONE = "[redacted]"
BY_PROFILE = "[redacted by profile]"
"""What stands for a match of a pattern that the profile names."""

_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
"""Looked for at the begin of a word only: an endless word would otherwise be read again from each of its letters."""
_SAYS = r"\\*+[\"']?+\s*+(?:[:=]{1,3}+>?+|%3[da])\s*+"
"""Between a name and its value, in headers, queries, JSON, JSON within JSON, Python and shells."""
_SHELL = r"(?!(?:(?:bearer|basic) )?\$(?:\(gcloud auth |(?-i:[A-Z]+(?:_[A-Z0-9]+)+)(?![\w$])))"
"""Not where a shell is told to fetch the value: a command line that shows how to ask by hand holds no secret."""
_NAMES = (
    r"[\w-]*(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|signature|"
    r"session[_-]?id)"
)
_SECRETS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), GONE),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), GONE),  # a JWT: header.payload.signature
    (re.compile(r"\bya29\.[\w.-]+"), GONE),  # a Google access token
    (re.compile(r"\b1//[\w-]{20,}"), GONE),  # a Google refresh token
    (re.compile(r"\bAIza[\w-]{30,}"), GONE),  # a Google API key
    (re.compile(r"\bGOCSPX-[\w-]+"), GONE),  # an OAuth client secret
    (
        re.compile(
            r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|[sr]k_live_\w{10,})"
        ),
        GONE,
    ),
    (
        re.compile(
            rf"(?i)\b((?:proxy-)?authorization|x-api-key|x-goog-api-key|(?:set-)?cookie)({_SAYS}[\"']?+){_SHELL}[^\r\n\"]+"
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/-]{8,}=*"), rf"\1 {GONE}"),
    (re.compile(rf"(?i)(?<![\w-])({_NAMES})({_SAYS})(\\*[\"']){_SHELL}.{{3,}}?(?=\3|$)"), rf"\1\2\3{GONE}"),  # quoted
    (re.compile(rf"(?i)(?<![\w-])({_NAMES})({_SAYS}){_SHELL}[^\s\"'&,;}}\\\[]{{3,}}"), rf"\1\2{GONE}"),
    (re.compile(r"((?<![\w+.-])[\w+.-]*://)[^\s/@:]+:[^\s/@]+@"), rf"\1{GONE}@"),  # user info in an URL
)
_NAMED = re.compile(rf"(?i){_NAMES}|(?:proxy-)?authorization|(?:set-)?cookie")
_PERHAPS = re.compile(
    r"[:=@]|%3|PRIVATE|eyJ|ya29|1//|AIza|GOCSPX|gh[pousr]_|github_pat|xox|AKIA|_live_|(?i:bearer|basic)"
)
"""What every secret and every e-mail address has some of: most texts have none and need no closer look."""


def redact(text: str, limit: int = 0) -> str:
    """The text without secrets and without names of people; cut to `limit` characters when that is not 0."""
    if _PERHAPS.search(text):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        text = _EMAIL.sub(lambda found: principal(found.group()), text)
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"


def names_secret(name: str) -> bool:
    """Whether what goes by this name is a secret: "password", "db-api-key", "Authorization"."""
    return bool(_NAMED.fullmatch(name))


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
