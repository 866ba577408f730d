"""Batches that Firestore keeps as open, whether or not a line of the log names them: one bounded list of their collection."""

from __future__ import annotations

from diagnostics.evidence.model import BatchStatus, OpenBatches, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile, PipelineProfile, StateKind
from diagnostics.question.ask import Ask
from diagnostics.sources.batch_state.firestore import EXTRA, denied, fields_of, location, moment, plain
from diagnostics.sources.batch_state.told import status_of
from diagnostics.transport.call import NotThere, Pages, pages
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import LIST_DOCUMENTS
from diagnostics.transport.session import Session

LOOKED_AT = 100
"""So many documents are looked at: the ones last written, where the profile names the field that says when; else the first by name."""
MOST = 20
"""So many open batches are told."""


def open_batches(session: Session, pipeline: PipelineProfile, ask: Ask) -> OpenBatches:
    """Raises NotSeen: NOT_ASKED where batch state is in no collection of Firestore, or nothing says which batch is closed."""
    state = next(
        (s for s in pipeline.batch_states if s.kind is StateKind.FIRESTORE and s.document.endswith("/{batch}")), None
    )
    if state is None or not (state.closed or state.forced):
        raise NotSeen(Why.NOT_ASKED, "no collection of Firestore is known to keep batches and whether they are closed")
    if ask.past(session.now):
        raise NotSeen(Why.NOT_ASKED, "which batches were open then a list of now does not tell")
    *above, collection = state.document.removesuffix("/{batch}").split("/")
    parent, by_hand = location(pipeline, state, "/".join(above), collection)
    asked = {
        "parent": parent,
        "collection_id": collection,
        "page_size": LOOKED_AT,
        "order_by": f"{state.updated} desc" if state.updated else "",
        "mask": {"field_paths": fields_of(state)},
    }
    try:
        found = pages(session, LIST_DOCUMENTS, asked, "documents", most=1)
    except NotThere as error:
        raise NotSeen(Why.NOT_CONFIGURED, f"Firestore finds no such database: {error}") from error
    except ImportError as error:
        says = "reading Firestore needs google-cloud-firestore, which is not installed"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=EXTRA) from error
    except NotSeen as error:
        raise denied(error, LIST_DOCUMENTS.permission) from error
    source = provenance(session, state.name, f"{parent}/{collection}", by_hand, of=found)
    read = [_status(session, state, by_hand, document) for document in found.items]
    still = [one for one in read if one is not None and one.closed is False]
    if len(still) > MOST:
        source = provenance(
            session, state.name, f"{parent}/{collection}", by_hand, of=Pages([], False, f"only {MOST} are told")
        )
    return OpenBatches(source=source, batches=tuple(still[:MOST]))


def _status(session: Session, state: BatchStateProfile, by_hand: str, document: object) -> BatchStatus | None:
    """What one document says. None: it is no batch as the profile describes them."""
    name, fields = getattr(document, "name", ""), getattr(document, "fields", {})
    batch = str(name).rpartition("/")[2]
    source = provenance(session, state.name, str(name), by_hand)
    try:
        said = {key: plain(value) for key, value in fields.items()}
        return status_of(state, source, batch, said, moment(getattr(document, "update_time", None)))
    except NotSeen:
        return None
