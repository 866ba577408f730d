"""What will not come by itself is named, whether or not a cause is."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Header
from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, Means, Unseen
from diagnostics.pipeline.profile import LegProfile
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import Case, investigate
from tests.steps.built import BEGAN, NOW, PROFILE, ago, batch, done, lines, mark, pushes


def test_what_is_lost_is_to_be_sent_again_though_no_cause_accounts_for_it() -> None:
    """The worker says that it could not report, and not why."""
    silent = [mark(Means.COMPLETION_ERROR, 30, item) for item in "ab"]
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(2),
        ("ItemMarks", None): lines(*done("a", "b"), *silent),
        **dict([pushes(Leg.COMPLETION)]),
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    both = structs.replace(PROFILE, completion=LegProfile(subscription="c"))
    header = Header(pipeline="test", project="p", region="", command="batch")
    found = investigate(Case("batch", evidence, both, Ask(batch="B"), header))
    assert [c for c in found.causes if c.role is Role.BLOCKS] == []
    assert (found.recovery.resubmit, found.recovery.resubmit_count) == (("a", "b"), 2)
