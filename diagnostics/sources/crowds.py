"""Items whose lines tell the same story, by SQL: one of them is read, and how many it stands for.

A million items have more lines than can be read, and hardly any item is told otherwise than thousands of others. So Log Analytics sorts
them. The story of an item is the order of its lines, and of each line which markers it fits, what they capture, the revision that wrote
it, the span of time that it falls into, on which side of all trouble that is, and about how long after the one before it came. Of all
items of one story the one with the newest line is read, all of its lines; nothing is made up.

Stands for itself, whatever its story: an item with trouble of any kind, one that is still at work, one that was told of among the oldest
or newest lines, and a line that names no item.

Expressions are GoogleSQL's, patterns RE2's (BigQuery: string functions). A pattern of Python that RE2 does not know is refused by
BigQuery; one that it reads otherwise shows in the items that are read, and is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from datetime import datetime, timedelta
from typing import NamedTuple

from diagnostics.evidence.model import Means
from diagnostics.pipeline.profile import Marker
from diagnostics.sources.entries import STDERR, STDOUT
from diagnostics.sources.log_analytics import BARE, ONCE, Texts, Values, place_of, where_of
from diagnostics.sources.markers import NAMES, WORDS
from diagnostics.sources.results.sql import Statement
from diagnostics.sources.route import Services

_PLAIN = frozenset(
    {
        Means.PUBLISHED_ITEM, Means.STARTED_ITEM, Means.DONE_ITEM, Means.SKIPPED_ITEM, Means.RETURNED_ITEM, Means.RECORDED_ITEM,
    }
)  # fmt: skip
"""Lines that tell of no trouble."""
_ENDS = frozenset({Means.DONE_ITEM, Means.SKIPPED_ITEM})
_LATELY = timedelta(hours=1)
"""What is told since then is told apart by the minute."""
_MINUTE_S = 60
_SPANS = 200
"""Into so many spans is the time before that divided."""
_BESIDE = " + ".join(
    f"IF(timestamp {sign} troubles.{moment}{one}, 0, 1)"
    for one in ("", "_")
    for sign, moment in (("<=", "begun"), ("<=", "first"), ("<", "last"))
)
"""On which side a line is of the begin of all items that had trouble, of their first trouble and of the last; of those with trouble to this
day by themselves, too."""
_COUNTED = "r'^[0-9]{1,9}$'"


class Told(NamedTuple):
    """Of which lines, and of which of them each item stands for itself."""

    asked: Sequence[Texts]
    markers: Sequence[Marker]
    services: Services
    since: datetime
    until: datetime
    old: datetime
    """Whatever has a line until then."""
    young: datetime
    """Whatever has a line from then on."""
    fresh: Set[str]
    """What has a line that is younger than all that is asked for."""


def statement(view: str, told: Told) -> Statement:
    """The query. Raises NotSeen where a marker's field can be named by no path."""
    values = Values(since=told.since, until=told.until, old=told.old, young=told.young)
    values.named["fresh"] = "\n".join(sorted(told.fresh))
    which = "\n    OR ".join(f"({where_of(one, values)})" for one in told.asked)
    fits = [_fits(marker, told.services, values) for marker in told.markers]
    listed = ",\n    ".join(f"COALESCE({fit}, FALSE) AS m{n}" for n, fit in enumerate(fits))
    sql = f"""WITH lines AS (
  SELECT {BARE}, json_payload,
    TO_JSON_STRING(json_payload) AS payload, TO_JSON_STRING(resource.labels) AS resource_labels, TO_JSON_STRING(labels) AS labels,
    JSON_VALUE(resource.labels, '$.revision_name') AS revision, JSON_VALUE(labels, '$.instanceId') AS instance,
    {listed}
  FROM `{view}`
  WHERE timestamp >= @since AND timestamp <= @until
    AND ({which})
  {ONCE}
),
told AS (
  SELECT {BARE}, payload, resource_labels, labels, revision, instance,
    {_any(told.markers, lambda m: m.means not in _PLAIN)} AS trouble,
    {_any(told.markers, lambda m: m.means is Means.STARTED_ITEM)} AS begun,
    {_any(told.markers, lambda m: m.means in _ENDS)} AS ended,
    {_any(told.markers, lambda m: m.means is Means.RETURNED_ITEM)} AS returned,
    {_any(told.markers, lambda m: m.means is Means.RECORDED_ITEM)} AS recorded,
    {_item(told.markers, values)} AS item,
    {_says(told.markers, values)} AS says
  FROM lines
),
bad AS (
  SELECT item, MIN(timestamp) AS begun, MIN(IF(trouble, timestamp, NULL)) AS first, MAX(IF(trouble, timestamp, NULL)) AS last,
    COALESCE(MAX(IF(ended, timestamp, NULL)), @since) < MAX(IF(trouble, timestamp, NULL)) AS lasts
  FROM told
  WHERE item IN (SELECT item FROM told WHERE trouble AND item IS NOT NULL)
  GROUP BY item
),
troubles AS (
  SELECT MIN(begun) AS begun, MIN(first) AS first, MAX(last) AS last,
    MIN(IF(lasts, begun, NULL)) AS begun_, MIN(IF(lasts, first, NULL)) AS first_, MAX(IF(lasts, last, NULL)) AS last_
  FROM bad
),
parts AS (
  SELECT item, timestamp, insert_id, told.begun, ended, returned, recorded, instance,
    trouble OR timestamp <= @old OR timestamp >= @young
      OR COALESCE(trace IN (SELECT trace FROM told WHERE item IS NULL AND trouble AND trace IS NOT NULL), FALSE) AS alone,
    CONCAT(says, '@', COALESCE(revision, ''), '@', {_span(told, values)}, '@', {_after()}, '@', CAST({_BESIDE} AS STRING)) AS part
  FROM told CROSS JOIN troubles
  WHERE item IS NOT NULL
),
stories AS (
  SELECT item,
    LOGICAL_OR(alone) OR item IN UNNEST(SPLIT(@fresh, '\\n'))
      OR COALESCE(MAX(IF(begun, timestamp, NULL)) > COALESCE(MAX(IF(ended, timestamp, NULL)), @since), FALSE) AS alone,
    CONCAT(STRING_AGG(part, ' ' ORDER BY timestamp, insert_id), ' ', CAST(COUNT(DISTINCT instance) AS STRING),
      IF(LOGICAL_OR(recorded), '', COALESCE(MAX(IF(returned, instance, NULL)), ''))) AS story,
    MAX(timestamp) AS newest
  FROM parts
  GROUP BY item
),
chosen AS (
  SELECT MAX_BY(item, newest) AS item, COUNT(*) AS many FROM stories WHERE NOT alone GROUP BY story
  UNION ALL
  SELECT item, 1 AS many FROM stories WHERE alone
)
SELECT told.timestamp, told.insert_id, told.log_name, told.trace, told.text_payload, told.payload, told.resource_labels, told.labels,
  told.item, COALESCE(chosen.many, 1) AS many
FROM told LEFT JOIN chosen ON told.item = chosen.item
WHERE told.item IS NULL OR chosen.item IS NOT NULL
ORDER BY timestamp, insert_id"""  # noqa: S608 values are parameters, the view and the paths are checked
    return Statement(sql, values.named)


def _any(markers: Sequence[Marker], is_one: Callable[[Marker], bool]) -> str:
    """Whether a line fits any of these markers."""
    return "(" + (" OR ".join(f"m{n}" for n, marker in enumerate(markers) if is_one(marker)) or "FALSE") + ")"


def _fits(marker: Marker, services: Services, values: Values) -> str:
    """Whether a line is one that the marker describes."""
    receiver = services.worker if marker.service == "worker" else services.coordinator
    if receiver is None:
        return "FALSE"
    service = "JSON_VALUE(resource.labels, '$.service_name')"
    own = f"{service} = {values(receiver.service)}"
    if marker.log:
        whose = f"log_id = {values(marker.log)} AND ({service} IS NULL OR {own})"
    else:
        whose = f"log_id IN ({values(STDOUT)}, {values(STDERR)}) AND {own}"
    text = place_of(marker.field)
    contains = f"STRPOS(LOWER({text}), {values(marker.contains.lower())}) > 0"
    return f"({whose} AND {contains} AND REGEXP_CONTAINS({text}, {values(marker.pattern)}))"


def _captured(marker: Marker, values: Values) -> dict[str, str]:
    """What the marker captures of a line, by name."""
    text = place_of(marker.field)
    groups = re.compile(marker.pattern).groupindex
    found = {name: f"REGEXP_EXTRACT({text}, {values(alone(marker.pattern, name))})" for name in groups}
    return found | {
        name: f"COALESCE({place_of(path)}, {found.get(name, 'NULL')})" for name, path in marker.captures.items()
    }


def _item(markers: Sequence[Marker], values: Values) -> str:
    """The item that a line names."""
    named = [(n, _captured(marker, values).get("item")) for n, marker in enumerate(markers)]
    listed = [f"IF(m{n}, NULLIF({item}, ''), NULL)" for n, item in named if item]
    return f"COALESCE({', '.join([*listed, 'NULL'])})"


def _says(markers: Sequence[Marker], values: Values) -> str:
    """What a line says by each marker that it fits. Of a number only whether it is none."""
    parts = []
    for n, marker in enumerate(markers):
        of = _captured(marker, values)
        told = [f"'{n}'", *(_word(name, of[name]) for name in sorted(of) if name != "item")]
        parts.append(f"IF(m{n}, CONCAT({', '.join(told)}), '')")
    return f"CONCAT({', '.join(parts)}, '')"


def _word(name: str, value: str) -> str:
    said = f"COALESCE({value}, '')"
    if name not in WORDS and name not in NAMES:
        said = f"IF(REGEXP_CONTAINS({said}, {_COUNTED}), IF(CAST({said} AS INT64) = 0, '0', 'n'), {said})"
    return f"'/', {said}"


def _span(told: Told, values: Values) -> str:
    """In which span of time a line is."""
    lately = max(told.until - _LATELY, told.since)
    wide_s = max(_MINUTE_S, int((lately - told.since).total_seconds()) // _SPANS)
    values.named["lately"] = lately
    late = f"CONCAT('m', CAST(DIV(TIMESTAMP_DIFF(timestamp, @lately, SECOND), {_MINUTE_S}) AS STRING))"
    return f"IF(timestamp >= @lately, {late}, CAST(DIV(TIMESTAMP_DIFF(timestamp, @since, SECOND), {wide_s}) AS STRING))"


def _after() -> str:
    """How long after the item's line before: twice as long is another story."""
    before = "LAG(timestamp) OVER (PARTITION BY item ORDER BY timestamp, insert_id)"
    seconds = f"GREATEST(COALESCE(TIMESTAMP_DIFF(timestamp, {before}, SECOND), 0), 1)"
    return f"CAST(FLOOR(LOG({seconds}, 2)) AS STRING)"


def alone(pattern: str, name: str) -> str:
    """The same pattern, capturing this name and nothing else: REGEXP_EXTRACT gives what its only group holds."""
    return _PART.sub(lambda part: part[0] if part["opens"] is None else "(" if part["name"] == name else "(?:", pattern)


_PART = re.compile(r"(?s)\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<opens>\((?:\?P<(?P<name>\w+)>|(?!\?)))|.")
"""Part of a pattern: a sign with its backslash, a set of signs, what opens a group that captures, any other sign."""
