"""The shapes of secrets that detect-secrets knows, as its plugins state them.

Loaded when a text has one of the words below, and not before: its import takes longer than all that `--help` needs.
Measured on our corpus (tests/evidence/corpus): without it 18 of 700 planted secrets are left. Why some of its plugins are not
asked: the two that go by entropy change 23 and 7 of 242 texts that must stay, ids and digests; the one that goes by keywords
finds 11 of 615 secrets, which ours by name finds, too; those of Artifactory and of addresses take class names and IPs for
secrets; those of JWT, npm and OpenAI can be made to take quadratic time; those without a prefix of three letters would load it
for every other line (Discord, Mailchimp, Telegram, Twilio: our own shapes have them); that of private keys finds the first line
alone; that of basic auth stops at the first "@".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import NamedTuple

from diagnostics.evidence.secrets.spans import Span, mark


class Plugin(NamedTuple):
    name: str
    """Module and class below detect_secrets.plugins."""
    kind: str
    hints: tuple[str, ...]
    """Every text that it finds something in has one of them; a test holds them to its patterns."""


PLUGINS = (
    Plugin("aws.AWSKeyDetector", "AWS key", ("A3T", "ABIA", "ACCA", "AKIA", "ASIA", "aws", "AWS", "Aws")),
    Plugin("azure_storage_key.AzureStorageKeyDetector", "Azure key", ("AccountKey=",)),
    Plugin("github_token.GitHubTokenDetector", "GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    Plugin(
        "gitlab_token.GitLabTokenDetector", "GitLab token",
        ("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glimt-", "glptt-", "glagent-", "gloas-"),
    ),
    Plugin("pypi_token.PypiTokenDetector", "PyPI token", ("pypi-AgE",)),
    Plugin("sendgrid.SendGridDetector", "SendGrid key", ("SG.",)),
    Plugin(
        "slack.SlackDetector", "Slack token",
        ("xoxa-", "xoxb-", "xoxp-", "xoxo-", "xoxs-", "xoxr-", "hooks.slack.com/services/"),
    ),
    Plugin("square_oauth.SquareOAuthDetector", "Square secret", ("sq0csp-",)),
    Plugin("stripe.StripeDetector", "Stripe key", ("sk_live_", "rk_live_")),
)  # fmt: skip
_HINTS = tuple((hint, plugin) for plugin in PLUGINS for hint in plugin.hints)
_REST = re.compile(r"[\w-]*")
SHORTEST = 16
"""Of a pattern's group that is the secret; a shorter one is a part of its prefix."""


@cache
def patterns(plugin: str) -> tuple[re.Pattern[str], ...]:
    module, _, name = plugin.partition(".")
    return tuple(getattr(import_module(f"detect_secrets.plugins.{module}"), name)().denylist)


def find(text: str) -> Iterator[Span]:
    for plugin in dict.fromkeys([plugin for hint, plugin in _HINTS if hint in text]):
        for pattern in patterns(plugin.name):
            yield from _spans(pattern, text, mark(plugin.kind))


def _spans(pattern: re.Pattern[str], text: str, instead: str) -> Iterator[Span]:
    """Each match, or its group that is the secret, with what follows without a break: prefixes with new lengths are whole, too."""
    for found in pattern.finditer(text):
        group = next((n for n in range(pattern.groups, 0, -1) if len(found[n] or "") >= SHORTEST), 0)
        start, end = found.span(group)
        rest = _REST.match(text, end)
        yield Span(start, rest.end() if rest else end, instead)
