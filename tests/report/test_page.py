"""The answer as a page: what the text says is in it, nothing of a log is markup, and nothing is fetched or run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.keep.bundle import load
from diagnostics.report import page
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


def test_a_fold_of_items_is_there_only_where_items_are_named(night: Diagnosis) -> None:
    assert ("details" in read(night).tags) == any(item.where for item in night.items)
    assert "details" not in read(replace(night, items=())).tags
