"""An address is a service's own if the service lists it, or, with the default URL switched off, if it is named as Cloud Run names it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import RevisionSettings, ServiceSettings
from diagnostics.readings.addresses import host_of, is_own, path_of
from tests.steps.built import NOW

LISTED = ("https://worker-abcdefghij-uw.a.run.app", "https://worker-1234567890.us-west2.run.app")
TARGET = ServiceSettings(
    name="worker", region="r", uri=LISTED[0], urls=LISTED, template=RevisionSettings(name="worker-1", created=NOW)
)
LONG = "a-service-with-a-name-that-is-as-long-as-names-of-services-can-be"


@pytest.mark.parametrize(
    ("host", "listed", "switched_off"),
    [
        ("worker-abcdefghij-uw.a.run.app", True, True),
        ("worker-1234567890.us-west2.run.app", True, True),
        ("canary---worker-abcdefghij-uw.a.run.app", True, True),
        ("worker-klmnopqrst-uw.a.run.app", False, True),
        ("worker-b-abcdefghij-uw.a.run.app", False, False),
        ("other-1234567890.us-west2.run.app", False, False),
        ("work-abcdefghij-uw.a.run.app", False, False),
        ("orders.example.com", False, False),
    ],
)
def test_a_name_tells_only_where_nothing_is_listed_for_the_default_url_is_off(
    host: str, listed: bool, switched_off: bool
) -> None:
    assert is_own(TARGET, host) is listed
    assert is_own(replace(TARGET, urls=(), uri="", default_uri_disabled=True), host) is switched_off
    assert not is_own(replace(TARGET, urls=(), uri=""), host)


def test_a_name_that_was_cut_to_fit_into_a_host_is_recognised() -> None:
    target = replace(TARGET, name=LONG, urls=(), uri="", default_uri_disabled=True)
    fits = LONG[: 63 - len("-abcdefghij-uw")]
    assert is_own(target, f"{fits}-abcdefghij-uw.a.run.app")
    assert not is_own(target, f"{fits[:-1]}-abcdefghij-uw.a.run.app")


def test_an_eventarc_endpoint_has_a_query_and_no_path() -> None:
    url = "https://read-scan-abc123defg-uc.a.run.app?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fp%2Ftopics%2Ft"
    assert host_of(url) == "read-scan-abc123defg-uc.a.run.app"
    assert path_of(url) == "/"
    assert path_of("https://w.run.app/push/x?y=/z") == "/push/x"
