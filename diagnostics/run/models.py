"""Questions about models that need no pipeline: what is known is handed in."""

from __future__ import annotations

from datetime import datetime, timedelta

from diagnostics.conclude.diagnosis import Header
from diagnostics.evidence.model import EvidenceSet, ModelManifest, Unseen
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import Case

CHECK_NEW = "model check-new"
DRIFT = "model drift"
NOBODYS = PipelineProfile(name="models", project="", request=LegProfile(subscription=""))
"""What stands for a pipeline where none is asked about."""


def new_model(ask: Ask, manifest: ModelManifest | Unseen, now: datetime) -> Case:
    """A model that is to be trained, against those that there are."""
    seen = EvidenceSet({(ModelManifest.__name__, None): manifest}, now, timedelta(), now)
    header = Header(pipeline=NOBODYS.name, project="", region="", command=CHECK_NEW)
    return Case(CHECK_NEW, seen, NOBODYS, ask, header)
