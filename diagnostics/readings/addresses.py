"""Which addresses are a Cloud Run service's own, by what it lists and by how Cloud Run names them."""

from __future__ import annotations

import re

from diagnostics.evidence.model import ServiceSettings

_NAMED = re.compile(r"(?P<name>[a-z0-9-]+)-(?:\d+\.[a-z0-9-]+|[a-z0-9]{10}-[a-z]{2,4}\.a)\.run\.app")
"""SERVICE-PROJECTNUMBER.REGION.run.app, or SERVICE-HASH-REGIONCODE.a.run.app."""
_LABEL = 63
"""The longest a label of a host name may be: names of services are cut to fit."""


def host_of(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].lower()


def is_own(target: ServiceSettings, host: str) -> bool:
    """Whether the host is an address of the service. With its default URL switched off a service lists none: then its name tells."""
    host = host.split("---")[-1]  # before that stands the tag of a revision
    if host in {host_of(url) for url in (*target.urls, target.uri)}:
        return True
    if not target.default_uri_disabled:
        return False
    named = _NAMED.fullmatch(host)
    cut = len(host.partition(".")[0]) == _LABEL
    return named is not None and (named["name"] == target.name or (cut and target.name.startswith(named["name"])))
