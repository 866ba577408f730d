"""Searching Cloud Logging: page after page from one end of a window, and always knowing how far the search has really got.

Google answers a search in part when it has no time for all of it: fewer entries than were asked for, or none, and a token to go on
with (logging.proto). So a page without entries is no absence while it has a token, and absence is only said of time that was searched.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from diagnostics.evidence.model import Provenance, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.shell.commands import command
from diagnostics.sources.entries import DELAY, KEPT, between, both, moment, rfc3339
from diagnostics.transport.call import NotThere, Page, QuotaUsedUp, page
from diagnostics.transport.log_reads import USUAL_S, Leaves
from diagnostics.transport.rpcs import LOG_ENTRIES
from diagnostics.transport.session import Session

PAGE_SIZE = 1000
"""The largest page that Google takes (logging.proto)."""
FILTER_CHARACTERS = 20_000
"""The longest filter that Google takes (logging.proto)."""
READS = 6
"""Pages of one search at most, in a run of the usual length. Reads are scarce: 60 a minute and project, whoever makes them."""
KEPT_BACK = 15
"""Reads of a minute that are not used to go on with a search: others have not begun yet."""
SHORTEST = timedelta(minutes=10)
"""A window that is no longer than this is not divided any more."""
QUARTER = 4
"""What did not answer in time is asked for again in a window so many times shorter."""
TIGHT = 0.15
"""With less than this share of its time left, a run reads no further pages: what it has must still be told."""


class Found(NamedTuple):
    """What a search found: the items in the order in which it was made."""

    items: list[Any]
    complete: bool
    note: str
    """What it did not find, and why; empty when it is complete."""
    reached: datetime
    """Everything between the end from which it was searched and this moment was."""


WAY_ON = "a longer --timeout, a later --since or a narrower question gets further"


class Search:
    """One question to the logs of some resources, over a window, newest first or oldest first."""

    def __init__(
        self,
        session: Session,
        places: Sequence[str],
        clause: str,
        since: datetime,
        until: datetime,
        *,
        most: int = PAGE_SIZE,
        newest_first: bool = True,
        below: bool = False,
        leaves: Leaves = Leaves.HOLDS,
    ) -> None:
        """`places`: projects, or views of log buckets, by resource name. `most`: entries after which it has enough. `below`: the window
        ends just before `until`. `leaves`: what of the budget it leaves to others. Raises NotSeen when the filter is longer than Google
        takes."""
        self._session, self._places, self._clause = session, tuple(places), clause
        self._since, self._until, self._below = since, until, below
        self._most, self._newest_first = most, newest_first
        self._leaves = leaves
        self._piece = until - since
        self._token = ""
        self._seen: set[tuple[str, int, int, str]] = set()
        self.items: list[Any] = []
        self.reached = until if newest_first else since
        self._from = self.reached
        self.reads = 0
        self.done = False
        self.stopped = ""
        """Why it is not done, as a clause."""
        self._left_out = ""
        """Places that may not be read, and what was said of them."""
        self._slow = ""
        """What was said of a search that took too long."""
        self._refused: QuotaUsedUp | None = None
        if len(self._filter()) > FILTER_CHARACTERS:
            raise NotSeen(
                Why.NOT_CONFIGURED,
                f"the profile's markers make a log filter of {len(self._filter())} characters; Google takes 20,000",
            )

    @property
    def enough(self) -> bool:
        return len(self.items) >= self._most

    def read(self, reads: int = READS, spare: float = TIGHT) -> Search:
        """Read so many further pages at most (more in a longer run), while more than the share `spare` of the run's time is left.

        Raises NotSeen where the first page fails: nothing is known then.
        """
        most = self.reads + round(reads * max(1.0, self._session.reads_as_s / USUAL_S))
        while not (self.done or self.enough):
            if self.reads >= most:
                self.stopped = self._slow or f"Cloud Logging answers in parts, of which {self.reads} were read"
                break
            if self.reads and self._left(spare) < 0:
                self.stopped = self._slow or "no time was left"
                break
            if not self._afforded():
                self.stopped = self._slow or f"Cloud Logging answers in parts, of which {self.reads} were read"
                break
            try:
                self._await_turn(spare)
                self._take(self._ask())
            except QuotaUsedUp as failed:
                self._session.log_reads.refused()
                self._refused = failed
                self.reads -= 1
            except NotSeen as failed:
                if not self._nearer(failed) and not self._shorter(failed):
                    self._end(failed)
                    break
        return self

    def _afforded(self) -> bool:
        """Whether the budget of this look has a read for it: for the first page always, for the second whoever else has read before."""
        if self.reads:
            return self._session.log_budget.go_on(self._leaves if self.reads > 1 else Leaves.LEAST)
        self._session.log_budget.begin()
        return True

    def _end(self, failed: NotSeen) -> None:
        """It goes no further. Raises NotSeen where nothing was found out."""
        self.stopped = failed.says
        if not self.items and self.reached == self._start:
            raise failed

    def _left(self, spare: float) -> float:
        """Seconds that it may still take, with the share `spare` of the run's time left for others."""
        return self._session.remaining() - spare * self._session.timeout_s

    def _await_turn(self, spare: float) -> None:
        """Until the quota has room, if that is soon enough. Raises NotSeen."""
        reads, told = self._session.log_reads, False
        while wait := reads.take(self._owner, KEPT_BACK if self.reads else 0):
            if wait > self._left(spare):
                used = f"the log reads of this minute are used up (a quota of {reads.per_minute} a minute and project)"
                says = self._refused.says if self._refused else f"{used}; there is room in {wait:.0f} s"
                raise NotSeen(Why.FAILED, says, mend=self._longer)
            if not told:
                self._session.tell(f"waiting for the quota of log reads, {wait:.0f} s or more")
                told = True
            time.sleep(min(wait, 1.0))

    @property
    def found(self) -> Found:
        """What it found so far. Raises NotSeen when it has searched nothing to the end of any part."""
        found = self._found()
        if not self._left_out:
            return found
        return found._replace(complete=False, note="; ".join(filter(None, (found.note, self._left_out))))

    def _found(self) -> Found:
        if self.done:
            return Found(self.items, True, "", self._far)
        if self.enough:
            which = "newest" if self._newest_first else "oldest"
            note = f"only the {which} {len(self.items)} were read, to {_minute(self.reached)}; there are more"
            return Found(self.items, False, note, self.reached)
        if self.reached == self._start and not self.items:
            raise NotSeen(Why.TIMED_OUT, f"nothing of the log could be searched: {self.stopped}", mend=self._longer)
        side = "before" if self._newest_first else "after"
        note = f"what was logged {side} {_minute(self.reached)} was not searched: {self.stopped}; {WAY_ON}"
        return Found(self.items, False, note, self.reached)

    # --- one page

    def _ask(self) -> Page:
        request = {
            "resource_names": list(self._places),
            "filter": self._filter(),
            "order_by": "timestamp desc" if self._newest_first else "timestamp asc",
            "page_size": min(self._most, PAGE_SIZE),
        }
        allowance = self._session.allowance()
        if self.reads:  # a second attempt leaves time for what comes after it
            allowance = min(allowance, 0.4 * self._session.remaining())
        self.reads += 1
        try:
            return page(self._session, LOG_ENTRIES, request, "entries", self._token, allowance)
        except NotThere as error:
            says = f"Cloud Logging does not know {', '.join(self._places)}: {error}"
            raise NotSeen(Why.FAILED, says) from error

    def _take(self, got: Page) -> None:
        for entry in got.items:
            key = (entry.log_name, entry.timestamp.seconds, entry.timestamp.nanos, entry.insert_id)
            if key not in self._seen:
                self._seen.add(key)
                self.items.append(entry)
        self._token = got.token
        if got.token:
            if got.items:
                self.reached = moment(got.items[-1].timestamp)
            return
        self._from = self.reached = self._edge
        self.done = self._edge == self._far
        self._piece *= QUARTER

    def _nearer(self, failed: NotSeen) -> bool:
        """After a refusal for several projects: ask the first alone, the pipeline's own. False where that is no way on."""
        if failed.why is not Why.PERMISSION_DENIED or len(self._places) < 2 or self.reached != self._start:
            return False
        others = ", ".join(self._places[1:])
        self._places, self._left_out = self._places[:1], f"the logs of {others} were not seen: {failed.says}"
        return True

    def _shorter(self, failed: NotSeen) -> bool:
        """After a search that took too long: ask for less at once. False where that is no way on."""
        if failed.why is not Why.TIMED_OUT or self._piece <= SHORTEST or self._session.remaining() < 1:
            return False
        self._slow = failed.says
        self._from, self._token = self.reached, ""
        left = abs(self._far - self._from)
        self._piece = min(self._piece, left) / QUARTER
        return True

    # --- the window

    @property
    def _owner(self) -> str:
        """The project whose quota it uses."""
        return self._places[0].split("/")[1]

    @property
    def _start(self) -> datetime:
        return self._until if self._newest_first else self._since

    @property
    def _far(self) -> datetime:
        return self._since if self._newest_first else self._until

    @property
    def _edge(self) -> datetime:
        """Where the part that is asked for now ends."""
        if self._newest_first:
            return max(self._since, self._from - self._piece)
        return min(self._until, self._from + self._piece)

    def _filter(self) -> str:
        since, until = (self._edge, self._from) if self._newest_first else (self._from, self._edge)
        ends = "<" if self._below and until == self._until else "<="
        window = f'timestamp>="{rfc3339(since)}" AND timestamp{ends}"{rfc3339(until)}"'
        return both(window, self._clause)

    @property
    def _longer(self) -> str:
        return f"ask again with --timeout {max(60, 3 * self._session.timeout_s):.0f}"


def search(
    session: Session,
    places: Sequence[str],
    clause: str,
    since: datetime,
    until: datetime,
    *,
    most: int = PAGE_SIZE,
    newest_first: bool = True,
    reads: int = READS,
    leaves: Leaves = Leaves.HOLDS,
) -> Found:
    """Entries that match within the window, `most` or a few more of them. Raises NotSeen."""
    made = Search(session, places, clause, since, until, most=most, newest_first=newest_first, leaves=leaves)
    return made.read(reads).found


def still_kept(
    session: Session,
    since: datetime,
    until: datetime,
    found: Found,
    kept: timedelta = KEPT,
    oldest: datetime | None = None,
) -> Found:
    """What was found, said to be partial where the window begins before the oldest entries that are kept for sure. `oldest`: when the
    oldest was written of what was read otherwise.

    Raises NotSeen when the whole window lies there and nothing was found: absence then says nothing. A log bucket may keep longer.
    """
    limit = session.now - kept
    older = (oldest is not None and oldest < limit) or any(moment(entry.timestamp) < limit for entry in found.items)
    if since >= limit or older:
        return found
    if until < limit and not found.items:
        raise NotSeen(Why.EXPIRED, f"logs are kept {kept.days} days, and the window ended {until:%Y-%m-%d}")
    note = f"what was logged before {limit:%Y-%m-%dT%H:%MZ} is no longer kept"
    return found._replace(complete=False, note="; ".join(filter(None, (found.note, note))))


def log_provenance(
    session: Session, source: str, places: Sequence[str], clause: str, window: tuple[datetime, datetime], of: Found
) -> Provenance:
    query = both(between(*window), clause)
    project, others = places[0].split("/")[1], [place for place in places if place.count("/") > 1]
    several = others or len(places) > 1
    return Provenance(
        source=source,
        query=query,
        by_hand=command(
            "gcloud logging read {query} --project={project}"
            + (" --resource-names={places}" if several else "")
            + " --order=desc --limit=1000",
            query=query,
            project=project,
            places=",".join(places),
        ),
        fetched_at=session.now,
        as_of=min(window[1], session.now - DELAY),
        complete=of.complete,
        note=of.note,
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"
