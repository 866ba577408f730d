"""Secrets that are told by the name they go by, in whatever form name and value stand beside each other.

JSON and JSON within JSON, Python, YAML, logfmt, shells, queries of URLs, form bodies, headers, XML, SQL, connection strings,
command lines, dumps of environments, the files of netrc, Docker and Kubernetes, and prose.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from diagnostics.evidence.secrets.names import Says, says
from diagnostics.evidence.secrets.spans import GONE, Span, mark
from diagnostics.evidence.secrets.values import (
    code,
    drawn,
    legible,
    mixed,
    none_of,
    of_all_letters,
    secret,
    told_elsewhere,
    verb,
)

_OF_NAMES = """
    pass pwd secret token key auth cred cookie session jwt hmac code licens licenc kennwort senha saml assertion signature bearer
    phone mobile msisdn whatsapp ticket csrf xsrf sas= sas" dsn= dsn" dsn: pw= pw: pw" pw' sig= sig: sig" sig' sid= sid: sid" sid' otp
    pin= pin: pin" pin' cvv cvc pat= pat: pat" tel= tel: tel" fax sms nonce= state= hash= &h= ?h= ?t= &t= ?k= &k= ?s= &s= ?st= &st=
"""
_NAMES = (*_OF_NAMES.split(), "pin ", "tel ")
"""A name that tells of a secret has one of them; most texts have none and need no closer look."""
_ELSEWHERE = (
    "credential",
    "sign-in",
    "bearer",
    "basic",
    "ssws",
    "splunk",
    "token token",
    "apikey",
    "login",
    "identified",
    "password",
    "code",
    "pin",
    "kind",
    "auth",
)
_NAME = re.compile(
    r"(?<![A-Za-z0-9_.])((?:(?i:api|access|private|secret|signing|encryption|master|shared|account|license|webhook|verification|auth|security|"
    r"login|session|phone|client|one-time|subscription)[ ](?=(?i:keys?|tokens?|code|id|password|number|secret|signature|credentials)"
    r"(?![\w.-])))?[A-Za-z_](?:[\w.-]{0,80}\w)?)"
)
_IS = re.compile(r"\\*+[\"'`]?[\])]?[ \t]*(?:=>|:=|!={1,2}|={1,3}|::?(?!//)|->)[ \t]*")
_SAYS = re.compile(
    r"[ \t]+(?:for [\w.@-]{1,60}[ \t]+)?(?:is|was|are|equals|set to)[ \t]*:?[ \t]+|[ \t]+for [\w.@-]{1,60}[ \t]*[:=][ \t]*"
)
_LISTED = re.compile(r"\\*[\"']\)?,[ \t]*[bru]{0,2}(?=\\*[\"'])")
_TAG = re.compile(r"(?:[ \t][^<>\r\n]{0,120})?>(?=[^<\s])")
_NEXT = re.compile(r"[ \t]+")
_QUOTE = re.compile(
    r"(?:[A-Za-z]*(?:Secret|Str|secret|str|repr|b64\w*)\w{0,20}\(|[bBrRuUfF]{1,2}(?=[\"']))?(\\*[\"'`])"
)
_BARE = re.compile(
    r"(?:[^\s\"'`,;&)\]}\\<]|[,;&)\]}](?![\s\"'\])},;]|\Z|[\w.-]{1,40}+[ \t]*[=:])|\\(?![nrtu\"'\\])|<(?![/\w][^<>]{0,60}>))+"
)
_IN_QUERY = re.compile(r"[^\s\"'&#<>\\`]+")
_IN_TAG = re.compile(r"[^<\r\n]+")
_BLOCK = re.compile(r"[|>][+-]?[ \t]*\r?\n((?:([ \t]+)[^\r\n]*)(?:\r?\n\2[^\r\n]*)*)")
_STRINGS = re.compile(r"(\\*[\"'])([^\"'\\]{3,400})\1")
_OR = re.compile(r"[ \t]+(?:or|\|\||\?\?)[ \t]+")
_DIGITS = re.compile(r"[\d ()+./-]{7,25}")
_MOUNTS = re.compile(r"secrets[= ][\w,:=-]*\Z")
_LINE = re.compile(r"[^\r\n]+")
_TO_QUOTE = re.compile(r"[^\r\n\"'\\]+")
_ASSIGNED = re.compile(
    r"(?i)([\"']?)\b(?:name|key)\1[ \t]*[:=][ \t]*(\\*[\"']?)([\w.-]{2,80})\2[ \t,;\r\n-]{1,40}([\"']?)\bvalue\4[ \t]*[:=][ \t]*"
)
_ASSIGNED_AFTER = re.compile(
    r"(?i)([\"']?)\bvalue\1[ \t]*[:=][ \t]*(\\*[\"'])([^\"'\\]{3,400})\2"
    r"[ \t,;\r\n-]{1,40}([\"']?)\b(?:name|key)\4[ \t]*[:=][ \t]*(\\*[\"']?)([\w.-]{2,80})\5"
)
_SCHEME = re.compile(
    r"(?i)(?<![\w-])(bearer|basic|ssws|splunk|token token=|apikey)(?:[ \t]+|(?<==))(\\*[\"']?)([\w.~+/:-]{8,}=*)"
)
_USER_INFO = re.compile(
    r"(?<=://)([^\s/@:\"'<>]*+):(?!\d{1,5}(?:/|\Z))([^\s\"'<>@]{1,300}+@(?:[^\s/\"'<>@]{0,100}+@){0,3})"
)
_USER_ONLY = re.compile(r"(?<=://)[^\s/@:\"'<>]{12,200}+(?=@)")
_ORACLE = re.compile(r"(?<=thin:)[\w.$#-]{1,64}/([^\s@\"']+)(?=@)")
_ORACLE_PROGRAM = re.compile(
    r"(?im)(?:\b(?:sqlplus|sqlldr|expdp|impdp|rman)\b[^\r\n|;&/@]{0,100}?[ \t=]|\bconnect\(|^[ \t]*(conn(?:ect)?)[ \t]+)[\"']?"
    r"[\w.$#]{1,64}/([^\s@\"'/]{3,100})@[\w./:]"
)
"""User, password and database as programs of Oracle take them; elsewhere it is a path and a version."""
_PAIR_OF_USER = re.compile(r"auth=\((\\*[\"'])([^\"'\\]{0,100})\1,[ \t]*(\\*[\"'])([^\r\n]{3,200}?)\3\)")
_USER_OPTION = re.compile(r"(?<![\w-])(?:-u|--user|--proxy-user)[ =]?[ \t]*([\"']?)([\w.@-]{1,64}):([^\s\"']{3,})")
_PROGRAM = re.compile(
    r"\b(?:mysql\w*|mariadb\w*|sshpass|docker|podman|nerdctl|helm|mongo\w*|redis-cli|sqlcmd|twine)\b"
    r"[^\r\n|;&]{0,200}?[ \t](?:-p|-a|-P|--pass)(?![\w-]*=)[ \t]*([\"']?)([^\s\"'-][^\s\"']*)"
)
_PORTS = re.compile(r"[\d.]+(?::\d+)*(?:/\w+)?")
_GLUED = re.compile(r"(?<![\w-])-p([^\s\"'=:/]{6,64})(?!\S)")
_PASS_IN = re.compile(r"\bpass:([^\s\"']{3,})")
_NETRC = re.compile(r"\blogin\s+\S{1,100}\s+password\s+(\S{1,200})")
_SQL = re.compile(
    r"(?i)\b(?:identified\s+(?:with\s+\w+\s+)?(?:by|as)|password)[ \t]+(\\*[\"'])((?:[^\"'\r\n]|\1\1){3,200})\1"
)
_CODE_SENT = re.compile(
    r"(?i)\b(?:verification|one-time|security|access|login|sign-in|auth(?:entication)?|2fa|mfa|totp|otp)"
    r"[ -](?:pass)?(?:code|pin)[ \t]*(?:is|:|=)?[ \t]*(\d{4,8})\b"
)
_SIGN_IN = re.compile(
    r"(?i)\b(?:basic[ -]auth|credentials?|login|sign-in)[ \t]*(?:for|as|with)?[ \t]*[:=]?[ \t]*[\w.@-]{1,64}(?::| ?/ ?)([^\s:/\"',]{5,})"
)
_AT_HOST = re.compile(r"(?<![\w:/.-])[\w.-]{1,64}:([^\s:@/\"']{5,100})@(?!sha256)[A-Za-z][\w.-]*")
_ENTRY = re.compile(r"(?<![\w.$])([A-Z][A-Z0-9_]{1,60}+)(?=\\*[\"']?[ \t]{0,2}[:=])")
_OF_SYSTEM = frozenset(
    {"HOME", "PATH", "PORT", "PWD", "LANG", "HOSTNAME", "SHLVL", "USER", "TERM", "SHELL", "TZ", "LOGNAME", "OLDPWD", "LC_ALL", "LC_CTYPE",
     "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "PYTHONPATH", "PYTHON_VERSION", "PYTHONUNBUFFERED", "NODE_ENV", "NODE_VERSION",
     "CLOUD_RUN_JOB", "CLOUD_RUN_EXECUTION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT",
     "VIRTUAL_ENV"}
)  # fmt: skip
"""Names that every environment has, whose values are nobody's secret."""
_KUBERNETES = re.compile(r"(?m)^[ \t]+[\w.-]{1,100}:[ \t]+([A-Za-z0-9+/]{8,}={0,2})[ \t]*\r?$")
_PASSWORD_WORDS = frozenset({"password", "passwd", "pwd", "passphrase", "passcode", "kennwort", "passwort"})


def find(text: str) -> Iterator[Span]:
    """Every value in a plain text that has to go for what it is called, or for where it stands."""
    low = text.lower()
    if "://" in text or "thin:" in text:
        yield from _addresses(text)
    if "-" in text or "pass:" in text or "auth=(" in text or ("@" in text and "/" in text):
        yield from _commands(text)
    if "value" in low or "PATH" in text or "HOME" in text:
        yield from _entries(text)
    if any(hint in low for hint in _NAMES) or ("://" in text and "=" in text):
        yield from _by_name(text)
    if any(word in low for word in _ELSEWHERE):
        yield from _elsewhere(text)


def _by_name(text: str) -> Iterator[Span]:
    at = 0
    while named := _NAME.search(text, at):
        at = named.end()
        told, kind = says(named[1])
        if told is Says.NOTHING:
            if span := _parameter(text, named):
                yield Span(*span, GONE)
                at = max(at, span[1])
            continue
        if span := _value(text, named, told):
            yield Span(*span, mark(kind))
            at = max(at, span[1])


def _parameter(text: str, named: re.Match[str]) -> tuple[int, int] | None:
    """A parameter of an URL whose name tells nothing and whose value is drawn at random all the same."""
    start, end = named.span(1)
    if text[start - 1 : start] not in ("?", "&") or text[end : end + 1] != "=":
        return None
    value = _IN_QUERY.match(text, end + 1)
    if not value:
        return None
    handed_over = named[1].lower() in ("state", "h", "hash", "t", "st", "k", "s") and len(value.group()) >= 12
    return value.span() if (handed_over and drawn(value.group())) or _body(value.group()) else None


def _body(value: str) -> bool:
    return len(value) >= 32 and of_all_letters(value)


def _value(text: str, named: re.Match[str], told: Says) -> tuple[int, int] | None:
    """Where the value of this name stands, if there is one and it has to go."""
    start, end = named.span(1)
    before = text[start - 1 : start]
    if is_ := _IS.match(text, end):
        return _stated(text, is_.end(), told, named, "=" if "=" in is_.group() else ":")
    if before in ("<", ":") and (tag := _TAG.match(text, end)):
        return _if(text, _IN_TAG.match(text, tag.end()), told)
    if told is Says.HEADER:
        return None
    if said := _SAYS.match(text, end):
        return _in_prose(text, said.end(), told)
    flag = text[max(0, start - 2) : start].endswith("-") and not text[max(0, start - 3) : start][:1].isalnum()
    if listed := _LISTED.match(text, end):
        return _listed(text, listed.end(), told, flag)
    if following := _NEXT.match(text, end):
        return _following(text, following.end(), named, told, flag)
    return None


def _stated(text: str, at: int, told: Says, named: re.Match[str], sign: str) -> tuple[int, int] | None:
    """Behind a sign that says "this is it"."""
    if told is Says.HEADER:
        return _header(text, at, text[named.start(1) - 1 : named.start(1)])
    if sign == "=" and text[named.start(1) - 1 : named.start(1)] in ("?", "&"):
        return _if(text, _IN_QUERY.match(text, at), told, query=True)
    if block := _BLOCK.match(text, at):
        return block.span(1) if told is Says.SECRET else None
    if quote := _QUOTE.match(text, at):
        return _quoted(text, quote, told)
    if text[at : at + 1] in ("[", "("):
        return _several(text, at, told)
    bare = _BARE.match(text, at)
    if bare and named[1] == "secret" and text[named.start(1) - 2 : named.start(1)] == "--" and legible(bare.group()):
        return None  # gcloud names a secret so, not its value
    if bare and sign == "=" and text[at - 1] == " " and code(bare.group()):
        return None
    if bare and told is Says.PHONE:
        bare = _DIGITS.match(text, at)
    if bare and named[1].lower().endswith("passphrase") and not none_of(bare.group()):
        bare = _TO_QUOTE.match(text, at)
    if bare and text[at - 4 : at].rstrip().endswith(("==", "!=")) and re.fullmatch(r"[A-Za-z_.]+:?", bare.group()):
        return None  # a program compares
    if (
        bare
        and re.fullmatch(r"[\w-]+:(?:\d+|latest)", bare.group())
        and _MOUNTS.search(text, max(0, named.start(1) - 200), named.start(1))
    ):
        return None
    if bare and told_elsewhere(_line_of(text, at)):
        return None
    if bare and none_of(bare.group()) and (other := _OR.match(text, bare.end())):
        return _stated(text, other.end(), told, named, ":")
    return _if(text, bare, told)


def _line_of(text: str, at: int) -> str:
    line = _LINE.match(text, at, at + 120)
    return line.group().strip() if line else ""


def _several(text: str, at: int, told: Says) -> tuple[int, int] | None:
    """A list of secrets: from the first to the last of its strings."""
    end = text.find("]" if text[at] == "[" else ")", at, at + 4000)
    strings = [s for s in _STRINGS.finditer(text, at, end if end > 0 else at) if secret(told, s[2])]
    return (strings[0].start(2), strings[-1].end(2)) if strings else None


def _header(text: str, at: int, before: str) -> tuple[int, int] | None:
    quote = _QUOTE.match(text, at)
    if quote:
        start, end = quote.end(), _closing(text, quote)
    else:
        whole = re.match(r"(?i)(?:digest|aws4|signature|oauth) ?", text[at : at + 12])
        stops = before in ("'", '"', "`") or not whole
        line = (_TO_QUOTE if stops else _LINE).match(text, at)
        if not line:
            return None
        start, end = line.span()
    value = text[start:end]
    scheme = re.match(r"(?i)(?:bearer|basic|token|digest|ssws|splunk|apikey)[ \t]+", value)
    rest = value[scheme.end() :] if scheme else value
    if (
        none_of(rest)
        or re.fullmatch(r"[a-z]+(?: [a-z]+)+", rest.strip())
        or rest.startswith("$(gcloud auth")
        or not rest.strip()
        or (none_of(value) and not scheme)
    ):
        return None
    return start, start + len(value.rstrip())


def _quoted(text: str, quote: re.Match[str], told: Says) -> tuple[int, int] | None:
    start, end = quote.end(), _closing(text, quote)
    value = text[start:end]
    return (start, end) if secret(told, value, quoted=True) and not value.startswith("$(gcloud auth") else None


def _closing(text: str, quote: re.Match[str]) -> int:
    """Where the same quotation mark comes again, with as many backslashes before it; else where the line ends. Doubled, as SQL and YAML
    write one within a text, it does not end it."""
    token, at = quote[1], quote.end()
    while (found := text.find(token, at)) >= 0:
        twice = found > quote.end() and text.startswith(token, found + len(token)) and len(token) == 1
        if not twice and (text[found - 1] != "\\" or found == quote.end()):
            return found
        at = found + (2 if twice else 1)
    line = _LINE.match(text, quote.end())
    return line.end() if line else quote.end()


def _if(text: str, found: re.Match[str] | None, told: Says, query: bool = False) -> tuple[int, int] | None:
    """The match without the punctuation of the sentence around it, if it is a secret."""
    if not found:
        return None
    start, end = found.span()
    while end > start and text[end - 1] in ".,;:!?)]}" and not text[start:end].startswith(("$(", "${", "{{")):
        end -= 1
    return (start, end) if secret(told, text[start:end], query) else None


def _in_prose(text: str, at: int, told: Says) -> tuple[int, int] | None:
    """Behind "is"."""
    if quote := _QUOTE.match(text, at):
        return _quoted(text, quote, told)
    bare = _BARE.match(text, at)
    return None if bare and verb(bare.group()) else _if(text, bare, told)


def _listed(text: str, at: int, told: Says, flag: bool) -> tuple[int, int] | None:
    """The next string of a list or a call: a value, or the next of some names."""
    quote = _QUOTE.match(text, at)
    span = _quoted(text, quote, told) if quote else None
    if not span:
        return None
    value = text[slice(*span)]
    return span if flag or (len(value) >= 6 and not re.fullmatch(r"[A-Za-z_-]+|[a-z_]+\d?", value)) else None


def _following(text: str, at: int, named: re.Match[str], told: Says, flag: bool) -> tuple[int, int] | None:
    """The next word, with nothing between: what an option takes, or a word of the sentence."""
    if flag:
        quote = _QUOTE.match(text, at)
        if text[at : at + 1] == "-":
            return None
        return _quoted(text, quote, told) if quote else _if(text, _BARE.match(text, at), told)
    span = _if(text, (_DIGITS if told is Says.PHONE else _BARE).match(text, at), told)
    if not span or told is Says.PHONE or text[at] in "([{<":
        return span if told is Says.PHONE else None
    value = text[slice(*span)]
    if told is Says.CODE:
        return span if value.isdigit() else None
    if re.match(r"[\w.-]+[=:]", value):  # the next name
        return None
    if "/" in value and legible(value):
        return None
    word = named[1].lower().rpartition(" ")[2]
    if word in _PASSWORD_WORDS:
        return (
            span if len(value) >= 6 and mixed(value) and not (legible(value) and re.search(r"[-_.:/]", value)) else None
        )
    return span if len(value) >= 12 and mixed(value) and drawn(value) else None


def _addresses(text: str) -> Iterator[Span]:
    """Users in URLs, and what is left of connection strings."""
    if "://" in text:
        for found in _USER_INFO.finditer(text):
            yield Span(found.start(), found.end() - 1, GONE)
        for found in _USER_ONLY.finditer(text):
            if mixed(found.group()):
                yield Span(*found.span(), GONE)
    for found in _ORACLE.finditer(text):
        yield Span(*found.span(1), mark("password"))


def _commands(text: str) -> Iterator[Span]:
    """What programs take on their command line without a name."""
    password = mark("password")
    for found in _USER_OPTION.finditer(text) if "-u" in text or "user" in text else ():
        said = found[3]
        if not said.isdigit() and said != found[2] and not said.startswith("//") and not none_of(said):
            yield Span(*found.span(3), password)
    if " -" in text:
        for found in _PROGRAM.finditer(text):
            if not none_of(found[2]) and (mixed(found[2]) or not legible(found[2])) and not _PORTS.fullmatch(found[2]):
                yield Span(*found.span(2), password)
        for found in _GLUED.finditer(text):
            if mixed(found[1]) and not legible(found[1]):
                yield Span(*found.span(1), password)
    for found in _ORACLE_PROGRAM.finditer(text) if "/" in text and "@" in text else ():
        if not none_of(found[2]) and (mixed(found[2]) or not found[1]):
            yield Span(*found.span(2), password)
    for found in _PASS_IN.finditer(text):
        if not none_of(found[1]):
            yield Span(*found.span(1), password)
    for found in _PAIR_OF_USER.finditer(text):
        yield Span(*found.span(4), password)


def _entries(text: str) -> Iterator[Span]:
    """Lists of names and values, and dumps of an environment."""
    if "alue" in text or "ALUE" in text:
        for found in _ASSIGNED.finditer(text):
            told, kind = says(found[3])
            quote = _QUOTE.match(text, found.end())
            span = _quoted(text, quote, told) if quote else _if(text, _BARE.match(text, found.end()), told)
            if span:
                yield Span(*span, mark(kind))
        for found in _ASSIGNED_AFTER.finditer(text):
            told, kind = says(found[6])
            if secret(told, found[3]):
                yield Span(*found.span(3), mark(kind))
    if "PATH" in text or "HOME" in text:
        yield from _environment(text)


def _environment(text: str) -> Iterator[Span]:
    """The values of an environment that was written out: nobody knows which of them are secret, so none stays but the system's."""
    entries = list(_ENTRY.finditer(text))
    if len(entries) < 4 or len({e[1] for e in entries} & _OF_SYSTEM) < 3:
        return
    for entry in entries:
        sign = _IS.match(text, entry.end())
        if entry[1] in _OF_SYSTEM or not sign:
            continue
        quote = _QUOTE.match(text, sign.end())
        if quote:
            start, end = quote.end(), _closing(text, quote)
        else:
            bare = re.compile(r"[^\s\"'\\]+").match(text, sign.end())
            start, end = bare.span() if bare else (0, 0)
        if end - start >= 3 and not none_of(text[start:end]):
            yield Span(start, end, mark("environment value"))


def _elsewhere(text: str) -> Iterator[Span]:
    """Schemes of headers, netrc, SQL, codes that were sent, secrets of Kubernetes, sign-ins of Docker."""
    for found in _SCHEME.finditer(text):
        value = found[3].rstrip(".:-")
        if not none_of(value) and (mixed(value) or drawn(value) or len(value) >= 16 or re.search(r"[a-z][A-Z]", value)):
            yield Span(found.start(3), found.start(3) + len(value), mark(f"{found[1].split()[0].lower()} credential"))
    for found in _NETRC.finditer(text):
        yield Span(*found.span(1), mark("password"))
    for found in _SQL.finditer(text):
        if found.group()[:8] in ("PASSWORD", "IDENTIFI", "identifi") or mixed(found[2]):
            yield Span(*found.span(2), mark("password"))
    for found in (*_SIGN_IN.finditer(text), *_AT_HOST.finditer(text)):
        if mixed(found[1]) and not none_of(found[1]) and not re.match(r"v?\d+[.\d]*\b", found[1]):
            yield Span(*found.span(1), mark("password"))
    for found in _CODE_SENT.finditer(text):
        yield Span(*found.span(1), mark("one-time code"))
    if re.search(r"(?i)\bkind[\"']?:[ \t]*[\"']?secret\b", text):
        for found in _KUBERNETES.finditer(text):
            if _base64(found[1]):
                yield Span(*found.span(1), mark("Kubernetes secret"))
    for found in re.finditer(r"[\"']auth[\"'][ \t]*:[ \t]*\\*[\"']([A-Za-z0-9+/]{8,}={0,2})(?=\\*[\"'])", text):
        if _base64(found[1]):
            yield Span(*found.span(1), mark("registry sign-in"))


def _base64(text: str) -> bool:
    if len(text) % 4:
        return False
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True
