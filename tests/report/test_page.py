"""The answer as a page: what the text says is in it, nothing of a log is markup, and nothing is fetched or run."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from diagnostics.conclude.diagnosis import DayOfResults, Diagnosis
from diagnostics.keep.bundle import load
from diagnostics.report import page
from diagnostics.report.results import MOST
from diagnostics.run.investigate import investigate

BUNDLE = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"


class Reader(HTMLParser):
    """The tags, the texts and the attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(diagnosis: Diagnosis) -> Reader:
    reader = Reader()
    reader.feed(page.render([diagnosis]))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def night() -> Diagnosis:
    return investigate(load(BUNDLE, ours=True).case)


def test_it_has_the_verdict_the_ladder_the_causes_and_what_to_do(night: Diagnosis) -> None:
    said = " ".join(" ".join(read(night).texts).split())
    for part in (
        night.headline,
        "Finishes alone?",
        "◀ here",
        "166 gated",
        *night.next,
        *(c.says for c in night.causes),
    ):
        assert part in said
    for cause in night.causes:
        assert all(reason in said for reason in cause.because)


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</main>", "{{ 7 * 7 }}"]
)
def test_nothing_of_a_log_is_markup(night: Diagnosis, hostile: str) -> None:
    cause = replace(night.causes[0], says=hostile, because=(hostile,))
    plain, odd = read(night), read(replace(night, headline=hostile, causes=(cause, *night.causes[1:]), next=(hostile,)))
    assert set(odd.tags) == set(plain.tags) and "script" not in odd.tags and "img" not in odd.tags
    assert hostile in "".join(odd.texts)


def test_it_asks_for_nothing_and_runs_nothing(night: Diagnosis) -> None:
    whole, found = page.render([night]), read(night)
    assert ("content", page.POLICY) in found.attributes and "default-src 'none'" in page.POLICY
    assert not any(name.startswith("on") or name == "src" for name, _ in found.attributes)
    assert [value for name, value in found.attributes if name == "href"] == ["data:,"]
    assert not re.search(r"@import|url\(", whole)


def test_results_by_date_are_drawn_as_bars_and_told_as_numbers(night: Diagnosis) -> None:
    days = tuple(
        DayOfResults(day=date(2026, 2, n), rows=rows, active=active, versions=("<b>v9</b>",), files=())
        for n, rows, active in ((1, 143, 143), (2, 0, 0), (7, 474, 148))
    )
    found = read(replace(night, results=days))
    assert [v for k, v in found.attributes if k == "width"] == ["30.2", "30.2", "0.0", "0.0", "100.0", "31.2"]
    told = " ".join(" ".join(found.texts).split())
    assert "2026-02-01 143 143 <b>v9</b>" in told and "2026-02-02 none" in told and "2026-02-07 474 148" in told
    assert "b" not in found.tags
    assert "Results by date" not in page.render([night])
    many = tuple(replace(days[0], day=date(2025, 1, 1) + timedelta(days=n)) for n in range(MOST + 3))
    assert "3 dates before are left out" in page.render([replace(night, results=many)])


def test_a_fold_of_items_is_there_only_where_items_are_named(night: Diagnosis) -> None:
    assert ("details" in read(night).tags) == any(item.where for item in night.items)
    assert "details" not in read(replace(night, items=())).tags
