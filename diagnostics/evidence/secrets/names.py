"""What a name tells of its value: "DB_PASS", "x-api-key" and "clientSecret" a secret; "token_url" and "ordering_key" nothing."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache


class Says(Enum):
    SECRET = "secret"  # noqa: S105
    """Whatever stands there is a secret, unless it says that there is none."""
    CODE = "code"
    """A short code, of digits alone perhaps: a one-time password, a PIN."""
    PERHAPS = "perhaps"
    """A secret if it looks drawn at random; an id or a word is none."""
    HEADER = "header"
    """A header whose whole value is one: Authorization, Cookie."""
    PHONE = "phone"
    """The number of somebody's telephone."""
    NOTHING = "nothing"


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_KINDS: dict[str, str] = {
    **dict.fromkeys(
        ("password", "passwd", "passphrase", "passcode", "pwd", "pass", "pw", "passwort", "kennwort", "senha", "userpass"),
        "password",
    ),
    **dict.fromkeys(("secret", "credential", "cred", "creds", "dsn", "sas", "assertion", "samlresponse", "samlrequest"), "secret"),
    **dict.fromkeys(("token", "jwt", "bearer", "pat", "csrf", "xsrf"), "token"),
    **dict.fromkeys(("signature", "sig", "hmac"), "signature"),
    **dict.fromkeys(("apikey", "secretkey", "accesskey", "privatekey", "accountkey", "authkey", "sharedkey", "masterkey"), "key"),
    **dict.fromkeys(("session", "sid", "sessionid", "jsessionid", "phpsessid", "cookie"), "session"),
    **dict.fromkeys(("otp", "pin", "cvv", "cvc", "totp", "mfa"), "one-time code"),
    **dict.fromkeys(("key", "license", "licence"), "key"),
    **dict.fromkeys(("auth", "code", "ticket", "nonce"), "secret"),
}  # fmt: skip
_PLURAL = {"passwords": "password", "secrets": "secret", "tokens": "token", "credentials": "credential", "cookies": "cookie",
           "signatures": "signature", "keys": "key", "apikeys": "apikey"}  # fmt: skip
_SURE = frozenset(
    {"password", "passwd", "passphrase", "passcode", "pwd", "pass", "passwort", "kennwort", "senha", "userpass", "secret", "credential",
     "token", "jwt", "csrf", "xsrf", "signature", "apikey", "secretkey", "accesskey", "privatekey", "accountkey",
      "authkey", "sharedkey", "masterkey",
     "sessionid", "jsessionid", "phpsessid", "assertion", "samlresponse", "samlrequest", "creds"}
)  # fmt: skip
_KEYS = frozenset(
    {"api", "access", "private", "secret", "signing", "encryption", "encrypt", "master", "shared", "account", "license", "licence",
     "webhook", "consumer", "subscription", "storage", "hmac", "aes", "rsa", "ssh", "gpg", "pgp", "deploy", "cipher", "authentication",
     "functions", "vault", "unseal", "root", "recovery", "integration", "app", "application"}
)  # fmt: skip
"""Before "key", what makes it a secret."""
_NO_KEYS = frozenset(
    {"ordering", "order", "partition", "cache", "primary", "foreign", "sort", "public", "row", "object", "dedup", "deduplication",
     "idempotency", "routing", "message", "group", "shard", "sharding", "merge", "join", "composite", "unique", "lookup", "index",
     "business", "range", "item", "batch", "player", "feature", "map", "dict", "config", "lock", "metric", "label", "tag", "error",
     "missing", "duplicate", "unknown", "invalid", "attribute", "crypto", "kms", "document", "entity", "datastore", "natural", "hash"}
)  # fmt: skip
_ABOUT = frozenset(
    {"id", "ids", "name", "names", "file", "path", "paths", "dir", "type", "types", "url", "uri", "urls", "endpoint", "host", "count",
     "counts", "length", "len", "size", "ttl", "expiry", "expires", "expiration", "age", "version", "versions", "status", "state",
     "policy", "format", "provider", "issuer", "scope", "scopes", "audience", "algorithm", "alg", "created", "updated", "valid",
     "required", "enabled", "disabled", "changed", "set", "field", "fields", "prefix", "suffix", "manager", "service", "store",
     "handler", "class", "hint", "limit", "max", "min", "rotation", "location", "ref", "reference", "resource", "usage", "bucket",
     "budget", "rate", "error", "errors", "failed", "failure", "failures", "method", "mode", "source", "kind", "user", "email",
     "reset", "resets", "refresh", "request", "requests", "cost", "stdin", "authentication", "at", "in", "seconds", "ms", "rotated",
     "encoding", "owner", "creator", "accessor", "minter", "server", "client", "verifier", "validator", "builder", "index", "day",
     "input", "output", "total", "exists", "present", "missing", "expired", "invalid", "account", "project", "env", "checker"}
)  # fmt: skip
"""What comes last in names that tell something about a secret and not the secret."""
_BESIDE = frozenset(
    {"value", "values", "text", "plain", "raw", "base64", "b64", "encoded", "old", "new", "current", "previous", "prod", "production",
     "dev", "staging", "test", "default", "str", "string", "header", "secondary", "data", "live", "prd", "stg", "v", "sha", "hash",
     "parameter", "param", "confirm", "confirmation", "again", "pem", "json", "bytes", "content"}
)  # fmt: skip
"""What may come after the word that counts."""
_PHONES = frozenset(
    {"phone", "telephone", "tel", "mobile", "msisdn", "whatsapp", "fax", "cellphone", "phonenumber", "sms"}
)
_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "http_authorization", "http_cookie"}
)
_GLUED = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "sessionid",
    "authkey",
)
_BEFORE_PASS = frozenset(
    {"db", "user", "my", "smtp", "root", "admin", "pg", "mysql", "redis", "mail", "ftp", "ldap", "proxy", "key", "store", "db2", "ssh"}
)  # fmt: skip


def words_of(name: str) -> list[str]:
    """The words of a name, however they are joined."""
    return [w.lower() for w in _WORD.findall(name)]


@lru_cache(maxsize=8192)
def says(name: str) -> tuple[Says, str]:
    """What the name tells of its value, and what kind of secret that would be."""
    low = name.strip().lower()
    if low in _HEADERS:
        return Says.HEADER, "session" if "cookie" in low else "authorization"
    if low.replace("_", "").replace("-", "").replace(" ", "") in ("connectionstring", "dburl", "databaseurl"):
        return Says.NOTHING, ""
    said = words_of(name)
    if said[-1:] == ["secrets"] and len(said) > 1 and said[-2] in ("set", "update", "remove", "clear", "list"):
        return Says.NOTHING, ""
    if "saml" in said and said[-1] in ("response", "request"):
        return Says.SECRET, "secret"
    words = [_single(w) for w in said]
    if not words:
        return Says.NOTHING, ""
    if _PHONES & set(words) and (words[-1] in _PHONES or words[-1] in ("number", "no", "nr")):
        return Says.PHONE, "phone number"
    if words[-1] == "id" and len(words) > 1 and words[-2] in ("session", "sess"):
        return Says.SECRET, "session"
    while len(words) > 1 and (words[-1] in _BESIDE or words[-1].isdigit()):
        words.pop()
    return _last(words, name)


def _last(words: list[str], name: str) -> tuple[Says, str]:
    last = words[-1]
    if last in _ABOUT:
        return Says.NOTHING, ""
    kind = _KINDS.get(last, "")
    if not kind:
        return Says.NOTHING, ""
    if last == "key":
        return _key(words[:-1])
    if kind == "one-time code":
        return Says.CODE, kind
    if last == "code" and set(words[:-1]) & {
        "verification",
        "mfa",
        "otp",
        "auth",
        "authorization",
        "pass",
        "login",
        "security",
        "2fa",
    }:
        return Says.CODE, "one-time code"
    if last == "code" and len(words) > 1:
        return Says.NOTHING, ""
    if last == "token" and set(words[:-1]) & {
        "page",
        "max",
        "min",
        "total",
        "prompt",
        "completion",
        "unexpected",
        "stop",
        "cancellation",
    }:
        return Says.PERHAPS, kind
    if name.lower().endswith("tokens"):
        return Says.PERHAPS, kind
    return (Says.SECRET if last in _SURE else Says.PERHAPS), kind


def _key(before: list[str]) -> tuple[Says, str]:
    if before and before[-1] in _NO_KEYS:
        return Says.NOTHING, ""
    return (Says.SECRET if before and before[-1] in _KEYS else Says.PERHAPS), "key"


def _single(word: str) -> str:
    word = _PLURAL.get(word, word)
    if word in _KINDS:
        return word
    for tail in _GLUED:
        if word.endswith(tail):
            return tail
    for tail in ("pass", "pw", "pwd"):
        if word.endswith(tail) and word.removesuffix(tail) in _BEFORE_PASS:
            return "pass"
    return "signature" if word == "xgoogsignature" else word
