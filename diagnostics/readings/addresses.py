"""Parts of an address, and which addresses are a Cloud Run service's own, by what it lists and by how Cloud Run names them."""

from __future__ import annotations

import re

from diagnostics.evidence.model import ServiceSettings

_NAMED = re.compile(r"(?P<name>[a-z0-9-]+)-(?:\d+\.[a-z0-9-]+|[a-z0-9]{10}-[a-z]{2,4}\.a)\.run\.app")
"""SERVICE-PROJECTNUMBER.REGION.run.app, or SERVICE-HASH-REGIONCODE.a.run.app."""
TAG = "---"
"""Between a traffic tag and the service in a run.app host."""
_LABEL = 63
"""The longest a label of a host name may be: names of services are cut to fit."""


def host_of(url: str) -> str:
    """The host, with its port if it names one. An Eventarc trigger's endpoint may have a query and no path."""
    return url.split("://", 1)[-1].partition("/")[0].partition("?")[0].lower()


def path_of(url: str) -> str:
    """With its leading slash and without the query."""
    return "/" + url.split("://", 1)[-1].partition("?")[0].partition("/")[2]


def tag_of(url: str) -> str:
    """The traffic tag that the host names; empty: none."""
    before, dashes, _ = host_of(url).partition(TAG)
    return before if dashes else ""


def untagged(host: str) -> str:
    """The host of the service itself."""
    return host.split(TAG)[-1]


def is_own(target: ServiceSettings, host: str) -> bool:
    """Whether the host is an address of the service. With its default URL switched off a service lists none: then its name tells."""
    host = untagged(host)
    if host in {host_of(url) for url in (*target.urls, target.uri)}:
        return True
    if not target.default_uri_disabled:
        return False
    named = _NAMED.fullmatch(host)
    cut = len(host.partition(".")[0]) == _LABEL
    return named is not None and (named["name"] == target.name or (cut and target.name.startswith(named["name"])))
