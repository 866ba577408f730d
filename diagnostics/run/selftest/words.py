"""What may be said of a text: its form, and those of its words that stand in a list of ours. Everything else stays here.

The list is the whole rule: a word that it lacks never gets out, whoever wrote it and wherever it stood. What is not in it is shown
as "…", with a tag that is the same for the same text in one file and differs in the next.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

VOCABULARY = frozenset(Path(__file__).with_name("vocabulary.txt").read_text(encoding="utf-8").split())
"""Words of Google's own sentences, names of fields and constants, and plain English. No name of anybody or anything private."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_QUOTED = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]")
_API = re.compile(r"(?:https?://)?([a-z0-9]+(?:\.[a-z0-9]+)*\.)?googleapis\.com\b")
_SHORT_NUMBER = 3
"""Numbers of so many digits are status codes and sizes; longer ones may be ids."""
COLLECTIONS = frozenset(
    {
        "projects", "topics", "subscriptions", "snapshots", "locations", "services", "revisions", "serviceAccounts", "namespaces",
        "organizations", "folders", "roles", "keys", "logs", "traces", "buckets", "views", "jobs", "executions", "operations",
        "metricDescriptors", "schemas", "keyRings", "cryptoKeys", "instances", "functions", "workerpools", "workerPools",
    }
)  # fmt: skip
AGENT = re.compile(
    r"service-\d+@(?:gcp-sa-[a-z-]+|serverless-robot-prod|gcf-admin-robot|containerregistry)\.iam\.gserviceaccount\.com"
)


class Words:
    """What may be said in one file. `names` are those of this pipeline: they never get out, though the list may hold them."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._salt = secrets.token_hex(16)
        self.names = frozenset(name.lower() for name in names if len(name) > 2)

    def tag(self, text: str) -> str:
        """Six characters that tell two texts of one file apart, and nothing else."""
        return "#" + hashlib.sha256(f"{self._salt}\0{text}".encode()).hexdigest()[:6]

    def known(self, word: str) -> bool:
        """Whether one word stands in the list."""
        if word.isdigit():
            return len(word) <= _SHORT_NUMBER
        return word.lower() in VOCABULARY and word.lower() not in self.names

    def name(self, text: str) -> str:
        """An identifier, such as a label's or a method's: whole if it is made of known words, else what is known of it and a tag."""
        if text.lower() in self.names:
            return f"…{self.tag(text)}"
        whole = True
        parts = []
        last = 0
        for found in WORD.finditer(text):
            between = text[last : found.start()]
            whole = whole and re.fullmatch(r"[._/:@ -]*", between) is not None
            parts.append(re.sub(r"[^._/:@ -]+", "…", between))
            known = self.known(found[0])
            whole = whole and known
            parts.append(found[0] if known else "…")
            last = found.end()
        rest = text[last:]
        whole = whole and re.fullmatch(r"[._/:@ -]*", rest) is not None
        shown = re.sub(r"…+", "…", "".join(parts) + re.sub(r"[^._/:@ -]+", "…", rest))
        return shown[:80] if whole and len(text) <= 80 else f"{shown[:60]}{self.tag(text)}"

    def sentence(self, text: str, limit: int = 400) -> str:
        """A sentence of Google's with its known words; names, numbers, addresses and all that is quoted become "…"."""
        plain = _QUOTED.sub(lambda m: f"{m[0][0]}…{m[0][-1]}", text)
        said = " ".join(self._token(token) for token in plain.split())
        said = re.sub(r"…(?: …)+", "…", said)
        return said if len(said) <= limit else said[: limit - 1] + "…"

    def _token(self, token: str) -> str:
        head, core, tail = re.fullmatch(r"([(\[{<\"'`]*)(.*?)([)\]}>\"'`.,;:!?]*)", token, re.S).groups()  # type: ignore[union-attr]
        if not core or core == "…":
            return f"{head}{core}{tail}"
        if api := _API.match(core):
            part = (api[1] or "").rstrip(".")
            return (
                f"{head}{part if not part or self._all_known(part) else '…'}{'.' if part else ''}googleapis.com{tail}"
            )
        if "=" in core:
            key = core.partition("=")[0]
            return f"{head}{self.name(key) if self._all_known(key) else '…'}=…{tail}"
        if re.fullmatch(r"[A-Za-z]+(?:'s|n't)?", core):
            word = re.sub(r"(?:'s|n't)$", "", core)
            return token if self.known(word) else f"{head}…{tail}"
        if re.fullmatch(r"[A-Z]+(?:_[A-Z]+)+|[a-z]+(?:[._][A-Za-z]+)+|roles/[a-z]+\.[a-zA-Z.]+", core):
            return token if self._all_known(core) and core.lower() not in self.names else f"{head}…{tail}"
        if core.isdigit() and self.known(core):
            return token
        return f"{head}…{tail}"

    def _all_known(self, text: str) -> bool:
        return all(self.known(word) for word in WORD.findall(text)) and re.fullmatch(r"[\w./-]*", text) is not None


def form(text: str) -> str:
    """What a text looks like, in words of ours only."""
    if not text:
        return "empty"
    if text.startswith(("http://", "https://")):
        return address(text)
    if "@sha256:" in text:
        return "image by its digest"
    if re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        return account(text)
    if text.startswith("//") and ".googleapis.com/" in text:
        return "full resource name"
    if "/" in text and text.split("/")[0] in COLLECTIONS:
        return "/".join(part if part in COLLECTIONS and n % 2 == 0 else "*" for n, part in enumerate(text.split("/")))
    return next((name for name, pattern in _FORMS if pattern.fullmatch(text)), "text")


_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("number", re.compile(r"-?\d+(?:\.\d+)?")),
    ("protocol", re.compile(r"HTTP/\d(?:\.\d)?")),
    ("moment", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")),
    ("IP address", re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}")),
    ("UUID", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("hexadecimal", re.compile(r"[0-9a-f]{8,}")),
    ("JSON", re.compile(r"\s*[{\[].*", re.S)),
    ("path", re.compile(r"/\S*")),
    ("word", re.compile(r"[\w.%+-]+")),
)


def address(url: str) -> str:
    """What kind of address pushes go to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "not an URL"
    more = [f"{len([p for p in parts.path.split('/') if p])} parts of path"]
    more += ["a query"] if parts.query else []
    more += ["a port"] if re.search(r":\d+$", parts.netloc) else []
    more += ["user info"] if "@" in parts.netloc else []
    return f"{parts.scheme} URL of {host_kind(host)}, {', '.join(more)}"


def host_kind(host: str) -> str:
    """What kind of receiver a host name is of."""
    tagged = " of a tag" if "---" in host else ""
    if re.fullmatch(r"[a-z0-9-]+-\d{6,}\.[a-z]+-[a-z]+\d+\.run\.app", host):
        return f"Cloud Run by project number{tagged}"
    if found := re.fullmatch(r"[a-z0-9-]+-[a-z0-9]+-([a-z]{2})\.a\.run\.app", host):
        return f"Cloud Run by hash, region code {found[1]}{tagged}"
    for suffix, kind in _HOSTS:
        if host == suffix.lstrip(".") or host.endswith(suffix):
            return kind
    return "another host"


_HOSTS = (
    (".global.run.app", "Cloud Run in several regions"),
    (".run.app", "Cloud Run in a form that is not known"),
    (".cloudfunctions.net", "a function"),
    (".appspot.com", "App Engine"),
    (".googleapis.com", "an API of Google's"),
)


def account(email: str) -> str:
    """Whose account it is, as far as its name tells."""
    domain = email.rpartition("@")[2]
    if AGENT.fullmatch(email):
        return "agent of Google's"
    if domain in ("developer.gserviceaccount.com", "appspot.gserviceaccount.com"):
        return "default service account"
    if domain.endswith(".iam.gserviceaccount.com"):
        return "service account"
    return "another account of Google's" if domain.endswith("gserviceaccount.com") else "person or group"


MEMBERS = frozenset(
    {
        "user", "group", "serviceAccount", "domain", "allUsers", "allAuthenticatedUsers", "projectOwner", "projectEditor",
        "projectViewer", "principal", "principalSet", "deleted",
    }
)  # fmt: skip


def member(name: str) -> str:
    """What kind of member a policy names; "unknown" for one that we know no kind of."""
    kind, _, rest = name.partition(":")
    if kind not in MEMBERS:
        return "unknown"
    if kind == "serviceAccount":
        return f"serviceAccount: {account(rest)}"
    return f"deleted: {rest.partition(':')[0]}" if kind == "deleted" and rest.partition(":")[0] in MEMBERS else kind


def role(name: str, words: Words) -> str:
    """A role of Google's by its name, a role of the user's own by where it is kept."""
    if name.startswith("projects/"):
        return "custom role of a project"
    if name.startswith("organizations/"):
        return "custom role of an organization"
    return words.name(name) if name.startswith("roles/") else "unknown"
