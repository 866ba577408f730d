"""What the address of a Cloud Run service tells by itself: its name, and its project or its region, according to the form."""

from __future__ import annotations

import re
from typing import NamedTuple

REGION_CODES = {
    "an": "asia-northeast1", "as": "asia-southeast1", "de": "asia-east1", "df": "asia-east2", "dt": "asia-northeast2",
    "du": "asia-northeast3", "el": "asia-south1", "em": "asia-south2", "et": "asia-southeast2", "ew": "europe-west1",
    "ey": "europe-west3", "ez": "europe-west4", "km": "australia-southeast2", "lm": "europe-central2", "lz": "europe-north1",
    "nn": "northamerica-northeast1", "no": "europe-southwest1", "nw": "europe-west2", "oa": "europe-west6", "oc": "europe-west8",
    "od": "europe-west9", "pd": "northamerica-northeast2", "rj": "southamerica-east1", "tl": "southamerica-west1",
    "ts": "australia-southeast1", "uc": "us-central1", "ue": "us-east1", "uk": "us-east4", "ul": "us-east5", "uw": "us-west1",
    "vp": "us-south1", "wl": "us-west2", "wm": "us-west3", "wn": "us-west4", "zf": "me-west1",
}  # fmt: skip
"""Region codes of run.app addresses. Google documents no list: only a hint where to look for the service, which its addresses then
confirm."""

_BY_NUMBER = re.compile(r"(?P<service>[a-z0-9-]+)-(?P<number>\d+)\.(?P<region>[a-z]+-[a-z]+\d+)\.run\.app")
_BY_HASH = re.compile(r"(?P<service>[a-z0-9-]+)-(?P<hash>[a-z0-9]+)-(?P<code>[a-z]{2,4})\.a\.run\.app")
_TAG = "---"


class Address(NamedTuple):
    """SERVICE-PROJECTNUMBER.REGION.run.app, or SERVICE-HASH-REGIONCODE.a.run.app; a traffic tag before it is left out."""

    service: str
    number: str = ""
    """Number of its project; empty: this form does not tell it."""
    region: str = ""
    """Empty: the form names a code that is not known."""


def address(host: str) -> Address | None:
    """None: it is not an address that Cloud Run gives."""
    host = host.lower().rpartition(_TAG)[2]
    if found := _BY_NUMBER.fullmatch(host):
        return Address(found["service"], found["number"], found["region"])
    if found := _BY_HASH.fullmatch(host):
        return Address(found["service"], region=REGION_CODES.get(found["code"], ""))
    return None
