"""Half a character, as JSON escapes and arguments may hold one, becomes a sign that every encoder takes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from diagnostics.evidence.model import BatchStatus, Provenance
from diagnostics.evidence.redaction import cleaner
from diagnostics.evidence.whole_text import whole, wholly

NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
STATUS = BatchStatus(
    source=Provenance(source="test", note="n\udfff", fetched_at=NOW, as_of=NOW),
    batch="b\ud800",
    exists=True,
    items=("\ud83d", "ok"),
)


def test_whole_text_stays_as_it_is() -> None:
    for text in ("", "plain", "é", "\U0001f600"):
        assert whole(text) == text


def test_what_becomes_evidence_can_be_encoded() -> None:
    for found in (cleaner()(STATUS), wholly(STATUS)):
        assert msgspec.json.decode(msgspec.json.encode(found), type=BatchStatus).items == ("\ufffd", "ok")
        assert (found.batch, found.source.note) == ("b\ufffd", "n\ufffd")
