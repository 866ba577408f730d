"""A diagnosis as it is read: its fields, and the pages that it is printed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.report import text
from diagnostics.report.escape import clean_all
from diagnostics.report.layout import Layout
from diagnostics.scoring.pattern import one_line
from diagnostics.steps.finding import Finding, Kind, Row, Status, Where

WIDTHS = (80, 100)


@dataclass(frozen=True)
class Answer:
    """One printed answer."""

    found: Diagnosis
    cut: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Kinds of evidence that were read in part, and how many there are of what was read."""

    @cached_property
    def said(self) -> Diagnosis:
        """As it is printed: without control characters."""
        return clean_all(self.found)

    @cached_property
    def pages(self) -> tuple[str, ...]:
        """The text at each width, in one line: where it breaks does not matter, nor that a command goes on behind a backslash."""
        return tuple(one_line(text.render(self.found, Layout(width)).replace(" \\\n", "\n")) for width in WIDTHS)

    @property
    def of_batch(self) -> bool:
        return self.said.pipeline.command == "batch" and self.said.batch is not None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Rows that something came to."""
        return tuple(row for row in self.said.ladder if not row.not_reached)

    @cached_property
    def places(self) -> Counter[str]:
        """Where the rest of all rows is."""
        counted: Counter[str] = Counter()
        for row in self.rows:
            counted.update(row.where)
        return +counted

    @cached_property
    def wrong(self) -> tuple[Finding, ...]:
        """What was found and has to be accounted for."""
        return tuple(f for f in self.said.findings if f.abnormal and f.kind is not Kind.NOTE)

    @property
    def blocking(self) -> tuple[Named, ...]:
        return tuple(c for c in self.said.causes if c.role is Role.BLOCKS)

    def printed(self, words: str) -> bool:
        """Whether every page has these words."""
        return all(one_line(words) in page for page in self.pages)

    def of(self, cause: Named) -> tuple[Finding, ...]:
        """Findings that are the cause's own: its mechanism and its effects."""
        return tuple(
            f
            for f in self.said.findings
            if f.says in cause.because
            and (f.leg is None or cause.leg in (None, f.leg))
            and f.status is not Status.UNKNOWN
        )


def stays(row: Row) -> int:
    """How many items a row says stayed behind; what is more than expected does not."""
    return sum(count for where, count in row.where.items() if where != Where.SURPLUS)


def named(row: Row) -> str:
    return f"{row.leg}.{row.stage}" if row.leg else row.stage.value
