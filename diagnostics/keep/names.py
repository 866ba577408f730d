"""How things are called in a shared store: what each is of, when, and a digest of its content.

    runs/20260208T142107Z-3fa9c01bd2a4-9e107d9d372bb682.gz       a kept run: when it looked, a digest of project and batch
    bundles/20260208T142107Z-3fa9c01bd2a4-…gz                    what `capture` wrote, likewise
    notes/20260208T143000Z-c01bd2a4-…json                        a note: the moment it is about, a digest of its batch, zeros for none

The same thing has the same name wherever and however often it is sent, so that nothing is there twice; and who reads it can tell whether
it is whole. A name that is none of these is somebody else's, and left alone.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import NamedTuple

from diagnostics.keep import store
from diagnostics.keep.bundle import Note

RUNS, BUNDLES, NOTES = KINDS = "runs", "bundles", "notes"
NO_BATCH = "0" * 8
_NAME = re.compile(
    r"(?P<kind>runs|bundles|notes)/(?P<stem>(?P<at>\d{8}T\d{6}Z)-(?P<whose>[0-9a-f]{8}|[0-9a-f]{12}))-(?P<digest>[0-9a-f]{16})"
    r"\.(?P<end>gz|json)"
)


class Name(NamedTuple):
    """The name of something in a store, by its parts."""

    whole: str
    kind: str
    at: str
    """The moment, as `store.MOMENT` writes it: names sort by it."""
    whose: str
    """Digests: of project and batch, of a note's batch."""
    digest: str
    """Of its content."""

    @property
    def begin(self) -> str:
        """What it is called where it is kept: when, and whose it is."""
        return f"{self.at}-{self.whose}"

    @property
    def stem(self) -> str:
        """What it is called in a list: by this `find` knows it. What has the same is the same thing, a capture or a run."""
        return f"{self.begin}-{self.digest}"

    @property
    def file(self) -> str:
        return self.whole.rpartition("/")[2]

    def is_of(self, content: bytes) -> bool:
        """Whether this is its content, whole and as it was sent."""
        return digest_of(content) == self.digest

    def moment(self) -> datetime:
        return datetime.strptime(self.at, store.MOMENT).replace(tzinfo=UTC)

    def may_be_about(self, batch: str, project: str) -> bool:
        """Whether a run of this name can be about the batch; empty: any batch, any project."""
        own = not project or self.whose.startswith(store.of_project(project))
        return own and (not batch or self.whose.endswith(store.of_batch(batch)))


def of_run(kind: str, stem: str, content: bytes) -> Name:
    """The name of a kept run or a capture."""
    return _made(f"{kind}/{stem}-{digest_of(content)}.gz")


def of_note(said: Note, content: bytes) -> Name:
    batch = store.of_batch(said.batch) if said.batch else NO_BATCH
    return _made(f"{NOTES}/{said.at.astimezone(UTC):{store.MOMENT}}-{batch}-{digest_of(content)}.json")


def read(whole: str) -> Name | None:
    """The parts of a name; None: it is none of ours."""
    found = _NAME.fullmatch(whole)
    if found is None or (found["kind"] == NOTES) is not (
        found["end"] == "json" and len(found["whose"]) == len(NO_BATCH)
    ):
        return None
    try:
        name = Name(whole, found["kind"], found["at"], found["whose"], found["digest"])
        name.moment()
    except ValueError:  # the 31st of February
        return None
    return name


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _made(whole: str) -> Name:
    name = read(whole)
    if name is None:
        raise AssertionError(f"{whole} is no name that is read again")
    return name
