"""What others sent to the store that a team shares, beside what is kept here."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from time import monotonic

from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Access
from diagnostics.cli.frame.sharing import Sharing, in_short, in_words, key_of
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.evidence.redaction import cleaner
from diagnostics.keep import names, store
from diagnostics.keep.bundle import Note
from diagnostics.keep.names import Name
from diagnostics.keep.shelf import Fetched, Shelf, note_of
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.report.escape import clean

READ_S = 20.0
"""So long a command waits for what others sent."""
PROFILE = "PUBSUB_DIAG_PROFILE"
_A_RUN = re.compile(rf"{store.LAST}|\d[\dTZa-f-]*")
"""What a run in a store may be called, or the begin of it."""


class Others:
    """What a store has beside what is kept here; without a store, nothing. It is asked when something is first wanted of it."""

    def __init__(self, profile: str | None, quiet: bool) -> None:
        """`profile`: as the command line names it; else as the environment or a file does."""
        self._profile = profile
        self._quiet = quiet
        self._shelf: Shelf | None = None
        self._end = 0.0
        self._late = False
        self._told: set[str] = set()

    @cached_property
    def _asked(self) -> Access:
        return Access(profile=self._profile or os.environ.get(PROFILE) or None, quiet=self._quiet)

    @cached_property
    def _stated(self) -> PipelineProfile | None:
        try:
            return opening.stated(self._asked)
        except Trouble as trouble:
            output.tell(f"no shared store is read: {clean(trouble.says)}", self._quiet)
            return None

    @cached_property
    def _sharing(self) -> Sharing | None:
        stated = self._stated
        if stated is None or not stated.store:
            return None
        project = stated.project
        return Sharing(stated.store, lambda: opening.session_of(self._asked, project), self._quiet)

    def as_sent(self, here: Sequence[Note]) -> list[Note]:
        """Notes that are kept here, redacted as they go with a run of the pipeline: so they are told once."""
        cleaned = cleaner(self._stated.redact.patterns if self._stated else ())
        return [cleaned(said) for said in here]

    @property
    def named(self) -> str:
        """The store; empty: there is none."""
        return self._sharing.named if self._sharing else ""

    def runs(self, choose: Callable[[list[Name]], Iterable[Name]]) -> list[Fetched]:
        """Those runs and captures of the store that are chosen of all that are not kept here as well, oldest first."""

        def wanted(listed: list[Name]) -> Iterable[Name]:
            runs = {name.stem: name for name in listed if name.kind != names.NOTES}
            here = set(_kept_here({name.begin for name in runs.values()}))
            return choose(sorted((n for stem, n in runs.items() if stem not in here), key=lambda name: name.at))

        return sorted(self._fetched(wanted), key=lambda one: (one.name.at, one.name.whole))

    def find(self, named: str) -> Path | None:
        """A run of the store by its name or by how it begins: the newest of these. For the name of a file no store is asked."""
        if not _A_RUN.fullmatch(named):
            return None

        def newest(listed: list[Name]) -> list[Name]:
            return [name for name in listed if named == store.LAST or name.stem.startswith(named)][-1:]

        return next((one.path for one in self.runs(newest)), None)

    def notes(self, choose: Callable[[Name], bool], here: Sequence[Note]) -> list[Note]:
        """Those notes of the store that are chosen and are not among those of `here`."""
        found = self._fetched(lambda listed: [name for name in listed if name.kind == names.NOTES and choose(name)])
        notes = [said for one in found if (said := note_of(one))]
        return [said for said in notes if said not in here]

    def _fetched(self, wanted: Callable[[list[Name]], Iterable[Name]]) -> list[Fetched]:
        sharing = self._sharing
        if sharing is None or self._late:
            return []
        if self._shelf is None:
            self._shelf = Shelf(key_of(sharing.named), lambda: sharing.place(READ_S))
            self._end = monotonic() + READ_S
        found: list[Fetched] = []
        thread = threading.Thread(target=self._shelf.fetch, args=(wanted, found), daemon=True)
        thread.start()
        thread.join(max(self._end - monotonic(), 0))
        self._late = thread.is_alive()
        self._tell(self._shelf, sharing.named)
        return list(found)

    def _tell(self, shelf: Shelf, named: str) -> None:
        """What was not read, in one line: an answer from a part is not taken for one from all."""
        late = [f"it did not answer within {READ_S:g} s"] if self._late else []
        fresh = [says for says in [*in_words(list(shelf.troubles)), *late] if says not in self._told]
        if not fresh:
            return
        self._told.update(fresh)
        missed = f"; {shelf.missed} of it missing" if shelf.missed else ""
        output.tell(f"not all of {named} was read: {in_short(fresh)}{missed}", self._quiet)


def _kept_here(begins: set[str]) -> Iterable[str]:
    """What the runs that are kept here are called in a list of the store; those that begin so: only they can be there, too."""
    for path in store.runs():
        found = store.NAME.match(path.name)
        if found and found[1] in begins:
            try:
                yield f"{found[1]}-{names.digest_of(path.read_bytes())}"
            except OSError:
                continue
