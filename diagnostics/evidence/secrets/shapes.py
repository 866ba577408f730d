"""Secrets that are told by their own shape, wherever they stand: what detect-secrets lacks or knows in part.

A shape is a prefix that the provider promises, and letters drawn at random behind it. Each is looked for only in texts that have
one of its hints. All patterns are linear: a match can only begin where no word goes on, and what repeats has one way to match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.evidence.secrets import known
from diagnostics.evidence.secrets.spans import Span, mark
from diagnostics.evidence.secrets.values import mixed, of_all_letters, of_both_cases

_BEGIN = r"(?<![A-Za-z0-9_-])"
_LOOSE = r"(?<![A-Za-z0-9])"
_REST = r"[\w-]*+"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


_BEGINS = r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_ENDS = r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_DRAWN = r"[A-Za-z0-9]"


class Shape(NamedTuple):
    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    mixed: bool = False
    """A word may begin so, too: only where a part of it has letters and digits."""


def _shape(kind: str, hints: str, pattern: str, begin: str = _LOOSE, mixed: bool = False) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(begin + pattern), mixed)


def _prefixed(kind: str, prefixes: str, least: int, letters: str = r"[\w-]", mixed: bool = False) -> Shape:
    """Any of the prefixes and at least so many letters behind it."""
    words = "|".join(map(re.escape, prefixes.split()))
    return _shape(kind, prefixes, rf"(?:{words}){letters}{{{least},}}+{_REST}", mixed=mixed)


SHAPES: tuple[Shape, ...] = (
    _shape("private key", "PRIVATE", rf"{_BEGINS}(?s:.*?)(?:{_ENDS}|\Z)", ""),
    _shape("private key", "PuTTY-User-Key-File-", r"PuTTY-User-Key-File-\d(?s:.*?)(?:Private-MAC: ?[0-9a-fA-F]*|\Z)", ""),
    _shape("private key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+"),
    _shape("JSON web token", "eyJ", r"eyJ[\w-]{8,}+\.[\w=-]{4,}+(?:\.[\w=+/-]*+)*+", _BEGIN),
    _prefixed("Google token", "ya29.", 6, r"[\w.-]"),
    _prefixed("Google token", "1//", 20),
    _prefixed("Google token", "4/0A", 20),
    _prefixed("Google key", "AIza", 30),
    _prefixed("Google key", "GOCSPX-", 6),
    _prefixed("Google key", "AQ.A", 30),
    _prefixed("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", 20),
    _prefixed("GitLab token", "glpat- gldt- glft- glsoat- glrt- glrtr- glcbt- glimt- glptt- glagent- gloas- glffct- glwt-", 18, r"[\w.-]"),
    _prefixed("npm token", "npm_ npms_", 30, _DRAWN),
    _prefixed("PyPI token", "pypi-AgE", 40),
    _prefixed("RubyGems key", "rubygems_", 32, r"[0-9a-f]"),
    _prefixed("NuGet key", "oy2", 40, r"[a-z0-9]"),
    _prefixed("crates.io token", "cio", 32, r"[A-Za-z0-9]"),
    _prefixed("Docker token", "dckr_pat_ dckr_oat_", 20),
    _shape("OpenAI key", "sk-", r"sk-[\w-]{20,}+", mixed=True),
    _prefixed("Anthropic key", "sk-ant-", 20),
    _prefixed("Hugging Face token", "hf_ api_org_", 30, _DRAWN),
    _prefixed("AI provider's key", "gsk_ xai- pplx- r8_ fw_ tgp_v1_ csk- nvapi- jina_ voyage- tvly-", 24, mixed=True),
    _prefixed("SendGrid key", "SG.", 20, r"[\w.-]"),
    _shape("Mailgun key", "key-", r"(?:pub)?key-[0-9a-f]{32}\b"),
    _prefixed("Brevo key", "xkeysib- xsmtpsib-", 40),
    _shape("Resend key", "re_", r"re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{16,}+"),
    _prefixed("Slack token", "xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-", 10, r"[\w.%-]"),
    _shape("webhook", "hooks.slack.com", r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{8,}+", ""),
    _shape("webhook", "/webhooks/", r"(?<=/webhooks/)\d{6,20}/[\w-]{20,}+", ""),
    _shape("webhook", "office.com/webhook", r"(?<=office\.com/)webhook\w*/[\w@/-]{20,}+", ""),
    _shape("webhook", "hooks.zapier.com", r"(?<=hooks\.zapier\.com/)hooks/[\w/]{8,}+", ""),
    _shape("webhook", "maker.ifttt.com hooks.airtable.com", r"(?<=/with/key/)[\w-]{10,}+", ""),
    _shape("Twilio key", "SK AC", r"(?:SK|AC)[0-9a-f]{32}(?![A-Za-z0-9])"),
    _shape("Mailchimp key", "-us", r"[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9])"),
    _shape("Telegram token", ":AA", r"(?:bot)?\d{8,11}:AA[\w-]{32,34}(?![\w-])"),
    _shape("Azure key", "8Q~ 7Q~", r"[\w~.-]{3}[78]Q~[\w~.-]{31,40}+", r"(?<![\w~.-])"),
    _shape("Azure key", "AccountKey= SharedAccessKey= SharedSecretValue=",
     r"(?:AccountKey|SharedAccessKey|SharedSecretValue)=[A-Za-z0-9+/]{20,}+=*"),
    _prefixed("Alibaba key", "LTAI", 16, r"[A-Za-z0-9]"),
    _prefixed("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", 40),
    _prefixed("Heroku key", "HRKU-", 30),
    _shape("Fly token", "fm1_ fm2_ fo1_", r"(?:fm1|fm2|fo1)_[\w+/=-]{20,}+"),
    _prefixed("hosting token", "nfp_ nfc_ nfo_ nfb_ sbp_ sb_secret_ pscale_pw_ pscale_tkn_ pscale_oauth_ napi_ rnd_ "
        "vcp_ vci_ vca_ vcr_", 24, r"[\w.-]", mixed=True),
    _shape("Databricks token", "dapi dkea dose", r"(?:dapi|dkea|dose)[0-9a-f]{32}(?:-\d)?"),
    _prefixed("Pulumi token", "pul-", 32, r"[0-9a-f]"),
    _shape("Terraform token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}+"),
    _prefixed("Vault token", "hvs. hvb. hvr.", 20),
    _shape("Vault token", "s.", r"s\.(?=[A-Za-z]*\d)[A-Za-z0-9]{24}(?![\w.])", r"(?<![\w.-])"),
    _shape("Doppler token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}+"),
    _prefixed("1Password token", "ops_eyJ", 40, r"[\w+/=-]"),
    _shape("1Password token", "A3-", r"A3-[A-Z0-9]{6}-[A-Z0-9-]{20,}+"),
    _prefixed("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", 16),
    _prefixed("payment key", "sq0atp- sq0csp- EAAA FLWSECK- FLWSECK_TEST- rzp_live_secret_ access_token$production$ "
        "access_token$sandbox$", 24, r"[\w$-]"),
    _prefixed("Shopify token", "shpat_ shpss_ shpca_ shppa_ shpua_", 24),
    _shape("Plaid token", "access- public- link-", rf"(?:access|public|link)-(?:production|sandbox|development)-{_UUID}"),
    _prefixed("New Relic key", "NRAK- NRJS- NRII- NRIK- NRAL-", 18),
    _prefixed("Grafana token", "glsa_ glc_", 24, r"[\w+/=-]"),
    _shape("Grafana token", "eyJrIjoi", r"eyJrIjoi[\w=-]{40,}+"),
    _shape("Dynatrace token", "dt0", r"dt0[a-z]\d\d\.[A-Z0-9]{8,}+\.[A-Z0-9]{20,}+"),
    _prefixed("Sentry token", "sntrys_ sntryu_ sntrya_ sntryi_", 24, r"[\w+/=-]"),
    _prefixed("Honeycomb key", "hcaik_ hcamk_ hcbik_ hcxik_ hcalk_", 30),
    _prefixed("Linear key", "lin_api_ lin_oauth_ lin_wh_", 24),
    _prefixed("Notion token", "ntn_ secret_", 40, _DRAWN),
    _shape("Airtable token", "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _prefixed("Atlassian token", "ATATT3 ATCTT3 ATBB ATOA", 24, r"[\w=-]"),
    _prefixed("Figma token", "figd_ figo_ figu_ figoh_", 30),
    _shape("Postman key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{30,}+"),
    _shape("HubSpot token", "pat-", rf"pat-[a-z]{{2}}\d-{_UUID}"),
    _prefixed("CI token", "CCIPAT_ CCIPRJ_ bkua_ bkaj_ bkct_ bkpi_ sqp_ squ_ sqa_ sgp_ pnu_ pnb_ tfp_ rdme_ codecov_ "
        "drone_", 30, mixed=True),
    _prefixed("JFrog key", "AKCp cmVmdGtu", 30),
    _shape("Tailscale key", "tskey-", r"tskey-[a-z]{1,12}-[\w-]{12,}+"),
    _shape("Mapbox token", "sk.eyJ tk.eyJ", r"[st]k\.eyJ[\w.-]{20,}+"),
    _prefixed("Contentful token", "CFPAT-", 24),
    _shape("Facebook token", "EAA", r"EAA[A-Z][A-Za-z0-9]{60,}+"),
    _prefixed("shipping key", "EZAK EZTK", 40, _DRAWN),
    _prefixed("shipping key", "shippo_live_ duffel_live_ lob_live_", 32, mixed=True),
    _shape("Django secret", "django-insecure-", r"django-insecure-[^\s'\"\\]{10,}+"),
)  # fmt: skip
_RUN = re.compile(r"[\w+/=~-]{12}|PRIVATE")
"""What every shape has; few sentences do."""
_HINTS = tuple((hint, shape) for shape in SHAPES for hint in shape.hints)
_FUSED = re.compile(
    r"(?<![A-Za-z0-9_+/.~-])(?=[A-Za-z])((?:[A-Za-z][A-Za-z0-9]{0,15}[_-]){1,3}+)([A-Za-z0-9]{32,}+)(?![A-Za-z0-9_-])"
)
"""Words and a long body drawn at random behind them: the token of a provider that no list has yet."""
_IDS = frozenset({"job", "bqjob", "bquxjob", "operation", "op", "chatcmpl", "trace", "batch", "item", "doc", "msg",
 "message", "event", "request",
                  "revision", "document", "sha", "commit", "build", "run", "instance", "resp", "thread"})  # fmt: skip
_LONGEST = re.compile(r"[A-Za-z0-9+/]{24}")
_END_OF_KEY = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY")
_LINE_OF_KEY = re.compile(r"[A-Za-z0-9+/=]{4,80}(?:\\+[rn]|\s){1,4}\Z")
_DISCORD = re.compile(r"(?<![\w.-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}+")
_KEY_LINE = re.compile(r"(?m)^[ \t]*([A-Za-z0-9+/]{60,76}={0,2})[ \t]*\r?$")


def find(text: str) -> Iterator[Span]:
    """Every secret in a plain text that is one by its shape."""
    if not _RUN.search(text):
        return
    for shape in dict.fromkeys([shape for hint, shape in _HINTS if hint in text]):
        for found in shape.pattern.finditer(text):
            if not shape.mixed or _some_mixed(found.group()):
                yield Span(*found.span(), mark(shape.kind))
    if "PRIVATE KEY" in text:
        yield from _ends_of_keys(text)
    yield from known.find(text)
    if len(text) >= 36 and _LONGEST.search(text):
        yield from _by_letters(text)


def _some_mixed(token: str) -> bool:
    """Whether a part of it, divided as names are, has letters and digits beside each other, and is no version or count; or capitals and
    small letters as no words have them."""
    parts = re.split(r"[-_.]", token)[1:]
    return any((len(p) >= 6 and mixed(p)) or (len(p) >= 12 and of_both_cases(p)) for p in parts)


def _ends_of_keys(text: str) -> Iterator[Span]:
    """The lines before the end of a private key whose begin is not there: a log that has each line apart, or was cut."""
    for end in _END_OF_KEY.finditer(text):
        start = end.start()
        while line := _LINE_OF_KEY.search(text, max(0, start - 90), start):
            start = line.start()
        if start < end.start():
            yield Span(start, end.start(), mark("private key"))


def _by_letters(text: str) -> Iterator[Span]:
    """Secrets without a prefix that is known: by the letters that they are drawn from."""
    for found in _FUSED.finditer(text):
        words = found[1].lower().replace("-", "_").split("_")
        if not _IDS.intersection(words) and of_all_letters(found[2]):
            yield Span(found.start(2), found.end(2), mark("token"))
    for found in _DISCORD.finditer(text):
        if of_all_letters(found.group()):
            yield Span(*found.span(), mark("Discord token"))
    for found in _KEY_LINE.finditer(text):
        if of_all_letters(found[1]):
            yield Span(*found.span(1), mark("private key"))
