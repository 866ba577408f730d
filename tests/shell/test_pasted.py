"""A sample of `make paste`, every template of the sources, and proof that the judge can say no."""

from __future__ import annotations

import ast
import gzip
import random
import re
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from diagnostics.evidence.model import Evidence, Unseen
from diagnostics.keep.bundle import dump, parse
from diagnostics.run.investigate import Case
from diagnostics.shell import commands
from diagnostics.shell.commands import command, is_harmless
from tests.matrices.captured import bundles, capture, case_of, scenarios
from tests.shell.names import TELLTALE, hostile
from tests.shell.pasted import judge
from tests.shell.test_one_place import MAKES, filling, sources
from tests.shell.typed import Room

SOME = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=2,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
SCENARIOS = ("stale-active-batch-blocks-start", "push-invoker-missing")


def night() -> Case:
    return case_of(bundles()[0])


@SOME
@given(seed=st.integers(0, 2**32))
def test_every_command_of_the_night_arrives_whole(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    judged = judge(night(), random.Random(seed), Room(tmp_path_factory.mktemp("room")))
    assert judged.wrong == []
    assert {"text", "json", "markdown", "github", "junit", "nagios", "postmortem", "html", "runbook"} <= set(
        judged.typed
    )
    assert judged.whole > 20


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_command_of_a_scenario_arrives_whole(name: str, tmp_path: Path) -> None:
    path = next(path for path in scenarios() if path.stem == name)
    judged = judge(case_of(capture(path)), random.Random(name), Room(tmp_path))
    assert judged.wrong == []
    assert judged.typed["text"] and judged.typed["runbook"]


def test_the_judge_sees_a_name_that_is_not_quoted(tmp_path: Path) -> None:
    with mock.patch.object(commands, "quote", str):
        wrong = [judge(night(), random.Random(n), Room(tmp_path / str(n)), ("bash",)).wrong for n in range(2)]
    assert all(wrong)


def templates() -> list[str]:
    """Every template that is filled in anywhere, each way round where a part of it depends."""

    def variants(node: ast.expr) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [a + b for a in variants(left) for b in variants(right)]
            case ast.IfExp(body=body, orelse=orelse):
                return variants(body) + variants(orelse)
            case _:
                return []

    calls = [call for where, tree in sources() if where != MAKES for call in filling(tree)]
    return sorted(
        {
            text
            for call in calls
            for text in variants(call.args[0])
            if commands.is_command(text) and not text.startswith("export")
        }
    )


def test_the_templates_are_found() -> None:
    found = templates()
    assert len(found) > 35
    assert "pubsub-diag batch {batch} --items" in found and any(t.startswith("for ") for t in found)


@SOME
@given(name=hostile())
def test_every_template_keeps_a_name_whole(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines, holes = [], []
    for template in templates():
        names = commands._HOLE.findall(re.sub(r"\$\{\w+\}", "", template))
        lines.append(command(template, **dict.fromkeys((*names, "variable"), name)))
        holes.append(0 if ";" in template and name.startswith("-") else len(names))
    for shell in ("bash", "dash"):
        typed = Room(tmp_path_factory.mktemp("room")).type(lines, shell)
        assert typed.made == []
        for line, wanted, calls in zip(lines, holes, typed.calls, strict=True):
            given = [argument for called in calls for argument in called.arguments if TELLTALE in argument]
            times = 3 if line.startswith("for i in 1 2 3") else 1
            whole = sum(argument.count(name) for argument in given) if name.count(TELLTALE) == 1 else wanted * times
            assert whole >= wanted * times, (line, calls)


# --- what somebody else has written into a bundle ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "harmless"),
    [
        ("gcloud pubsub topics describe projects/p/topics/t", True),
        ("gcloud logging read 'a=\"$(x)\" AND b' --project=p", True),
        ('curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" https://x', True),
        ('curl -s -H "X-API-Key: $STATE_KEY" https://x', True),
        ("for i in 1 2 3; do curl -so /dev/null -w '%{http_code}\\n' https://x; done", True),
        ("gcloud auth application-default login   # or: gcloud auth login", True),
        ("ask for a role with pubsub.topics.get", True),
        ('sum(increase({"__name__"="a"}[1h]))\nsum(b)', True),
        ("gcloud x $(touch PWN)", False),
        ("gcloud x `touch PWN`", False),
        ('gcloud x "$(touch PWN)"', False),
        ("gcloud x; touch PWN", False),
        ("gcloud x\ntouch PWN", False),
        ("gcloud x > PWN", False),
        ("gcloud x || touch PWN", False),
        ("gcloud x 'a", False),
        ("gcloud x $HOME", False),
        ('gcloud x "!!"', False),
        ('curl -s -H "A: $(gcloud auth print-access-token)$(touch PWN)" x', False),
        ("for i in 1 2 3; do curl x; touch PWN; done", False),
        ("ask $(touch PWN)", False),
        ("ask `touch PWN`", False),
    ],
)
def test_a_line_that_was_not_made_here_is_one_command_or_none(line: str, harmless: bool) -> None:
    assert is_harmless(line) is harmless


def test_what_a_bundle_brings_along_is_not_offered_when_it_runs_more_than_it_names(tmp_path: Path) -> None:
    text = dump(night(), None)
    forged = (
        gzip.decompress(text).decode().replace('"by_hand":"gcloud pubsub', '"by_hand":"touch PWN; `id`; gcloud pubsub')
    )
    forged = forged.replace('"mend":"', '"mend":"gcloud x; touch PWN ')
    assert "PWN" in forged
    for ours in (True, False):
        case = parse(gzip.compress(forged.encode()), ours=ours).case
        offered = [
            f.source.by_hand if isinstance(f, Evidence) else f.mend if isinstance(f, Unseen) else ""
            for _, f in case.evidence.items()
        ]
        lines = [line for text in offered for line in text.splitlines()]
        assert len(lines) > 10
        typed = Room(tmp_path / str(ours)).type(lines, "bash")
        assert typed.made == []
        assert not any("PWN" in word for calls in typed.calls for called in calls for word in called.arguments)
