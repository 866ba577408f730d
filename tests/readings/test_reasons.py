"""What a program's reason says of what it calls."""

from __future__ import annotations

import pytest

from diagnostics.readings.reasons import denied, limited


@pytest.mark.parametrize(
    ("reason", "right", "rate"),
    [
        ("PERMISSION_DENIED: Missing or insufficient permissions.", True, False),
        ("403 Access Denied: Table p:d.t: User does not have permission to query table", True, False),
        ("HTTP 403", True, False),
        ("403 Quota exceeded for quota metric 'Read requests'", False, True),
        ("ledger_rate_limited", False, True),
        ("429 Too Many Requests", False, True),
        ("403 User not authorized to perform this action.", True, False),
        ("403 Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x", False, False),
        ("403 Cloud Pub/Sub API has not been used in project 7 before or it is disabled.", False, False),
        ("403 This API method requires billing to be enabled.", False, False),
        ("order 403 not found", False, False),
        ("separate limits apply", False, False),
        ("Time limit exceeded", False, False),
        ("connection refused", False, False),
        ("", False, False),
    ],
)
def test_a_right_or_a_rate(reason: str, right: bool, rate: bool) -> None:
    assert (denied(reason), limited(reason)) == (right, rate)
