"""The entries of one log, in order, in little room: a batch of a million items writes some seven million."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain
from math import inf
from typing import overload

import msgspec

from diagnostics.lab.recorder import LogEntry

BLOCK = 2048
"""Entries that are packed together."""
PLAIN = 8
"""Blocks that stay as they are: a log of ordinary length is never packed."""
UNPACKED = 8
"""Packed blocks that are kept as they were last read."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[LogEntry])


def _by_time(times: array[float], numbers: array[int]) -> array[int]:
    """These numbers of entries by their times; those of equal times stay as they are. Entries come late by minutes at most, so that few
    of them wait for earlier ones at a time, and there is no list of all."""
    least = array("d", [inf]) * (len(numbers) + 1)
    for place in range(len(numbers) - 1, -1, -1):
        least[place] = min(times[numbers[place]], least[place + 1])
    found = array("I")
    waiting: list[tuple[float, int, int]] = []
    for place, number in enumerate(numbers):
        heappush(waiting, (times[number], place, number))
        while waiting and waiting[0][0] <= least[place + 1]:
            found.append(heappop(waiting)[2])
    return found


class Log:
    """Entries by timestamp and, of equal ones, by insert id. What is long ago written is packed, and unpacked where it is read: then each
    reading makes it anew, and a change to what was read is lost."""

    def __init__(self) -> None:
        self._blocks: list[list[LogEntry] | bytes] = []
        self._read: OrderedDict[int, list[LogEntry]] = OrderedDict()
        self._times = array("d")
        """Timestamps, as the entries came."""
        self._sorted = True
        self._settled = 0
        """So many, of those that came first, are in order."""
        self._order: array[int] | None = None
        """Numbers of the entries, in order; None: as they came."""
        self._last = (float("-inf"), "")
        """Timestamp and insert id of the last, where they are sorted."""

    def append(self, entry: LogEntry) -> None:
        number = len(self._times)
        if number % BLOCK == 0:
            self._blocks.append([])
            if len(self._blocks) > PLAIN:
                self._pack(len(self._blocks) - PLAIN - 1)
        newest = self._blocks[-1]
        assert isinstance(newest, list), "the newest block is never packed"
        newest.append(entry)
        self._times.append(entry.timestamp)
        key = (entry.timestamp, entry.insert_id)
        self._sorted = self._sorted and key >= self._last
        if self._sorted:
            self._last, self._settled = key, number + 1
            if self._order is not None:
                self._order.append(number)

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, place: int) -> LogEntry: ...
    @overload
    def __getitem__(self, place: slice) -> list[LogEntry]: ...
    def __getitem__(self, place: int | slice) -> LogEntry | list[LogEntry]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        self._settle()
        number = range(len(self))[place]
        return self._entry(number if self._order is None else self._order[number])

    def __iter__(self) -> Iterator[LogEntry]:
        return self.at(range(len(self)))

    def at(self, places: Iterable[int]) -> Iterator[LogEntry]:
        """The entries at these places, none of them negative."""
        self._settle()
        order = self._order
        for place in places:
            number = place if order is None else order[place]
            block = self._blocks[number // BLOCK]
            yield (self._unpacked(number // BLOCK, block) if isinstance(block, bytes) else block)[number % BLOCK]

    def between(self, since: float, until: float) -> range:
        """Places of the entries of this time, both ends included, to the microsecond."""
        self._settle()
        places = range(len(self))
        first = bisect_left(places, since, key=self._moment)
        return range(first, bisect_right(places, until, first, key=self._moment))

    def _moment(self, place: int) -> float:
        return round(self._times[place if self._order is None else self._order[place]], 6)

    def _settle(self) -> None:
        """Put in order what was written since."""
        if self._sorted:
            return
        times = self._times
        order = array("I", range(self._settled)) if self._order is None else self._order
        written = range(self._settled, len(times))
        place = bisect_left(order, min(times[self._settled :]), key=times.__getitem__)
        order[place:] = _by_time(times, array("I", chain(order[place:], written)))
        first = place
        for after in range(place + 1, len(order) + 1):
            if after < len(order) and times[order[after]] == times[order[first]]:
                continue
            if after - first > 1:
                order[first:after] = array("I", sorted(order[first:after], key=lambda n: self._entry(n).insert_id))
            first = after
        self._order = order
        self._last = (times[order[-1]], self._entry(order[-1]).insert_id)
        self._sorted, self._settled = True, len(order)

    def _entry(self, number: int) -> LogEntry:
        block = self._blocks[number // BLOCK]
        if isinstance(block, bytes):
            block = self._unpacked(number // BLOCK, block)
        return block[number % BLOCK]

    def _pack(self, number: int) -> None:
        block = self._blocks[number]
        assert isinstance(block, list), "a block is packed once"
        self._blocks[number] = zlib.compress(_encoder.encode(block), 1)

    def _unpacked(self, number: int, packed: bytes) -> list[LogEntry]:
        known = self._read.get(number)
        if known is None:
            known = self._read[number] = _decoder.decode(zlib.decompress(packed))
            if len(self._read) > UNPACKED:
                self._read.popitem(last=False)
        else:
            self._read.move_to_end(number)
        return known
