"""What the engineer reads."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.conclude.diagnosis import DayOfResults, Diagnosis, Forecast, Missing, State
from diagnostics.conclude.models import ModelRow
from diagnostics.evidence.model import Leg, Stage
from diagnostics.report import text
from diagnostics.report.ladder import seen
from diagnostics.report.layout import Layout, age, clock
from diagnostics.steps.finding import Row, Status

WIDE = Layout(120)
NARROW = Layout(80)


def line(output: str, begin: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(begin))


def test_the_first_line_is_the_verdict_and_the_second_whether_it_finishes_alone(night: Diagnosis) -> None:
    lines = text.render(night, WIDE).splitlines()
    assert lines[0].startswith("FAULT  batch_2026-02-08_1770550000 stuck at 15/181 for 13 min: ")
    assert lines[2] == ("Finishes alone?  no.  15 done, 166 gated, none waiting, none lost.  Last good batch 12:31Z.")


def test_none_waiting_is_claimed_only_when_every_item_is_accounted_for(night: Diagnosis) -> None:
    rows = tuple(replace(r, where={}) if r.where else r for r in night.ladder)
    said = text.render_short(replace(night, ladder=rows), WIDE)
    assert "15 done." in said
    assert "none" not in line(said, "Finishes alone?")
    rows = tuple(replace(r, where={"gated": 100, "unknown": 66}) if r.where else r for r in night.ladder)
    assert "none" not in line(text.render_short(replace(night, ladder=rows), WIDE), "Finishes alone?")


def test_the_header_says_where_when_and_that_it_is_the_lab(night: Diagnosis) -> None:
    said = " ".join(text.render(night, WIDE).split())
    for part in (
        "nba-props-platform us-west2 · now 2026-02-08 14:21:07Z, logs to 14:21:01Z, metrics to 14:18Z",
        "as user:oncall@example.com",
        "read-only",
        "4.2 s",
        "lab, not Google",
    ):
        assert part in said
    real = replace(night, pipeline=replace(night.pipeline, lab=False))
    assert "lab" not in text.render(real, WIDE)


def test_the_ladder_shows_where_it_stopped_and_folds_rows_that_add_nothing(night: Diagnosis) -> None:
    said = text.render(night, WIDE)
    assert line(said, "published").split()[:4] == ["published", "15", "166", "gated"]
    assert [row.split()[0] for row in said.splitlines() if "◀ HERE" in row] == ["published"]
    assert "(processed, returned, recorded likewise)" in line(said, "delivered")
    assert line(said, "closed").split()[1] == "no"
    verbose = text.render(night, WIDE, verbose=True)
    assert "likewise" not in verbose
    assert line(verbose, "recorded")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(stage=Stage.DELIVERED), "?"),
        (Row(stage=Stage.DELIVERED, seen_min=0, seen_max=0), "0"),
        (Row(stage=Stage.DELIVERED, seen_min=12, seen_max=15), "12–15"),
        (Row(stage=Stage.DELIVERED, seen_min=12), "12+"),
        (Row(stage=Stage.DELIVERED, seen_max=15), "0–15"),
        (Row(stage=Stage.DELIVERED, seen_min=12, seen_max=12, expected=15), "12 of 15"),
        (Row(stage=Stage.ROUTED, reached=True), "yes"),
        (Row(stage=Stage.ROUTED, reached=False), "no"),
        (Row(stage=Stage.ROUTED), "?"),
        (Row(stage=Stage.RETURNED, not_reached=True), "-"),
    ],
)
def test_what_was_not_seen_is_never_shown_as_zero(row: Row, expected: str) -> None:
    assert seen(row, 181) == expected


def test_unknown_rows_are_not_folded_into_good_ones(night: Diagnosis) -> None:
    rows = tuple(
        replace(r, status=Status.UNKNOWN, seen_min=None, seen_max=None) if r.stage is Stage.PROCESSED else r
        for r in night.ladder
    )
    said = text.render(replace(night, ladder=rows), WIDE)
    assert line(said, "processed").split()[1] == "?"


def test_causes_are_numbered_with_role_confidence_and_onset(night: Diagnosis) -> None:
    said = text.render(night, WIDE)
    assert line(said, "1 ").startswith("1 BLOCKS  gated-batch-never-closes  confirmed  since 14:02Z: expected count")
    assert line(said, "2 ").startswith("2 LATENT  poison-retry-storm        confirmed  since 02-05 11:40Z: the same 23")
    assert "batch state still expects 181" not in said
    verbose = text.render(night, WIDE, verbose=True)
    assert "    because  batch state still expects 181" in verbose
    assert "    against  no line says that the count was corrected" in verbose


def test_of_a_batch_that_nothing_tells_of_no_gap_of_the_profile_is_said_to_change_nothing(night: Diagnosis) -> None:
    gaps = tuple(
        Missing(what=what, leg=None, why=why, says="s", matters=False)
        for what, why in (("BatchMarks", "not_configured"), ("ItemMarks", "not_configured"), ("PushAccount", "denied"))
    )
    blind = replace(night, state=State.UNKNOWN, batch=None, causes=(), unknown=gaps)
    said = " ".join(text.render(blind, WIDE).split())
    assert "not seen 2 things, which the profile does not describe, and 1 more, which would change nothing" in said
    assert "3 things, which would change nothing" in text.render(replace(blind, batch=night.batch), WIDE)


def test_gaps_that_matter_are_named_and_moot_ones_counted(night: Diagnosis) -> None:
    said = text.render(night, WIDE)
    assert (
        line(said, "not seen") == "not seen   pubsub.subscriptions.getIamPolicy: would say why 2 is never dead-lettered"
    )
    assert "1 more, which would change nothing" in said
    assert "PushAccountPolicy" not in said
    verbose = text.render(night, WIDE, verbose=True)
    assert "PushAccountPolicy" in verbose
    assert "hides SubscriptionPolicy (request)" in verbose


def test_gaps_with_one_reason_share_a_line(night: Diagnosis) -> None:
    def gap(what: str, would_say: str, **more: str) -> Missing:
        return Missing(what=what, leg=None, why="x", would_say=would_say, **more)  # type: ignore[arg-type]

    denied = {"says": "no", "permission": "monitoring.timeSeries.list", "mend": "ask an owner"}
    gone = "the subscription does not exist"
    gaps = (
        gap("PushCounts", "how pushes are answered", **denied),
        gap("Backlog", "how many wait", **denied),
        gap("PublishCounts", "", **denied),
        gap("SubscriptionConfig", "", says=gone),
        gap("SubscriptionPolicy", "", says=f"not asked because {gone}"),
    )
    lines = text.render(replace(night, unknown=gaps), WIDE).splitlines()
    at = lines.index(
        "not seen   monitoring.timeSeries.list: would say how pushes are answered; how many wait. Ask an owner"
    )
    assert lines[at + 1] == "           the subscription does not exist: SubscriptionConfig, SubscriptionPolicy"
    used = "the log reads of this minute are used up; there is room in {} s"
    twice = (
        gap("RequestLog", "who refused", says=used.format(9)),
        gap("RequestLog", "who refused", says=used.format(10)),
    )
    assert text.render(replace(night, unknown=twice), WIDE).count("log reads of this minute") == 1
    offered = text.render(replace(night, unknown=gaps, next=("ask an owner",)), WIDE)
    assert offered.lower().count("ask an owner") == 1


def test_short_is_the_first_two_lines_and_the_causes(night: Diagnosis) -> None:
    said = text.render_short(night, WIDE)
    assert said.startswith("FAULT  ")
    assert "Finishes alone?" in said
    assert "2 LATENT" in said
    assert "stage" not in said
    assert "do now" not in said


def test_a_running_batch_says_when_it_ends_and_when_to_ask_again(night: Diagnosis) -> None:
    forecast = Forecast(done_by=night.as_of + timedelta(minutes=4), ask_again_at=night.as_of + timedelta(seconds=273))
    running = replace(night, state=State.RUNNING, finishes_alone=True, forecast=forecast)
    assert "yes, by 14:25Z at this pace. Ask again at 14:25:40Z." in text.render(running, WIDE)
    assert "Finishes alone?  could not tell." in text.render(replace(night, finishes_alone=None), WIDE)
    why = replace(night, finishes_alone=None, unsure=("it rests", "it is slow"))
    assert "Finishes alone?  could not tell: it rests; it is slow." in text.render(why, WIDE)
    assert "Finishes alone?  it has." in text.render(replace(night, state=State.DONE), WIDE)


def test_one_part_shows_its_findings_loudest_first(night: Diagnosis) -> None:
    part = replace(night, pipeline=replace(night.pipeline, command="delivery"))
    said = text.render(part, WIDE)
    assert said.index("fault    published.gated") < said.index("ok       delivered.acked")
    assert "published.gated" not in text.render(night, WIDE)


@pytest.mark.parametrize(
    ("status", "words", "printed"),
    [
        (Status.FAULT, {"mend": "gcloud run services update worker"}, "mend  gcloud run services update worker"),
        (
            Status.UNKNOWN,
            {"mend": "gcloud policy-intelligence troubleshoot-policy"},
            "tells  gcloud policy-intelligence",
        ),
        (Status.UNKNOWN, {"mend": "ask for a role with x.y.get", "permission": "x.y.get"}, ""),
    ],
)
def test_the_command_below_a_finding_mends_it_or_tells_it(
    night: Diagnosis, status: Status, words: dict[str, str], printed: str
) -> None:
    finding = replace(night.findings[0], status=status, words=words)
    part = replace(night, pipeline=replace(night.pipeline, command="delivery"), findings=(finding,))
    said = text.render(part, WIDE)
    assert printed in said
    assert printed or not any(word in said for word in ("mend  ", "tells  "))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_page_and_no_name_is_cut(night: Diagnosis, width: int) -> None:
    said = text.render(night, Layout(width), verbose=True)
    assert max(len(row) for row in said.splitlines()) <= width
    for name in ("batch_2026-02-08_1770550000", "gated-batch-never-closes", "pubsub.subscriptions.getIamPolicy"):
        assert name in said


@pytest.mark.parametrize("letters", [20, 38, 42])
def test_a_long_name_in_the_ladder_leaves_the_page_its_width(night: Diagnosis, letters: int) -> None:
    name = "s" * letters
    rows = tuple(replace(row, source=f"{name} → {name}") for row in night.ladder)
    rows = tuple(replace(row, where={"gated": 83, "retrying": 83}) if row.where else row for row in rows)
    said = text.render(replace(night, ladder=rows), Layout(80))
    assert max(len(row) for row in said.splitlines()) <= 80
    assert said.count(name) >= 2 and said.count("◀ HERE") == 1, "neither is cut"
    column = re.search(r"rest is {8,}seen in", line(said, "stage"))
    assert bool(column) == (letters == 20), "the mark gives its column only where it has to"


def test_models_are_a_table_where_there_is_room_and_else_one_after_the_other(night: Diagnosis) -> None:
    model = ModelRow(
        name="catboost_v9_33features_20260201_011018", sha256="5b3a187b1b6d", features=33, production=True,
        trained_from=date(2025, 11, 2), trained_to=date(2026, 1, 8), since=date(2026, 2, 1),
        serves=("prediction-worker-00138-bgg",), told_by=("manifest", "registry", "log"),
    )  # fmt: skip
    narrow = text.render(replace(night, models=(model,)), Layout(80))
    assert max(len(row) for row in narrow.splitlines()) <= 80
    for told in (
        "features 33",
        "SHA-256 5b3a187b1b6d",
        "status production since 2026-02-01",
        "manifest, registry, log",
    ):
        assert told in " ".join(narrow.split())
    small = replace(model, name="m", serves=(), told_by=("log",))
    assert line(text.render(replace(night, models=(small,)), WIDE), "model ").split()[-2:] == ["known", "to"]


def test_files_of_results_stand_below_the_dates_where_the_page_is_narrow(night: Diagnosis) -> None:
    file, other = "catboost_v9_33features_20260201_011018.cbm", "catboost_v9_33features_20260301_011018.cbm"
    days = tuple(
        DayOfResults(day=date(2026, 2, n), rows=9, active=9, versions=("v9_current_season",), files=(name,))
        for n, name in ((1, file), (2, file), (3, other))
    )
    narrow = text.render(replace(night, results=days), Layout(80))
    assert max(len(row) for row in narrow.splitlines()) <= 80
    assert f"file  2026-02-01 to 2026-02-02: {file}\nfile  2026-02-03: {other}\n" in narrow
    assert narrow.count("v9_current_season") == 3
    assert f"v9_current_season  {file}" in text.render(replace(night, results=days), WIDE)


def test_items_are_listed_as_they_are_named(night: Diagnosis) -> None:
    said = text.render_items(night, WIDE)
    assert line(said, "1e5").split() == ["1e5", "created", "gated", "existing_prediction"]
    assert "and 165 more of the batch, known by count only" in said
    assert "lebron_james" not in text.render_items(night, WIDE, missing_only=True)


def test_colour_only_where_the_terminal_wants_it_and_never_instead_of_the_word(night: Diagnosis) -> None:
    plain, coloured = text.render(night, WIDE), text.render(night, Layout(120, colour=True))
    assert "\x1b" not in plain
    assert coloured.startswith("\x1b[1;31mFAULT\x1b[0m  ")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_hostile_text_is_shown_and_not_obeyed(night: Diagnosis) -> None:
    evil = "x\x1b[2J\x9b31m\u202egnp\nFAULT forged\r\u200b"
    cause = replace(night.causes[0], says=evil, because=(evil,), code="a\x07b")
    item = replace(night.items[1], name=evil, reason=evil)
    said = replace(night, headline=evil, causes=(cause,), items=(item,), next=(evil,))
    for output in (text.render(said, WIDE, verbose=True), text.render_short(said, WIDE), text.render_items(said, WIDE)):
        assert not any(c in output for c in "\x1b\x9b\u202e\r\u200b\x07")
        assert not any(row.startswith("FAULT forged") for row in output.splitlines())
        assert "\\x1b[2J" in output


@pytest.mark.parametrize(
    ("batch", "then"),
    [
        ("batch_$(touch${IFS}PWN)", "then       pubsub-diag batch 'batch_$(touch${IFS}PWN)' --items"),
        ("-rf", "then       pubsub-diag batch --items -- -rf"),
        ("a\x1b[2J\u202e", "then       pubsub-diag batch BATCH --items   # BATCH cannot be typed here"),
    ],
)
def test_the_name_of_a_batch_is_one_argument_or_left_out(night: Diagnosis, batch: str, then: str) -> None:
    assert night.batch is not None
    assert line(text.render(replace(night, batch=replace(night.batch, id=batch)), WIDE), "then") == then


def test_a_command_goes_on_in_the_next_line_behind_a_backslash(night: Diagnosis) -> None:
    why = "and why it is so, at some length, as far as it goes"
    step = f"gcloud pubsub subscriptions update s --project=p --min-retry-delay=10s --max-retry-delay=600s   # {why}"
    said = text.render(replace(night, next=(step,)), Layout(80))
    assert (
        "do now     1  gcloud pubsub subscriptions update s --project=p \\\n"
        "              --min-retry-delay=10s --max-retry-delay=600s\n"
        f"              # {why}\n"
    ) in said


@pytest.mark.parametrize("letters", range(30, 60))
def test_no_line_of_a_command_is_wider_than_the_page(letters: int) -> None:
    """Its backslash and the blank before it are of the line."""
    said = Layout(80).command(
        "do now     1  ", f"pubsub-diag init --subscription {'s' * letters} --region europe-west1", 14
    )
    assert max(len(row) for row in said.splitlines()) <= 80


def test_every_query_of_a_source_has_its_own_line(night: Diagnosis) -> None:
    said = text.render(replace(night, sources={"Backlog": "sum(a)\nmax(b)"}), WIDE, verbose=True)
    assert "by hand  Backlog: sum(a)\nby hand  Backlog: max(b)\n" in said


def test_clock_gives_the_date_only_when_it_is_another() -> None:
    now = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
    assert clock(now, now, seconds=True) == "14:21:07Z"
    assert clock(now - timedelta(days=1), now) == "02-07 14:21Z"
    assert clock(now - timedelta(days=60), now) == "2025-12-10 14:21Z"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=13), "13 min"),
        (timedelta(minutes=125), "2 h 05 min"),
        (timedelta(days=3, hours=4, minutes=59), "3 d 4 h"),
    ],
)
def test_age_in_its_two_largest_units(span: timedelta, expected: str) -> None:
    assert age(span) == expected


def test_a_completion_cause_says_its_leg(night: Diagnosis) -> None:
    cause = replace(night.causes[1], leg=Leg.COMPLETION)
    assert "poison-retry-storm (completion)" in text.render_short(replace(night, causes=(cause,)), WIDE)


def test_what_is_read_as_one_stays_on_one_line(night: Diagnosis) -> None:
    told = [f"{'x' * n} 27 min after 10-07 13:09Z, up to 6.1 s, for 2 h 5 min" for n in range(20, 80)]
    for line_ in "\n".join(NARROW.wrap("because  ", says) for says in told).splitlines():
        assert not re.search(r"(\d|\d\d-\d\d|\d h)$", line_), line_
    head = text.render(replace(night, pipeline=replace(night.pipeline, lab=True)), NARROW)
    assert "lab, not Google" in head


def test_a_command_ends_no_line_between_an_option_and_its_value() -> None:
    said = NARROW.command("do now     1  ", "pubsub-diag runbook show completion-topic-deleted --leg completion")
    assert said.splitlines()[0].endswith(" \\")
    assert said.splitlines()[1].strip() == "--leg completion"


def test_what_nothing_explains_hangs_below_its_own_begin(night: Diagnosis) -> None:
    odd = replace(night.findings[0], says="word " * 40)
    lines = text.render(replace(night, unexplained=(odd,)), NARROW).splitlines()
    at = next(n for n, said in enumerate(lines) if said.startswith("unexplained "))
    assert lines[at].index("word") == lines[at + 1].index("word")


def test_whose_way_it_is_is_explained_where_it_is_named(night: Diagnosis) -> None:
    back = replace(night, causes=(replace(night.causes[0], leg=Leg.COMPLETION),))
    assert "(completion): from the worker to the coordinator" in " ".join(text.render(back, WIDE).split())
    part = replace(night, pipeline=replace(night.pipeline, command="delivery"), causes=())
    legs = {f.leg for f in part.findings}
    said = text.render(part, WIDE)
    assert ("(request): from the coordinator to the worker" in said) == (Leg.REQUEST in legs)
    assert ("(completion): from the worker" in said) == (Leg.COMPLETION in legs)


def test_a_line_of_bars_says_what_it_shows_and_is_left_out_where_it_shows_nothing(night: Diagnosis) -> None:
    days = [DayOfResults(day=date(2026, 2, n), rows=100 * n, active=50 * n) for n in (1, 2, 3)]
    assert "total   ▃▆█  by date, at most 300\nactive  ▃▆█  by date, at most 150" in text.render(
        replace(night, results=tuple(days)), WIDE
    )
    assert "by date" not in text.render(replace(night, results=tuple(days[:2])), WIDE)


def test_a_list_that_is_too_wide_has_one_row_after_the_other() -> None:
    head, rows = (
        ["run", "command", ""],
        [["20260208T222100Z-59e4b7604de5-11" * 2, "batch", "stuck " * 9], ["b", "lint", ""]],
    )
    assert WIDE.listing(head, rows) == WIDE.table(head, rows)
    said = NARROW.listing(head, rows)
    assert NARROW.fits(said) and said.splitlines()[-1] == "b  command: lint"
    assert "command: batch · stuck" in " ".join(said.split())
