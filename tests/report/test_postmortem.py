"""The postmortem says what was seen and how sure that is, defines its durations, and obeys no text from logs."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from markdown_it import MarkdownIt

from diagnostics.causes.model import Confidence, Role
from diagnostics.cli import main
from diagnostics.cli.do import postmortem as postmortems
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Named, RuledOut
from diagnostics.evidence.model import (
    Backlog,
    Change,
    ChangeLog,
    Evidence,
    ItemMarks,
    Leg,
    Mark,
    Means,
    Revisions,
    Stage,
    SubscriptionPolicy,
    Unseen,
    Why,
)
from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, Note, NoteKind
from diagnostics.report.postmortem import charts, front, html, markdown
from diagnostics.report.postmortem.build import LONGEST, LONGEST_QUERY, MOST_OF_LINES, build, signed
from diagnostics.report.postmortem.curves import COLUMNS, thinned
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Entry, Postmortem
from diagnostics.report.postmortem.moments import moments
from diagnostics.report.postmortem.timeline import MOST
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Row, Status, Telling
from diagnostics.steps.outcome import claims
from diagnostics.steps.outcome.of_batch import UNREAD
from diagnostics.steps.tells import Hidden
from tests.report.postmortems import BATCH, OLD, at, concluded, hostile, mended, night, with_evidence

EVIL = (
    "\x1b]0;x\x07\x1b[2J\n# forged\r\n| a | b |\n<script>alert(1)</script><img src=x onerror=a>&lt;b&gt; [here](https://evil.example) "
    "![i](https://evil.example/i.png) `c` **b** @octocat #12 www.evil.example https://evil.example mailto:a@b.example $x$ "
    "{{ 7*7 }} {% raw %} ]]> --> '\" \u202e\u2066\u200b\ufeff\x00 \\"
)
HEADINGS = [
    "Summary", "Impact", "Trigger", "Causes", "Detection", "Resolution", "What went well, badly, and where we got lucky",
    "Action items", "Timeline", "Links", "Appendix: the record",
]  # fmt: skip


class Page(HTMLParser):
    """A page taken apart as a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_data(self, data: str) -> None:
        if self.headings and self.headings[-1][1] == "":
            self.headings[-1] = (self.headings[-1][0], data.strip())
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def said() -> Postmortem:
    return build([night()])


@pytest.fixture(scope="module")
def page(said: Postmortem) -> str:
    return html.render(said)


def moment(said: Postmortem, name: str) -> datetime | None:
    return next(m.at for m in said.moments if m.name == name)


def seconds(said: Postmortem, name: str) -> float | None:
    return next(d.seconds for d in said.durations if d.name == name)


# --- what it says -------------------------------------------------------------------------------------------------------


def test_the_night_in_sentences(said: Postmortem) -> None:
    told = " ".join(said.summary)
    assert "had got to 15 of 181 items at 22:21Z" in told
    assert "It was held by gated-batch-never-closes (confirmed)" in told
    assert "it was noticed by 22:17Z at the latest" in told
    assert "At the last look, 2026-02-08 22:21Z, it was not over." in told
    assert "166 gated (kept back by the coordinator before it published)" in told


def test_start_of_impact_is_the_onset_of_what_blocks_and_not_the_older_storm(said: Postmortem) -> None:
    start = moment(said, "START OF IMPACT")
    (since,) = (c.since for c in said.causes if c.role == "blocks")
    assert since is not None and start == since
    assert min(c.since for c in said.causes if c.since) < since, "a latent cause is older"


def test_an_end_that_was_not_seen_is_not_invented(said: Postmortem) -> None:
    assert moment(said, "END OF IMPACT") is None
    whole = next(d for d in said.durations if d.name == "whole impact")
    assert whole.at_least
    assert not [e for e in said.timeline if e.mark == "END OF IMPACT"]


def test_noticed_later_than_it_could_have_been(said: Postmortem) -> None:
    start, detectable, noticed = (moment(said, n) for n in ("START OF IMPACT", "first detectable", "noticed"))
    assert start and detectable and noticed and start < detectable < noticed
    assert seconds(said, "impact to detection") == (noticed - start).total_seconds()
    assert any("could have been" in w for w in said.went_badly)


def test_a_look_that_saw_it_done_gives_end_and_mitigation_as_a_range() -> None:
    said = build([night(), mended(night(), timedelta(minutes=30))])
    end = next(m for m in said.moments if m.name == "END OF IMPACT")
    seen = concluded(night()).as_of
    assert (end.not_before, end.at) == (seen, seen + timedelta(minutes=30))
    assert [e.mark for e in said.timeline if e.mark][-1] in ("END OF IMPACT", "MITIGATED")
    assert next(n.value for n in said.impact if n.name == "items late") == "166"


def test_the_impact_tells_how_many_of_what_counts_as_done_has_results() -> None:
    def lost(batch: str, found: int, code: Telling[claims.Claimed] = claims.SHORT) -> Finding:
        told = claims.Claimed(claimed=15, found=found, date_="2026-02-07", by_worker=1)
        return code.says(Status.WARNING, "some are missing", subject=subjects.batch(batch), tells=told)

    def impact(*findings: Finding) -> str | None:
        said = build([at(night(), concluded(night()).as_of, findings=(*concluded(night()).findings, *findings))])
        return next((n.value for n in said.impact if n.name == "items with results"), None)

    assert impact() is None, "nobody looked"
    assert impact(lost(BATCH, 11), lost(BATCH, 9, claims.NOT_STORED), lost("batch_of_another_night", 1)) == "9 of 15"
    assert impact(lost(BATCH, 15, claims.COMPLETE)) == "15 of 15"


def test_what_an_older_run_counted_of_the_results_is_not_told_after_a_newer_one_saw_them() -> None:
    def after(newer: Finding) -> str | None:
        told = claims.Claimed(claimed=15, found=9, date_="2026-02-07", by_worker=1)
        old = claims.SHORT.says(Status.WARNING, "some are missing", subject=subjects.batch(BATCH), tells=told)
        begin = concluded(night()).as_of
        runs = [at(night(), begin + timedelta(hours=n), findings=(f,)) for n, f in enumerate((old, newer))]
        return next((n.value for n in build(runs).impact if n.name == "items with results"), None)

    assert after(claims.WRITTEN.says(Status.OK, "rows are there", subject=subjects.batch(BATCH))) is None
    assert after(_unread()) == "9 of 15", "it did not see them"


def _unread() -> Finding:
    blind = Hidden.of(Unseen(what="ResultRows", why=Why.PERMISSION_DENIED, says="denied"))
    return UNREAD.says(Status.UNKNOWN, "not seen", subject=subjects.batch(BATCH), tells=blind)


def _claim(code: Telling[claims.Claimed], found: int) -> Finding:
    told = claims.Claimed(claimed=181, found=found, date_="2026-02-07", by_worker=1)
    status = Status.OK if found == 181 else Status.WARNING
    return code.says(status, f"{found} of 181 have results", subject=subjects.batch(BATCH), tells=told)


def _closed_with(*looks: tuple[Finding, ...]) -> Postmortem:
    """The night, and looks each an hour later that saw the batch done and these findings."""
    runs = [mended(night(), timedelta(hours=n)) for n in range(1, len(looks) + 1)]
    late = [at(run, run.case.evidence.now, findings=findings) for run, findings in zip(runs, looks, strict=True)]
    return build([night(), *late])


WRITTEN = claims.WRITTEN.says(Status.OK, "rows are there", subject=subjects.batch(BATCH))
REDONE = claims.REDONE.says(Status.OK, "a later one did it again", subject=subjects.batch(BATCH))


@pytest.mark.parametrize(
    ("looks", "status", "says"),
    [
        ([(_claim(claims.SHORT, 176),)], "open", "results of 5 of 181 items that count as done were missing"),
        ([(_claim(claims.SHORT, 176),), (WRITTEN,)], "open", "were missing, and no later look counted them"),
        ([(_claim(claims.SHORT, 176),), (_unread(),)], "open", "results of 5 of 181 items"),
        ([(_claim(claims.COMPLETE, 181),), (_claim(claims.SHORT, 176),)], "open", "results of 5 of 181 items"),
        ([(_claim(claims.SHORT, 176),), (_claim(claims.COMPLETE, 181),)], "over", "then its results were there"),
        ([(_claim(claims.MISSING, 0),), (WRITTEN,)], "over", "then its results were there"),
        ([(_claim(claims.SHORT, 176),), (REDONE,)], "over", "then a later batch had done its date again"),
        ([(_unread(),)], "over", "whether its results are there was not seen"),
        ([(_claim(claims.COMPLETE, 181),)], "over", "the second saw it done"),
    ],
    ids=["short", "rows after short", "unread after short", "short at last", "counted", "rows", "again", "unread", "whole"],
)  # fmt: skip
def test_it_is_not_over_while_results_of_it_are_missing(
    looks: list[tuple[Finding, ...]], status: str, says: str
) -> None:
    said = _closed_with(*looks)
    assert said.standing.status == status
    assert says in said.standing.rests_on
    end = next(m for m in said.moments if m.name == "END OF IMPACT")
    assert (end.at is None) == (status == "open")
    assert ("at least" in said.standing.measured) == (status == "open")
    if "then" in says:
        assert end.at and end.not_before and end.at - end.not_before == timedelta(hours=1)


def test_a_batch_that_was_in_no_other_trouble_has_the_impact_of_its_missing_results() -> None:
    """Done in time, and 5 of 181 left nothing: no impact of nothing, and none for 0 s."""
    healthy = mended(night(), timedelta(0))
    said = build([at(healthy, healthy.case.evidence.now, findings=(_claim(claims.SHORT, 176),))])
    told = " ".join(said.summary)
    assert said.standing.status == "open"
    assert "results of 5 of 181 items that count as done were missing" in told
    assert "held or slowed" not in told and "0 s" not in said.standing.measured
    assert any("results of 5 of 181 items" in left for left in said.residue)
    assert not any("nothing on record" in line for line in said.lucky)


def test_the_short_timeline_keeps_how_the_batch_began_and_ended() -> None:
    begin = datetime(2026, 2, 8, 22, 3, tzinfo=UTC)
    phases = [Entry(at=begin + timedelta(seconds=n), kind="batch", says=f"phase {n}") for n in range(30)]
    closing = Entry(at=begin + timedelta(minutes=9), kind="batch", says="batch closed at 181 of 181")
    seen = Seen([night()])
    told = front.key((*phases, closing), moments(seen))
    assert len(told) == front.MOST_KEY
    assert [told[0].says, told[-1].says] == ["phase 0", "batch closed at 181 of 181"]


def test_what_lies_in_one_place_at_two_stages_is_counted_together() -> None:
    """Four dead letters on the way there and three on the way back are seven."""
    ladder = (
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={"dead_lettered": 4}),
        Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where={"dead_lettered": 3}),
    )
    said = build([at(night(), concluded(night()).as_of, ladder=ladder)])
    assert next(n.value for n in said.impact if n.name == "items dead-lettered") == "7"
    assert any(left.startswith("7 items dead-lettered") for left in said.residue)


def test_a_look_at_the_past_is_not_when_it_was_noticed() -> None:
    now = concluded(night()).as_of
    said = build([at(msgspec.structs.replace(night(), notes=()), now, looked_at=now + timedelta(days=4))])
    assert moment(said, "noticed") is None
    assert "nobody noted it" in next(m.says for m in said.moments if m.name == "noticed")


def test_the_first_note_is_when_it_was_noticed() -> None:
    noted = datetime(2026, 2, 8, 22, 9, tzinfo=UTC)
    said = build([night()], [Note(at=noted, says="somebody saw 15/181", batch=BATCH, written=noted)])
    assert moment(said, "noticed") == noted
    assert ("note", "somebody saw 15/181") in [(e.kind, e.says) for e in said.timeline]


def _note(kind: NoteKind, says: str, minutes: int) -> Note:
    when = datetime(2026, 2, 8, 22, 9, tzinfo=UTC) + timedelta(minutes=minutes)
    return Note(at=when, says=says, batch=BATCH, written=when, kind=kind)


def test_what_was_done_is_not_when_it_was_noticed_if_a_note_says_when_that_was() -> None:
    said = build([night()], [_note(NoteKind.DID, "rolled back", -1), _note(NoteKind.DETECTED, "paged", 3)])
    assert moment(said, "noticed") == datetime(2026, 2, 8, 22, 12, tzinfo=UTC)


def test_what_was_believed_is_told_as_that_and_nobody_is_said_not_to_have_guessed() -> None:
    said = build([night()], [_note(NoteKind.BELIEVED, "a poison storm", 0)])
    assert ("note", "believed: a poison storm") in [(e.kind, e.says) for e in said.timeline]
    assert any("it was believed: a poison storm" in line for line in said.went_badly)
    assert not any("guess" in line for line in said.went_well)


def test_what_is_noted_as_resolved_and_seen_by_no_look_is_said_so() -> None:
    said = build([night()], [_note(NoteKind.RESOLVED, "closed it by hand", 60)])
    told = next(m for m in said.moments if m.name == "mitigated")
    assert (told.at, told.says) == (datetime(2026, 2, 8, 23, 9, tzinfo=UTC), "noted as resolved; no look saw it")


def test_the_same_run_twice_tells_everything_once(said: Postmortem) -> None:
    twice = build([night(), night()])
    assert [e for e in twice.timeline if e.kind != "look"] == [e for e in said.timeline if e.kind != "look"]
    assert twice.charts == said.charts


def test_a_cause_that_a_later_look_refuted_is_a_hypothesis_and_no_cause() -> None:
    first, now = night(), concluded(night()).as_of
    suspect = Named(
        code="push-invoker-missing", title="t", leg=Leg.REQUEST, stage=Stage.DELIVERED, role=Role.BLOCKS,
        confidence=Confidence.POSSIBLE, since=None, says="s",
    )  # fmt: skip
    out = RuledOut(code=suspect.code, leg=Leg.REQUEST, because="it may call the worker")
    early = at(first, now - timedelta(minutes=5), causes=(suspect,))
    said = build([early, at(first, now, ruled_out=(out,))])
    assert suspect.code not in {c.code for c in said.causes}
    (told,) = (h.refuted_by for h in said.hypotheses if h.name.startswith(suspect.code))
    assert "it may call the worker" in told and "named possible" in told


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (Confidence.CONFIRMED, "It was held by"),
        (Confidence.PROBABLE, "It was probably held by"),
        (Confidence.POSSIBLE, "It was possibly held by"),
    ],
)
def test_no_cause_is_put_more_strongly_than_its_evidence(confidence: Confidence, words: str) -> None:
    causes = tuple(msgspec.structs.replace(c, confidence=confidence) for c in concluded(night()).causes)
    said = build([at(night(), concluded(night()).as_of, causes=causes)])
    assert words in " ".join(said.summary)
    assert "root cause" not in markdown.render(said).lower()


def test_without_a_blocking_cause_it_is_undetermined() -> None:
    said = build([at(night(), concluded(night()).as_of, causes=())])
    assert "What held it is undetermined." in said.summary
    assert said.causes == ()


def test_what_another_look_saw_is_no_gap_and_what_none_saw_is() -> None:
    def blind(part: Evidence | Unseen) -> Evidence | Unseen:
        if isinstance(part, SubscriptionPolicy):
            return Unseen(what="SubscriptionPolicy", leg=Leg.REQUEST, why=Why.EXPIRED, says="it is no longer kept")
        return part

    blinded = with_evidence(night(), blind)
    assert "SubscriptionPolicy (request leg)" in {g.what for g in build([blinded]).unseen}
    assert "SubscriptionPolicy (request leg)" not in {g.what for g in build([blinded, night()]).unseen}


def test_changes_that_could_not_be_read_are_not_said_to_be_none() -> None:
    def no_log(part: Evidence | Unseen) -> Evidence | Unseen | None:
        return None if isinstance(part, ChangeLog) else part

    said = build([with_evidence(night(), no_log)])
    assert "no change" not in said.trigger.says


def test_it_happened_before_only_if_a_kept_run_says_so(said: Postmortem) -> None:
    assert "not known" in said.recurrence[0]
    old = concluded(night()).batch
    assert old is not None
    other = at(night(), concluded(night()).as_of, batch=msgspec.structs.replace(old, id="batch_2026-02-01_1"))
    assert any(
        "batch_2026-02-01_1: gated-batch-never-closes" in r for r in build([night()], earlier=[other]).recurrence
    )


def test_it_names_service_accounts_and_no_person(page: str, said: Postmortem) -> None:
    for text in (page, markdown.render(said)):
        assert not re.search(r"person-[0-9a-f]{4}", text)
    assert "iam.gserviceaccount.com" in page


def test_runs_about_no_batch_make_no_postmortem() -> None:
    with pytest.raises(ValueError, match="none of the runs"):
        build([msgspec.structs.replace(night(), diagnosis=None)])


# --- numbers over time --------------------------------------------------------------------------------------------------


def test_charts_show_what_was_measured_and_break_where_nothing_was(said: Postmortem) -> None:
    chart = next(c for c in said.charts if c.id == "backlog")
    backlog = night().case.evidence.get(Backlog, Leg.REQUEST)
    assert isinstance(backlog, Backlog)
    first, last = chart.times[0] - timedelta(seconds=chart.step_s), chart.times[-1]
    points = [p for s in backlog.undelivered for p in s.within(first, last)]
    values = [v for v in chart.lines[0].values if v is not None]
    assert values == [p.value for p in points]
    assert None in chart.lines[0].values, "the newest minutes are not visible yet"
    assert len(chart.times) <= COLUMNS


def test_fewer_rows_keep_the_sum_of_counts_and_the_peak_of_levels(said: Postmortem) -> None:
    for chart in (c for c in said.charts if not c.missing):
        few = thinned(chart, 7)
        assert len(few.times) <= 7
        for whole, part in zip(chart.lines, few.lines, strict=True):
            together = sum if whole.adds else max
            assert together(v for v in part.values if v is not None) == pytest.approx(
                together(v for v in whole.values if v is not None)
            )


def test_drawn_lines_have_as_many_points_as_the_table(said: Postmortem) -> None:
    for chart in (c for c in said.charts if not c.missing):
        drawn = charts.svg(chart)
        paths = re.findall(r'class="mark-line role-mark layer_0_marks"[^>]*><path d="([^"]*)"', drawn)
        assert sum(len(re.findall("[ML]", d)) for d in paths) == sum(
            v is not None for x in chart.lines for v in x.values
        )
        assert "time (UTC)" in drawn and chart.unit in drawn


def test_without_the_libraries_html_says_what_to_install_and_markdown_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(charts, "find_spec", lambda _: None)
    assert main.run(["postmortem", "-o", "html", str(OLD)]) == 3
    err = capsys.readouterr().err
    assert "altair and vl-convert" in err and charts.INSTALL in err
    assert main.run(["postmortem", "-q", str(OLD)]) == 0
    assert capsys.readouterr().out.startswith("# Postmortem: ")


# --- the page -----------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(page: str) -> None:
    tags = Page(page).tags
    assert len(page.encode()) < 500_000
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not {t for t, _ in tags} & {"script", "img", "iframe", "object", "embed", "form", "base", "image", "use"}
    addresses = {str(a[k]) for _, a in tags for k in ("href", "src", "xlink:href") if k in a}
    assert {x for x in addresses if not x.startswith("#")} == {"data:,"}
    assert not re.search(r"url\(|@import", page)


def test_headings_are_in_order_and_every_table_is_named(page: str) -> None:
    taken = Page(page)
    levels = [level for level, _ in taken.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [text for level, text in taken.headings if level == 2] == HEADINGS
    names = [t for t, _ in taken.tags]
    assert names.count("table") == names.count("caption") == names.count("thead")
    assert all("scope" in a for t, a in taken.tags if t == "th")
    assert all(a.get("aria-label") for t, a in taken.tags if t == "svg")


def test_impact_is_marked_in_the_timeline(page: str, said: Postmortem) -> None:
    assert "START OF IMPACT: " in Page(page).text
    assert "**START OF IMPACT:**" in markdown.render(said)
    assert [e.at for e in said.timeline] == sorted(e.at for e in said.timeline)


def test_markdown_has_the_first_page_and_the_record_behind_it(said: Postmortem) -> None:
    tokens = MarkdownIt("gfm-like").parse(markdown.render(said))
    titles = [(t.tag, tokens[n + 1].content) for n, t in enumerate(tokens) if t.type == "heading_open"]
    first = [title for tag, title in titles if tag == "h2"]
    assert first == [
        "Summary", "Impact", "Trigger", "Causes", "Detection", "Resolution", "What went well", "What went badly", "Where we got lucky",
        "Action items", "Timeline", "Links", "Appendix: the record",
    ]  # fmt: skip
    record = [title for tag, title in titles if tag == "h3"]
    assert record[0] == "Moments and durations" and record[-1] == "Queries"
    assert max(len(c.content) for t in tokens for c in t.children or [] if c.type == "text") < LONGEST


def test_markdown_pastes_without_anything_that_only_some_readers_take_back(said: Postmortem) -> None:
    text = markdown.render(said)
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    assert "<!--" not in text and not re.search(r"\\[_*@#-]", prose)


# --- what stands at the head ----------------------------------------------------------------------------------------------


def test_status_and_severity_are_measured_and_what_only_people_know_is_left_to_them(said: Postmortem) -> None:
    standing = said.standing
    assert (standing.status, standing.severity, standing.authors) == ("open", "", ())
    assert standing.measured == "166 of 181 items missing at the last look; impact for at least 19 min"
    assert "- **Severity:** ____ (measured: 166 of 181" in markdown.render(said)
    text = markdown.render(signed(said, "SEV 2", ["A. Author", "b@example.com"]))
    assert "- **Severity:** SEV 2 (measured" in text
    assert "- **Authors:** A. Author, `b@example.com`" in text, "who signs it says so"


def test_a_batch_that_came_through_is_over_and_one_that_somebody_calls_over_is_only_noted_as_that() -> None:
    assert build([night(), mended(night(), timedelta(minutes=30))]).standing.status == "over"
    noted = build([night()], [_note(NoteKind.RESOLVED, "closed it by hand", 60)])
    assert noted.standing.status == "noted as resolved"
    assert "02-08 23:09Z noted as over: closed it by hand" in noted.resolution.done


def test_a_batch_in_no_trouble_had_none() -> None:
    healthy = mended(night(), timedelta(0))
    said = build([healthy])
    assert said.standing.status == "no impact seen"
    assert said.resolution.says == "There was nothing to resolve: no look saw it held or slowed."
    assert not said.lucky


def test_notes_stand_where_their_kind_belongs() -> None:
    said = build(
        [night(), mended(night(), timedelta(minutes=30))],
        [
            _note(NoteKind.DETECTED, "paged by the dashboard", 3),
            _note(NoteKind.BELIEVED, "a poison storm", 4),
            _note(NoteKind.DID, "closed it with what was there", 20),
        ],
    )
    assert any("paged by the dashboard" in line for line in said.detection)
    assert any("closed it with what was there" in line for line in said.resolution.done)
    assert any("a poison storm" in line for line in said.went_badly)
    others = " ".join((*said.resolution.done, *said.detection))
    assert "a poison storm" not in others


def test_what_was_ready_to_bite_and_did_not_is_luck(said: Postmortem) -> None:
    assert any(line.startswith("min-instances-lost-in-deploy was there") for line in said.lucky)
    assert not any("gated-batch-never-closes" in line for line in said.lucky), "what held the batch was none"


def test_an_end_that_somebody_brought_is_no_luck() -> None:
    def lucky(*notes: Note) -> bool:
        alone = msgspec.structs.replace(night(), notes=())
        said = build([alone, msgspec.structs.replace(mended(alone, timedelta(minutes=30)), notes=())], notes)
        return any("nothing on record" in line for line in said.lucky)

    assert lucky()
    assert not lucky(_note(NoteKind.DID, "closed it", 20))
    assert not lucky(_note(NoteKind.RESOLVED, "closed it by hand", 40)), "a note of any kind is a note"


def test_an_end_is_luck_only_where_all_is_known_that_may_have_brought_it() -> None:
    def lucky(change: Callable[[Evidence | Unseen], Evidence | Unseen | None], ladder: tuple[Row, ...] = ()) -> bool:
        first = msgspec.structs.replace(night(), notes=())
        then = msgspec.structs.replace(mended(first, timedelta(minutes=30)), notes=())
        then = at(then, then.case.evidence.now, ladder=ladder)
        said = build([with_evidence(first, change), with_evidence(then, change)])
        return any("nothing on record" in line for line in said.lucky)

    begin = datetime(2026, 2, 8, 22, 2, 28, tzinfo=UTC)

    def since(start: datetime) -> Callable[[Evidence | Unseen], Evidence | Unseen]:
        return lambda part: msgspec.structs.replace(part, since=start) if isinstance(part, ChangeLog) else part

    def with_change(minutes: int) -> Callable[[Evidence | Unseen], Evidence | Unseen]:
        made = _change(begin + timedelta(minutes=minutes))
        return lambda part: _with_changes(part, made)

    def with_revision(part: Evidence | Unseen) -> Evidence | Unseen:
        if not isinstance(part, Revisions):
            return part
        new = msgspec.structs.replace(part.revisions[0], created=begin + timedelta(minutes=25))
        return msgspec.structs.replace(part, revisions=(new, *part.revisions))

    assert lucky(since(begin - timedelta(hours=1)))
    assert not lucky(since(begin + timedelta(minutes=5))), "the logs of the time before were not read"
    assert not lucky(with_change(10)), "before the first look"
    assert lucky(with_change(-10)), "before it began"
    assert not lucky(with_revision)
    assert not lucky(
        lambda part: part, ladder=(Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={"dead_lettered": 4}),)
    )


def test_a_cause_that_may_have_bitten_is_no_luck() -> None:
    now = concluded(night()).as_of
    (latent,) = (c for c in concluded(night()).causes if c.code == "min-instances-lost-in-deploy")

    def luck(**changed: object) -> list[str]:
        cause = msgspec.structs.replace(latent, **changed)
        return [line for line in build([at(night(), now, causes=(cause,))]).lucky if line.startswith(latent.code)]

    assert luck() and "probably" not in luck()[0]
    assert "was possibly there" in luck(confidence=Confidence.POSSIBLE)[0]
    assert not luck(active=True), "whether items of the batch meet it nothing tells"
    assert not luck(since=now + timedelta(minutes=1))


def _change(when: datetime, method: str = "UpdateSubscription") -> Change:
    return Change(
        at=when,
        api="pubsub.googleapis.com",
        method=method,
        resource="subscriptions/prediction-request-prod",
        by="ops@p.iam.gserviceaccount.com",
        ok=True,
    )


def _with_changes(part: Evidence | Unseen, *made: Change) -> Evidence | Unseen:
    return msgspec.structs.replace(part, changes=(*part.changes, *made)) if isinstance(part, ChangeLog) else part


def test_what_was_done_stands_in_one_order_and_what_is_nearest_to_the_end_is_kept() -> None:
    begin = datetime(2026, 2, 8, 22, 3, tzinfo=UTC)
    changes = [_change(begin + timedelta(seconds=30 * n), f"Change{n}") for n in range(20)]
    run = with_evidence(night(), lambda part: _with_changes(part, *changes))
    said = build(
        [run, mended(run, timedelta(minutes=30))],
        [_note(NoteKind.DID, "gave the grant", 2), _note(NoteKind.DID, "wrote it up", 60)],
    )
    done = said.resolution.done
    assert [line[:11] for line in done] == sorted(line[:11] for line in done)
    note = next(n for n, line in enumerate(done) if "gave the grant" in line)
    assert 0 < note < len(done) - 1
    assert any("Change19 " in line for line in done) and not any("Change7 " in line for line in done)
    assert "Of 20 changes of configuration these are the last 12" in said.resolution.says
    assert not any("wrote it up" in line for line in done), "an hour after the end"


def test_what_was_done_is_not_said_to_be_all_where_the_audit_log_was_hidden_at_the_end() -> None:
    def hidden(part: Evidence | Unseen) -> Evidence | Unseen:
        denied = Unseen(what="ChangeLog", why=Why.PERMISSION_DENIED, says="denied")
        return denied if isinstance(part, ChangeLog) else part

    later = with_evidence(mended(night(), timedelta(minutes=30)), hidden)
    alone = [msgspec.structs.replace(run, notes=()) for run in (night(), later)]
    says = build(alone).resolution.says
    assert "Nothing that was done is on record" not in says
    assert "the audit logs were not read in full" in says
    noted = build(alone, [_note(NoteKind.DID, "closed it", 20)]).resolution.says
    assert "The audit logs were not read in full: there may be more." in noted


def test_actions_have_a_priority_by_what_the_cause_did_and_blanks_for_owner_and_due_date() -> None:
    causes = concluded(night()).causes
    said = build([night()], prevent={cause.code: f"avoid {cause.code}" for cause in causes})
    by_source = {a.source: a.priority for a in said.actions if a.kind == "prevent"}
    assert by_source["gated-batch-never-closes"] == "high"
    assert by_source["min-instances-lost-in-deploy"] == "low"
    assert [a.priority for a in said.actions] == sorted(
        (a.priority for a in said.actions), key=("high", "medium", "low").index
    )
    row = next(line for line in markdown.render(said).splitlines() if "avoid gated-batch" in line)
    assert row.endswith("| ____ | ____ |")


def test_no_backlog_is_said_to_drain_where_nothing_of_the_batch_waited(said: Postmortem) -> None:
    """The subscription's level rose and fell beside it: 166 were never published."""
    told = next(m for m in said.moments if m.name == "backlog drained")
    assert told.at is None and "no item of this batch waited" in told.says


def test_links_lead_to_the_pages_of_its_resources(said: Postmortem) -> None:
    assert (said.links, said.no_links) == ((), "a lab has no Cloud Console")
    header = msgspec.structs.replace(concluded(night()).pipeline, lab=False)
    real = build([at(night(), concluded(night()).as_of, pipeline=header)])
    urls = {link.name: link.url for link in real.links}
    console = "https://console.cloud.google.com/"
    request = urls["subscription prediction-request-prod (request leg)"]
    assert request == f"{console}cloudpubsub/subscription/detail/prediction-request-prod?project=nba-props-platform"
    metrics = urls["metrics of prediction-worker"]
    assert metrics == f"{console}run/detail/us-west2/prediction-worker/metrics?project=nba-props-platform"
    log = urlsplit(urls["log of prediction-worker, 22:02Z to 22:21Z"])
    assert (log.netloc, log.query) == ("console.cloud.google.com", "project=nba-props-platform")
    query = unquote(log.path.removeprefix("/logs/query;query="))
    assert 'resource.labels.service_name="prediction-worker"' in query and 'timestamp>="2026-02-08T22:02:28Z"' in query
    tokens = MarkdownIt("gfm-like").parse(markdown.render(real))
    opened = [str(t.attrs["href"]) for block in tokens for t in block.children or [] if t.type == "link_open"]
    assert sorted(opened) == sorted(urls.values())
    hrefs = [a["href"] for t, a in Page(html.render(real)).tags if t == "a" and not str(a["href"]).startswith("#")]
    assert sorted(map(str, hrefs)) == sorted(urls.values())


def test_a_name_that_is_none_gets_no_link() -> None:
    header = msgspec.structs.replace(concluded(night()).pipeline, lab=False)
    bad = hostile(at(night(), concluded(night()).as_of, pipeline=header), EVIL)
    profile = msgspec.structs.replace(bad.case.profile, project="x)](https://evil.example")
    assert build([msgspec.structs.replace(bad, case=replace(bad.case, profile=profile))]).links == ()


def test_commands_of_the_record_are_whole_and_can_be_pasted(said: Postmortem) -> None:
    tokens = MarkdownIt("gfm-like").parse(markdown.render(said))
    blocks = [t.content for t in tokens if t.type == "fence"]
    asked = [line for query in said.queries for line in query.by_hand]
    assert sorted(line for block in blocks for line in block.splitlines()) == sorted(asked)
    assert not any("…" in line for line in asked)
    for line in asked:
        if line.startswith("gcloud "):
            assert shlex.split(line)


@pytest.mark.parametrize(
    ("by_hand", "query", "told"),
    [
        ("\n".join(f"gcloud pubsub topics describe t{n}" for n in range(9)), "", "gcloud pubsub topics describe t8"),
        ("", "\n".join(f"GET /v1/topics/t{n}" for n in range(9)), "the query was `GET /v1/topics/t0`"),
        ("", "GET /v1/" + "t" * LONGEST_QUERY, "What was asked is too long to stand here"),
        ("g\n" * MOST_OF_LINES, "", "What was asked is too long to stand here"),
        ("", "", "Neither a command nor a query is kept of it."),
    ],
    ids=["command", "query", "long query", "many lines", "neither"],
)
def test_what_was_asked_is_whole_or_it_is_said_why_it_is_not_there(by_hand: str, query: str, told: str) -> None:
    def asked(part: Evidence | Unseen) -> Evidence | Unseen:
        if not isinstance(part, Backlog):
            return part
        return msgspec.structs.replace(part, source=msgspec.structs.replace(part.source, by_hand=by_hand, query=query))

    said = build([with_evidence(night(), asked)])
    backlog = next(q for q in said.queries if q.what.startswith("Backlog (request"))
    assert len(backlog.by_hand) in (0, 9) and len(backlog.query) in (0, 9)
    text = markdown.render(said).split("**`Backlog (request leg)`**")[1].split("\n\n**")[0]
    assert told in text
    if not by_hand[:2].strip() and not query:
        assert "too long" not in text
    if not backlog.by_hand and not backlog.query:
        assert told in Page(html.render(said)).text


# --- text that is not ours ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked() -> Postmortem:
    bad = hostile(night(), EVIL)
    return build([bad], [Note(at=bad.made_at, says=EVIL, batch="", written=bad.made_at)], [bad], {})


def dangerous(text: str) -> set[str]:
    return {
        c
        for c in text
        if c != "\n" and (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\u202e\u2066\u200b\ufeff")
    }


def test_hostile_text_is_everywhere_in_the_attack(attacked: Postmortem) -> None:
    plain = msgspec.to_builtins(attacked)
    for part in ("title", "summary", "causes", "hypotheses", "timeline", "looks", "queries", "charts", "residue"):
        assert "onerror=a" in str(plain[part]) or "\\x1b]0" in str(plain[part]), part


def test_no_hostile_text_is_obeyed_on_the_page(attacked: Postmortem, page: str) -> None:
    rendered = html.render(attacked)
    there, taken = {t for t, _ in Page(page).tags}, Page(rendered)
    assert {t for t, _ in taken.tags} <= there | {"h4"}
    assert not [k for _, a in taken.tags for k in a if k.startswith("on") or k in ("src", "srcdoc")]
    assert {str(a["href"]) for t, a in taken.tags if "href" in a and not str(a["href"]).startswith("#")} == {"data:,"}
    assert [text for level, text in taken.headings if level == 2] == HEADINGS
    assert not dangerous(rendered)
    assert "<script>alert(1)</script>" in taken.text, "it is shown as text"
    assert "{{ 7*7 }}" in taken.text
    assert len(rendered.encode()) < 500_000


def test_what_draws_the_charts_escapes_names_of_lines(said: Postmortem) -> None:
    chart = next(c for c in said.charts if c.id == "backlog")
    line = msgspec.structs.replace(chart.lines[0], name="</text><script>x</script>&")
    drawn = charts.svg(
        msgspec.structs.replace(chart, lines=(line,), unit="<a href='x'>", limit=3, limit_name="<g onload=x>")
    )
    tags = Page(drawn).tags
    assert {t for t, _ in tags} <= {"svg", "g", "path", "line", "text"}
    assert not [k for _, a in tags for k in a if k.startswith("on") or k == "href"]


def test_no_hostile_text_is_obeyed_in_markdown(attacked: Postmortem) -> None:
    rendered = markdown.render(attacked)
    tokens = MarkdownIt("gfm-like").parse(rendered)
    inline = [t for block in tokens for t in (block.children or [])]
    assert not dangerous(rendered)
    assert not [t for t in tokens if t.type == "html_block"]
    assert not [t.content for t in inline if t.type == "html_inline"]
    assert not [t for t in inline if t.type in ("link_open", "image")]
    headings = [tokens[n + 1].content for n, t in enumerate(tokens) if t.type == "heading_open"]
    assert not [h for h in headings if h.startswith("forged")]
    assert sum(t.type == "heading_open" and t.tag == "h1" for t in tokens) == 1
    for head, row in _rows(rendered):
        assert row == head, "a bar in a cell made another cell"


def _rows(text: str) -> list[tuple[int, int]]:
    """(cells of the head, cells of the row) for every row of every table."""
    found, head = [], 0
    for line in text.splitlines():
        if not line.startswith("| "):
            head = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line.replace("\\\\", "")))
        head = head or cells
        found.append((head, cells))
    return found


def test_a_file_that_was_not_redacted_gives_no_secret_and_no_person_away() -> None:
    said = build([hostile(night(), " password=hunter22 alice@example.com Authorization: Bearer ya29.abcdefghijklmnop")])
    for text in (html.render(said), markdown.render(said)):
        assert "a person" in text
        assert not re.search(r"hunter22|alice|ya29\.abc", text)


def test_endless_lines_are_cut() -> None:
    said = build([hostile(night(), "A" * 100_000)])
    assert len(html.render(said).encode()) < 500_000
    assert max(len(e.says) for e in said.timeline) <= LONGEST


def test_a_batch_with_a_hundred_thousand_lines_stays_readable() -> None:
    def many(part: Evidence | Unseen) -> Evidence | Unseen:
        if not isinstance(part, ItemMarks):
            return part
        begin = datetime(2026, 2, 8, 22, 3, tzinfo=UTC)
        marks = tuple(
            Mark(
                means=(Means.STARTED_ITEM, Means.FAILED_ITEM)[n % 2], at=begin + timedelta(milliseconds=10 * n),
                service="worker", batch=BATCH, item=f"item-{n // 2}", words={"reason": f"reason {n % 900}"},
            )
            for n in range(100_000)
        )  # fmt: skip
        return msgspec.structs.replace(part, marks=marks)

    said = build([with_evidence(night(), many)])
    assert len(said.timeline) <= MOST
    assert any("50000 items" in e.says or "items reached" in e.says for e in said.timeline)
    assert len(html.render(said).encode()) < 500_000


def test_marks_stay_however_much_there_is() -> None:
    def many(part: Evidence | Unseen) -> Evidence | Unseen:
        if not isinstance(part, ChangeLog):
            return part
        (change,) = part.changes
        changes = tuple(msgspec.structs.replace(change, at=change.at + timedelta(seconds=n)) for n in range(1000))
        return msgspec.structs.replace(part, changes=changes)

    said = build([with_evidence(night(), many), mended(night(), timedelta(minutes=30))])
    assert len(said.timeline) == MOST and said.left_out > 500
    assert {"START OF IMPACT", "END OF IMPACT"} <= {e.mark for e in said.timeline}


# --- the command --------------------------------------------------------------------------------------------------------


def keep(bundle: Bundle) -> str:
    return store.keep(bundle.case, bundle.diagnosis)


def test_all_kept_runs_of_a_batch_and_its_notes_are_merged(capsys: pytest.CaptureFixture[str]) -> None:
    keep(night())
    keep(mended(night(), timedelta(minutes=30)))
    when = concluded(night()).as_of + timedelta(minutes=10)
    store.note(Note(at=when, says="closed it by hand", batch=BATCH, written=when))
    assert main.run(["postmortem", BATCH]) == 0
    told = capsys.readouterr()
    assert told.err.count("from a run of") == 2
    assert "closed it by hand" in told.out
    assert "from 2 kept runs" in told.out
    assert main.run(["postmortem", "-q"]) == 0
    assert capsys.readouterr().out == told.out, "the newest batch is meant where none is named"


def test_action_items_come_from_the_runbooks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["postmortem", "-q", str(OLD)]) == 0
    out = capsys.readouterr().out
    assert "| high | prevent | Lower the expected count in the same step" in out
    assert "{batch}" not in out


def test_html_by_the_name_of_the_file(tmp_path: Path) -> None:
    out = tmp_path / "night.html"
    assert main.run(["postmortem", "-q", str(OLD), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("which", [[], ["batch_that_nobody_kept"], ["no-such-file.gz"]])
def test_nothing_kept_is_said_with_what_to_do(which: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["postmortem", *which]) == 3
    assert "pubsub-diag capture" in capsys.readouterr().err


def test_evidence_that_no_run_keeps_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(postmortems, "build", impossible)
    assert main.run(["postmortem", "-q", str(OLD)]) == 3
    assert capsys.readouterr().err.startswith("pubsub-diag: no postmortem can be written of these runs: date value")


def test_runs_about_several_batches_are_refused() -> None:
    """A start that made no batch is not about the batch before it, either."""
    old = concluded(night()).batch
    assert old is not None
    other = at(night(), concluded(night()).as_of, batch=msgspec.structs.replace(old, id=""))
    case = replace(other.case, command="watch", ask=msgspec.structs.replace(other.case.ask, batch=""))
    none = msgspec.structs.replace(other, case=case)
    with pytest.raises(Trouble, match="several batches: a start that made no batch, batch_2026-02-07_1770588120"):
        postmortems._agree([night(), none])
