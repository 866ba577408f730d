"""Every output for scripts is read by a consumer of its format, says the same as the others, and obeys no text from logs."""

from __future__ import annotations

import json as std
import re
import sys
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from diagnostics.conclude.diagnosis import Diagnosis, Exit, Suppressed
from diagnostics.conclude.gauges import Gauges
from diagnostics.evidence.model import Leg
from diagnostics.report import formats, github, markdown
from diagnostics.report.layout import Layout
from diagnostics.steps.finding import Finding, Status
from tests.report.consumers import perfdata, plugin_output, workflow_command
from tests.sampling import examples

PAGE = Layout(120)
SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[1] / "data" / "junit.xsd")
EVIL = (
    "x\x1b[2J\n::error title=forged::gone\r\n# forged | 'a'=1;2 <img src=x onerror=a> [here](https://evil.example) `c` **b** @octocat "
    "#12 www.evil.example mailto:a@b.example $x$ %0A::warning::y \ufffe\u202e &lt; pubsub_diag_up 0 \\"
)
ACCEPTED = Suppressed(
    code="poison-retry-storm",
    leg=Leg.REQUEST,
    status=Status.WARNING,
    says="the same 23 items fail",
    until=date(2026, 3, 1),
    reason="known, ticket 77",
)

MACHINES = ("junit", "github", "nagios", "prometheus", "markdown")


def render(form: str, *diagnoses: Diagnosis) -> str:
    return formats.render(form, diagnoses, PAGE)


def standing(night: Diagnosis, status: Status, code: Exit) -> Diagnosis:
    return replace(night, status=status, exit_code=code)


def evil(night: Diagnosis) -> Diagnosis:
    """The night with hostile text wherever text can come from a log, a name or a message of an API."""
    plain = msgspec.to_builtins(night)
    kept = {
        "status",
        "stage",
        "leg",
        "role",
        "kind",
        "confidence",
        "state",
        "here",
        "here_leg",
        "bears",
        "as_of",
        "since",
        "until",
        "last",
    }
    kept |= {"started", "last_progress", "last_good_at", "logs_as_of", "metrics_as_of", "where", "command"}

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) if k not in kept else v for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [poison(v, key) for v in value]
        return EVIL if isinstance(value, str) and value else value

    return replace(
        msgspec.convert(poison(plain), Diagnosis), suppressed=(replace(ACCEPTED, says=EVIL, reason=EVIL, code=EVIL),)
    )


# --- JUnit ------------------------------------------------------------------------------------------------------------


def test_junit_is_what_its_schema_says_and_a_reader_finds_the_verdict(night: Diagnosis) -> None:
    said = render("junit", replace(night, suppressed=(ACCEPTED,)))
    SCHEMA.validate(said)
    (suite,) = JUnitXml.fromstring(said.encode())
    cases = {f"{case.classname}/{case.name}": case for case in suite}
    verdict = cases["pubsub-diag.verdict/batch_2026-02-08_1770550000"]
    assert verdict.is_failure
    assert verdict.result[0].message == night.headline
    named = cases["pubsub-diag.cause/gated-batch-never-closes (request)"]
    assert named.is_skipped and named.result[0].message == "it is what the verdict says"
    assert cases["pubsub-diag.cause/poison-retry-storm (request)"].is_failure, "another trouble"
    assert cases["pubsub-diag.delivered/delivered.acked (request)"].is_passed
    assert cases["pubsub-diag.not_seen/SubscriptionPolicy (request)"].is_skipped
    assert "known, ticket 77" in cases["pubsub-diag.accepted/poison-retry-storm (request)"].result[0].message
    assert (suite.tests, suite.failures, suite.errors) == (len(cases), 3, 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.OK, Exit.OK),
        (Status.IDLE, Exit.OK),
        (Status.WARNING, Exit.OK),  # --fail-on fault
        (Status.WARNING, Exit.WARNING),
        (Status.FAULT, Exit.FAULT),
        (Status.UNKNOWN, Exit.UNKNOWN),
    ],
)
def test_a_build_is_as_red_as_the_exit_code_says(night: Diagnosis, status: Status, code: Exit) -> None:
    said = standing(night, status, code)
    (suite,) = JUnitXml.fromstring(render("junit", said).encode())
    red = {Exit.OK: (False, False), Exit.WARNING: (True, False), Exit.FAULT: (True, False)}
    if code is Exit.UNKNOWN:
        assert suite.errors > 0
    else:
        assert (suite.failures > 0, suite.errors > 0) == red[code]
    levels = {workflow_command(line).name for line in render("github", said).splitlines()}
    assert ("error" in levels) is (code in (Exit.FAULT, Exit.UNKNOWN))
    assert plugin_output(render("nagios", said)).status == ["OK", "WARNING", "CRITICAL", "UNKNOWN"][code]


def test_a_schema_that_takes_anything_would_prove_nothing() -> None:
    for wrong in (
        '<testsuites tests="1" failures="0" errors="0"><testsuite name="a" tests="x" failures="0" errors="0"/></testsuites>',
        '<testsuites tests="1" failures="0" errors="0"><suite/></testsuites>',
        '<testsuites tests="1" failures="0" errors="0" colour="red"/>',
    ):
        with pytest.raises(xmlschema.XMLSchemaValidationError):
            SCHEMA.validate(wrong)


def test_one_trouble_is_one_failure(night: Diagnosis) -> None:
    """A lost setting is one thing to mend, whatever is seen of it; what no cause accounts for fails beside it."""
    lost = replace(
        night.causes[0], because=("the gate let 15 through",), hence=("pushes fail", "the batch stands still")
    )
    seen = [replace(night.findings[0], says=says, status=Status.FAULT) for says in (*lost.because, *lost.hence)]
    seen = [replace(f, leg=lost.leg, code=f"a.b{n}") for n, f in enumerate(seen)]

    def failing(*findings: Finding) -> list[str]:
        said = replace(night, causes=(lost,), findings=findings, unknown=())
        (suite,) = JUnitXml.fromstring(render("junit", said).encode())
        return [f"{case.classname}/{case.name}" for case in suite if case.is_failure]

    assert failing(*seen) == ["pubsub-diag.verdict/batch_2026-02-08_1770550000"]
    beside = replace(seen[0], says="quite another thing", code="x.y")
    assert failing(*seen, beside)[1:] == ["pubsub-diag.x/x.y (request)"]


def test_cases_of_one_name_are_told_apart(night: Diagnosis) -> None:
    said = render("junit", replace(night, findings=night.findings + night.findings))
    (suite,) = JUnitXml.fromstring(said.encode())
    names = [f"{case.classname}/{case.name}" for case in suite]
    assert len(names) == len(set(names))


# --- GitHub -----------------------------------------------------------------------------------------------------------


def test_github_annotations_begin_with_the_verdict(night: Diagnosis) -> None:
    commands = [
        workflow_command(line) for line in render("github", replace(night, suppressed=(ACCEPTED,))).splitlines()
    ]
    assert (commands[0].name, commands[0].properties["title"]) == ("error", "FAULT batch nba-predictions")
    assert commands[0].message.startswith(f"{night.headline}\nFinishes alone? no.")
    assert [c.name for c in commands] == ["error", "error", "warning", "notice", "notice"]
    assert commands[2].properties["title"] == "latent: poison-retry-storm (request) (confirmed)"
    assert "known, ticket 77" in commands[-1].message


def test_github_limits_are_kept_and_what_is_left_out_is_counted(night: Diagnosis) -> None:
    cause = night.causes[1]
    many = tuple(replace(cause, code=f"cause-{n}", says="long " * 2000) for n in range(25))
    lines = render("github", replace(night, causes=many)).splitlines()
    commands = [workflow_command(line) for line in lines]
    for level in github.LEVELS:
        assert len([c for c in commands if c.name == level]) <= 10
    warnings = [c for c in commands if c.name == "warning"]
    assert warnings[-1].properties["title"] == "and 16 more"
    assert "cause-24" in warnings[-1].message
    assert all(len(c.message) <= 4096 and len(c.properties["title"]) <= 255 for c in commands)


@given(st.text(), st.text())
def test_github_escapes_are_undone_by_the_runner(title: str, message: str) -> None:
    line = github.command(github.Annotation("error", title, message))
    assert len(line.splitlines()) <= 1 or set(line) & set(
        "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    )  # no break to the runner
    read = workflow_command(line)
    assert (read.name, read.properties.get("title", ""), read.message) == ("error", title, message)


# --- Nagios -----------------------------------------------------------------------------------------------------------


def test_nagios_reads_status_and_numbers(night: Diagnosis) -> None:
    read = plugin_output(render("nagios", replace(night, suppressed=(ACCEPTED,))))
    assert (read.service, read.status, read.text) == ("PUBSUB-DIAG", "CRITICAL", night.headline)
    assert (read.perfdata["items_done"].value, read.perfdata["items_done"].most) == (15, 181)
    assert (read.perfdata["idle"].value, read.perfdata["idle"].unit) == (780, "s")
    assert (read.perfdata["not_seen"].value, read.perfdata["accepted"].value) == (1, 1)
    assert any("known, ticket 77" in line for line in read.long_text)


WORK = Gauges(
    leg=Leg.REQUEST, subscription="work", waiting=95, oldest_age_s=974, pushes_per_min=3.6, failing_share=0.25
)
BACK = Gauges(leg=Leg.COMPLETION, subscription="back", waiting=0)


def test_nagios_reads_what_waits_and_what_fails(night: Diagnosis) -> None:
    read = plugin_output(render("nagios", replace(night, subscriptions=(WORK, BACK)))).perfdata
    assert (read["request_unacked"].value, read["request_oldest_age"].value) == (95, 974)
    assert (read["request_failing"].value, read["request_failing"].unit) == (25, "%")
    assert (read["completion_unacked"].value, read["completion_failing"].value) == (0, None)


def test_prometheus_has_what_waits_and_what_fails(night: Diagnosis) -> None:
    said = render("prometheus", replace(night, subscriptions=(WORK, BACK)))
    found = {
        (sample.name.removeprefix("pubsub_diag_subscription_"), sample.labels["subscription"]): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
        if "subscription" in sample.labels
    }
    assert found == {
        ("unacked_messages", "work"): 95,
        ("unacked_messages", "back"): 0,
        ("oldest_unacked_age_seconds", "work"): 974,
        ("pushes_per_minute", "work"): 3.6,
        ("failing_ratio", "work"): 0.25,
    }


def test_what_nagios_cannot_know_is_u_and_never_0(night: Diagnosis) -> None:
    assert night.batch
    blind = replace(night, batch=replace(night.batch, done=None, last_progress=None))
    read = plugin_output(render("nagios", blind)).perfdata
    assert read["items_done"].value is None
    assert read["idle"].value is None


def test_of_several_the_worst_gives_the_status(night: Diagnosis) -> None:
    fine = replace(standing(night, Status.OK, Exit.OK), pipeline=replace(night.pipeline, pipeline="other one"))
    read = plugin_output(render("nagios", fine, night))
    assert read.status == "CRITICAL"
    assert read.perfdata["other one batch items_done"].value == 15
    unknown, warning = standing(night, Status.UNKNOWN, Exit.UNKNOWN), standing(fine, Status.WARNING, Exit.WARNING)
    assert plugin_output(render("nagios", warning, unknown)).status == "UNKNOWN"


@pytest.mark.parametrize("wrong", ["a=1,5", "a b=1", "a=1;x", "=1", "a=1 a=2", "a=", "a=1s;;;0;U"])
def test_a_reader_of_perfdata_that_takes_anything_would_prove_nothing(wrong: str) -> None:
    with pytest.raises(ValueError):
        perfdata(wrong)


# --- Prometheus -------------------------------------------------------------------------------------------------------


def samples(said: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = list(text_string_to_metric_families(said))
    assert len({f.name for f in families}) == len(families)
    assert not any(s.timestamp for f in families for s in f.samples), "the textfile collector refuses time stamps"
    return {f.name: [(s.labels, s.value) for s in f.samples] for f in families}


def test_prometheus_parses_and_says_the_same(night: Diagnosis) -> None:
    read = samples(render("prometheus", replace(night, suppressed=(ACCEPTED,))))
    of = {"pipeline": "nba-predictions", "project": "nba-props-platform", "command": "batch"}
    assert read["pubsub_diag_exit_code"] == [(of, 2.0)]
    assert ({**of, "status": "fault"}, 1.0) in read["pubsub_diag_status"]
    assert read["pubsub_diag_batch_items_done"] == [(of, 15.0)]
    assert read["pubsub_diag_as_of_timestamp_seconds"][0][1] == night.as_of.timestamp()
    assert {labels["code"] for labels, _ in read["pubsub_diag_cause"]} == {c.code for c in night.causes}
    ((labels, until),) = read["pubsub_diag_accepted_until_timestamp_seconds"]
    assert (labels["code"], until) == ("poison-retry-storm", 1772409600.0)  # the end of 2026-03-01
    assert ({**of, "stage": "published", "leg": "request", "bound": "max"}, 15.0) in read["pubsub_diag_stage_items"]


def test_what_was_not_seen_has_no_sample(night: Diagnosis) -> None:
    assert night.batch
    rows = tuple(replace(r, seen_min=None, seen_max=None) for r in night.ladder)
    read = samples(render("prometheus", replace(night, batch=replace(night.batch, done=None), ladder=rows)))
    assert read["pubsub_diag_batch_items_done"] == []
    assert read["pubsub_diag_stage_items"] == []
    part = samples(render("prometheus", replace(night, batch=None)))
    assert part["pubsub_diag_batch_state"] == []


def test_several_pipelines_share_one_file(night: Diagnosis) -> None:
    other = replace(standing(night, Status.OK, Exit.OK), pipeline=replace(night.pipeline, pipeline="other"))
    read = samples(render("prometheus", night, other))
    assert {labels["pipeline"]: value for labels, value in read["pubsub_diag_exit_code"]} == {
        "nba-predictions": 2,
        "other": 0,
    }


# --- Markdown ---------------------------------------------------------------------------------------------------------


def tokens(said: str) -> list[Any]:
    parsed = MarkdownIt("gfm-like").parse(said)
    return [*parsed, *(child for token in parsed for child in token.children or ())]


def test_markdown_has_the_tables_that_it_shows(night: Diagnosis) -> None:
    said = render("markdown", replace(night, suppressed=(ACCEPTED,)))
    kinds = [token.type for token in tokens(said)]
    assert kinds.count("table_open") == 3
    assert kinds.count("heading_open") == 1
    text = "".join(token.content for token in tokens(said) if token.type in ("text", "code_inline"))
    for part in (night.headline, "◀ HERE", "166 gated", "poison-retry-storm (request)", "known, ticket 77"):
        assert part in text


def test_markdown_says_hostile_text_and_obeys_none(night: Diagnosis) -> None:
    found = tokens(render("markdown", evil(night)))
    kinds = {token.type for token in found}
    assert not kinds & {"link_open", "image", "html_block", "hr", "em_open", "s_open", "fence", "code_block"}
    html = {token.content for token in found if token.type == "html_inline"}
    assert not html
    assert [token.type for token in found].count("heading_open") == 1
    strong = [found[n + 1].content for n, token in enumerate(found) if token.type == "strong_open"]
    assert "b" not in strong
    prose = [token.content for token in found if token.type == "text"]
    assert not any(re.search(r"@\w|#\d|https?://|www\.", text) for text in prose)


def test_a_summary_stays_within_the_size_that_github_takes(night: Diagnosis) -> None:
    long = replace(night, unexplained=tuple(replace(night.findings[0], says="x" * 500) for _ in range(4000)))
    assert len(render("markdown", long).encode()) > markdown.SUMMARY_BYTES
    summary = markdown.render_summary([long])
    assert len(summary.encode()) <= markdown.SUMMARY_BYTES
    assert night.batch and night.batch.id in summary
    assert "left out" in summary
    assert markdown.render_summary([night]).strip() == render("markdown", night).strip()


@settings(max_examples=examples(200))
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_in_markdown_comes_out_as_it_went_in(words: str) -> None:
    found = MarkdownIt("gfm-like").parseInline(f"a {markdown.escape(words)} b")[0].children or []
    assert {token.type for token in found} <= {"text", "code_inline", "text_special", "softbreak"}
    assert _text(found).split() == f"a {words} b".split()


@pytest.mark.parametrize("piece", ["x", ".", ":a", "_", "(", "a-", "@", "`", "1", ":", "1a", "a."])
def test_a_long_word_takes_no_more_than_its_share(piece: str) -> None:
    """It comes out whole, and now: a look at each stretch of it from each of its letters would take hours."""
    assert "".join(markdown.escape(piece * 200_000).split()).count(piece[-1]) >= 200_000


@pytest.mark.parametrize(
    "words",
    [
        "t.co/evil", "5.de", "x.com", "1.2.co", "пример.рф", "例.中国", "भारत.भारत", "ü.de", "💩.la", "§.de", "x.xn--p1ai",
    ],
)  # fmt: skip
def test_a_short_or_foreign_domain_stands_in_code(words: str) -> None:
    assert markdown.escape(f"see {words} now") == f"see `{words}` now"


@pytest.mark.parametrize(
    "name", ["+1", "-1", "100", "1234", "8ball", "1st_place_medal", "e-mail", "smile", "größe", "+1::skin-tone-2"]
)
def test_no_name_of_an_emoji_stays_whole_outside_of_code(name: str) -> None:
    assert markdown.escape(f"see :{name}: now") == f"see `:{name}`: now"


@pytest.mark.parametrize("domain", ["t.co", "5.de", "é.de", "a-.de", "例.org", "💩.la", "+.fr", "(x.net", "пример.рф"])
def test_no_domain_becomes_a_link(domain: str) -> None:
    said = f"{markdown.escape(domain)} and {markdown.escape(domain + '/evil')}"
    kinds = {t.type for t in MarkdownIt("gfm-like").parseInline(said)[0].children or []}
    assert "link_open" not in kinds


@settings(max_examples=examples(200))
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])))
def test_text_in_a_cell_stays_in_its_cell(words: str) -> None:
    rows = f"| a | b |\n| --- | --- |\n| {markdown.escape(words)} | end |\n"
    cells = [token for token in MarkdownIt("gfm-like").parse(rows) if token.type == "inline"]
    assert len(cells) == 4 and cells[3].content == "end"
    assert _text(cells[2].children or []).split() == words.split()


def _text(found: list[Token]) -> str:
    return "".join(t.content for t in found if t.type in ("text", "text_special", "code_inline"))


@pytest.mark.parametrize(
    "plain",
    [
        "batch_2026-02-07_1770588120",
        "15 of 181 (166 gated)",
        "22:02:28Z",
        "aarón's 3.5 s",
        "push-invoker-missing:",
        "a - b",
        "from 22:02:28 to 23:10:05, e.g. 3.5s",
        "ended at 12:41Z: closed",
    ],
)
def test_what_no_reader_takes_for_more_stands_as_it_is(plain: str) -> None:
    """Whoever pastes it into a chat sees no backslash and no comment."""
    assert markdown.escape(plain) == plain


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("by deployer@p.iam.gserviceaccount.com: done", "by `deployer@p.iam.gserviceaccount.com`: done"),
        ("(see #12)", "(see `#12`)"),
        ("fields: ['a', 'b'] and 10", "fields: `['a', 'b']` and 10"),
        ("a|b", "`a`&#124;`b`"),
        ("_quiet_ words", "`_quiet_` words"),
    ],
)
def test_what_some_reader_takes_for_more_stands_in_code(words: str, written: str) -> None:
    assert markdown.escape(words) == written


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", formats.FORMATS)
def test_every_output_lists_what_is_accepted(night: Diagnosis, form: str) -> None:
    said = render(form, replace(night, suppressed=(ACCEPTED,), causes=()))
    assert "poison-retry-storm" in said.replace("\\-", "-")
    if form != "prometheus":
        assert "2026-03-01" in said
    if form not in ("prometheus",):
        assert "ticket 77" in said


@pytest.mark.parametrize("form", formats.FORMATS)
def test_no_output_obeys_text_from_logs(night: Diagnosis, form: str) -> None:
    said = render(form, evil(night))
    assert not any(c in said for c in "\x1b\u202e\ufffe\r")
    if form == "junit":
        SCHEMA.validate(said)
    if form == "prometheus":
        assert samples(said)["pubsub_diag_up"] == [({}, 1.0)]
    if form == "nagios":
        assert plugin_output(said).status == "CRITICAL"
    if form == "github":
        commands = [workflow_command(line) for line in said.splitlines()]
        assert "forged" not in {c.properties["title"] for c in commands}
        assert {c.name for c in commands} <= set(github.LEVELS)
    if form == "json":
        std.loads(said)


@pytest.mark.parametrize("form", formats.FORMATS)
def test_several_diagnoses_are_all_in_it(night: Diagnosis, form: str) -> None:
    other = replace(night, pipeline=replace(night.pipeline, pipeline="other"), headline="quite another thing")
    said = render(form, night, other)
    assert "other" in said or form in ("text", "short")
    assert "quite another" in said or form == "prometheus"


@pytest.mark.parametrize("form", MACHINES)
def test_a_run_without_an_answer_says_so_to_the_machine(form: str) -> None:
    says, mend = "no access | to `p`\n::error::x", "gcloud auth login"
    said = formats.render_trouble(form, says, mend)
    match form:
        case "junit":
            SCHEMA.validate(said)
            assert JUnitXml.fromstring(said.encode()).errors == 1
        case "github":
            (line,) = said.splitlines()
            assert workflow_command(line).name == "error"
        case "nagios":
            read = plugin_output(said)
            assert (read.status, read.long_text) == ("UNKNOWN", ("gcloud auth login",))
        case "prometheus":
            assert samples(said) == {"pubsub_diag_up": [({}, 0.0)]}
        case "markdown":
            assert "## UNKNOWN" in said
            assert "::error" not in said.splitlines()
    assert formats.render_trouble("text", says, mend) == ""


@pytest.mark.parametrize(("form", "library"), sorted(formats.LIBRARIES.items()))
def test_a_missing_library_is_told_before_anything_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, form: str, library: str
) -> None:
    formats.require(form)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(formats, "find_spec", lambda _name: None)
    with pytest.raises(formats.NeedsLibraryError, match=library.replace("_", "-")):
        formats.require(form)
    formats.require("nagios")


@pytest.mark.parametrize("words", ["a|b", "gcloud x 'a\\|b'", "pubsub-diag batch '``|`\\|\\\\|' --items", "a\\"])
def test_a_command_in_a_cell_is_the_same_when_it_is_copied(words: str) -> None:
    row = f"| x | y |\n| --- | --- |\n| {markdown.code(words, cell=True)} | z |\n"
    cell = re.search(r"<td>(.*?)</td>", MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(row))
    assert cell is not None
    assert unescape(re.sub(r"</?code>", "", cell[1])) == words
    assert not re.search(r"\\\\+\|", row)
