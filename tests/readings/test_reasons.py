"""What a program's reason says of what it calls."""

from __future__ import annotations

import pytest

from diagnostics.readings.reasons import absent, contended, denied, limited


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


@pytest.mark.parametrize(
    ("reason", "others", "gone"),
    [
        ("409 Aborted due to cross-transaction contention", True, False),
        ("store_contention", True, False),
        ("ABORTED: Too much contention on these documents. Please try again.", True, False),
        ("deadlock detected", True, False),
        ("404 No document to update: projects/p/databases/d/documents/b/B", False, True),
        ("NOT_FOUND: no entity to update", False, True),
        ("batch not found", False, True),
        ("403 Missing or insufficient permissions.", False, False),
        ("503 The service is currently unavailable.", False, False),
        ("row 409 of the table is bad", False, False),
        ("", False, False),
    ],
)
def test_a_write_that_met_others_or_nothing_to_write_to(reason: str, others: bool, gone: bool) -> None:
    assert (contended(reason), absent(reason)) == (others, gone)
