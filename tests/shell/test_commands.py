"""Commands that are printed, typed into real shells with names that nobody would choose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnostics.cli.frame.inside import parse
from diagnostics.cli.main import UsageError
from diagnostics.report.escape import clean
from diagnostics.report.layout import Layout
from diagnostics.shell.commands import (
    advice,
    arguments,
    command,
    commands,
    either,
    filled,
    is_command,
    joined,
    noted,
    parted,
    quote,
    raw_words,
    typeable,
)
from tests.shell.names import TELLTALE, hostile, untypeable
from tests.shell.typed import SHELLS, Called, Room

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=20)
TYPED = settings(SLOW, max_examples=6)
NAMES = st.lists(hostile(), min_size=1, max_size=12)

FORMS = (
    "pubsub-diag batch {name} --items",
    "pubsub-diag batch --from {name}",
    "pubsub-diag init --subscription {name} --completion-subscription {name}",
    "gcloud pubsub subscriptions update {name} --project={name} --ack-deadline=600",
    "curl -s {name}",
    'curl -s -H "{name}: x" {name}',
    "for i in 1; do curl -s {name}; done",
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_plain_name_stands_as_it_is() -> None:
    assert (
        command("pubsub-diag batch {batch} --items", batch="batch_2026-02-08_17")
        == "pubsub-diag batch batch_2026-02-08_17 --items"
    )
    assert command("pubsub-diag batch {batch} -v", batch="") == "pubsub-diag batch -v"
    assert command("pubsub-diag batch {blocker}") == "pubsub-diag batch BLOCKER"
    for plain in (
        "a",
        "projects/p/subscriptions/s",
        "a@b.iam.gserviceaccount.com",
        "2026-02-08T14:02:00Z",
        "a%2B+c~"[:5],
    ):
        assert quote(plain) == plain


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("batch_$(touch${IFS}PWN)", "pubsub-diag batch 'batch_$(touch${IFS}PWN)' --items"),
        ("-rf", "pubsub-diag batch --items -- -rf"),
        ("--yes", "pubsub-diag batch --items -- --yes"),
        ("it's", "pubsub-diag batch 'it'\"'\"'s' --items"),
        ("=ls", "pubsub-diag batch '=ls' --items"),
        ("a\nb", "pubsub-diag batch BATCH --items   # BATCH cannot be typed here"),
        ("a\x1b[2J", "pubsub-diag batch BATCH --items   # BATCH cannot be typed here"),
        ("a  b", "pubsub-diag batch BATCH --items   # BATCH cannot be typed here"),
        ("a\u202eb", "pubsub-diag batch BATCH --items   # BATCH cannot be typed here"),
    ],
)
def test_how_an_odd_name_is_written(name: str, line: str) -> None:
    assert command("pubsub-diag batch {batch} --items", batch=name, other="un\nused") == line


def test_the_value_of_an_option_that_begins_with_a_dash() -> None:
    assert command("pubsub-diag init --subscription {s}", s="-x") == "pubsub-diag init --subscription=-x"
    assert command("gcloud x {a} --project={p} {b}", a="-a", p="-p", b="b") == "gcloud x --project=-p b -- -a"


def test_what_explains_a_command_is_a_comment() -> None:
    line = either((noted("gcloud a", "lists them"), "pubsub-diag access", "check the network"))
    assert line == "gcloud a   # lists them; or: pubsub-diag access; or: check the network"
    assert commands(line) == ["gcloud a", "pubsub-diag access"]
    assert parted("pubsub-diag batch 'a # b'") == ("pubsub-diag batch 'a # b'", "")
    assert arguments("pubsub-diag batch 'a # b'   # tells") == ["pubsub-diag", "batch", "a # b"]
    assert either(("check the network",)) == "check the network" and not is_command("check the network")
    assert commands("ask for a role with x") == []


@TYPED
@given(names=NAMES)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_name_arrives_whole_and_nothing_else_runs(
    shell: str, names: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    room = Room(tmp_path_factory.mktemp("room"))
    lines = [(form, name, command(form, name=name)) for name in names for form in FORMS]
    typed = room.type([line for _, _, line in lines], shell)
    assert typed.made == [], typed
    assert len(typed.calls) == len(lines), typed.said
    for (form, name, line), calls in zip(lines, typed.calls, strict=True):
        (called,) = calls
        holes = form.count("{name}")
        assert called.program == ("curl" if "curl" in form else form.split(" ")[0]), line
        whole = [a for a in called.arguments if name in a]
        left_out = form.startswith("for") and name.startswith("-")
        assert len(whole) == (0 if left_out else holes), (line, called)
        assert all(name in a for a in called.arguments if TELLTALE in a), (line, called)


@TYPED
@given(name=hostile(), width=st.integers(80, 120))
def test_a_command_on_a_page_is_the_same_command_when_it_is_copied(
    name: str, width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = command("pubsub-diag batch {a} --items --missing --out {b} --since 2h -o json", a=name, b=name * 3)
    page = Layout(width).command("do now     1  ", noted(line, "what explains it, at some length " * 3), indent=14)
    shown = page.removeprefix("do now     1  ")
    room = Room(tmp_path_factory.mktemp("room"))
    typed = room.type([shown, line], "bash")
    assert typed.made == []
    assert typed.calls[0] == typed.calls[1] and len(typed.calls[0]) == 1


@TYPED
@given(name=untypeable())
def test_what_cannot_be_typed_is_left_out_and_said(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    line = command("pubsub-diag batch {batch} --items", batch=name)
    assert line == clean(line) and TELLTALE not in line
    room = Room(tmp_path_factory.mktemp("room"))
    typed = room.type([line], "bash")
    assert typed.calls == [[Called("pubsub-diag", ("batch", "BATCH", "--items"))]]
    assert typed.made == []


@TYPED
@given(names=st.lists(st.one_of(hostile(), untypeable()), min_size=1, max_size=8))
@pytest.mark.parametrize("shell", SHELLS)
def test_advice_that_is_pasted_by_mistake_does_nothing(
    shell: str, names: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    room = Room(tmp_path_factory.mktemp("room"))
    lines = [advice("ask for roles/run.invoker on {account}, for the principal", account=name) for name in names]
    typed = room.type([*lines, joined(names)], shell)
    assert typed.made == []
    assert typed.calls == [[] for _ in [*lines, ""]]


@SLOW
@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_quoted_or_left_out(name: str) -> None:
    line = command("pubsub-diag batch {batch} --items", batch=name)
    words = arguments(line)
    assert words[0] == "pubsub-diag" and sorted(words[1:3])
    if typeable(name):
        assert name in words and clean(line) == line
        assert shlex.split(" ".join(raw_words(line)), comments=True) == words


def test_inside_quotes_and_substitutions_a_name_stays_in_its_place() -> None:
    template = """curl "$(gcloud run describe {a} --format='x(y)')/status?b={a}" 'z="{a}"'"""
    line = filled(template, lambda *_: "$(x)'\"")
    assert line.count("$(x)") == 3
    assert shlex.split(line)[2] == 'z="$(x)\'""'


@SLOW
@given(name=hostile())
def test_our_own_command_line_reads_the_same_name(name: str) -> None:
    for form, parameter in (
        ("pubsub-diag batch {name} --items --missing", "batch_id"),
        ("pubsub-diag watch {name}", "batch_id"),
        ("pubsub-diag batch --from {name}", "bundle"),
        ("pubsub-diag init --subscription {name} --completion-subscription {name}", "subscription"),
        ("pubsub-diag runbook show {name} --leg completion", "code"),
        ("pubsub-diag runbook show gate --batch {name}", "batch"),
        ("pubsub-diag note x --batch {name}", "batch"),
    ):
        line = command(form, name=name)
        assert parse(arguments(line)[1:])[parameter] == name, line


def test_without_quoting_it_would_be_something_else() -> None:
    with pytest.raises(UsageError):
        parse(["batch", "-rf", "--items"])
