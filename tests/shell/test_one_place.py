"""No command line is put together anywhere but in diagnostics/shell: read from the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import diagnostics
from diagnostics.shell.commands import PROGRAMS

PACKAGE = Path(diagnostics.__file__).parent
MAKES, FILLS = "shell/commands.py", ("command", "advice")
HOLE = "\0"
_PROGRAMS = "|".join((*PROGRAMS, "bq", "kubectl", "gsutil"))
COMMAND = re.compile(rf"(?<![\w-])(?:{_PROGRAMS}) [a-z-]+[^`;:{HOLE}]*{HOLE}")
"""A program, a word, and later in the same command something that varies."""
NAMED_SO = ("mend", "by_hand", "settled_by", "undo")
"""What a name or an argument is called that holds a command to print."""

ALLOWED = {
    "cli/do/lab.py": "export PUBSUB_DIAG_ENDPOINT=",  # host and port that the lab itself listens on
    "cli/do/demo.py": "pubsub-diag demo",  # a scenario's name, a constant
    "transport/gcloud.py": "gcloud gave no answer within",  # a sentence
    "run/alerts.py": "`pubsub-diag runbook show",  # a page's name, a constant
}
"""Of these files one kind of line: nothing varies in it but what we made ourselves."""


@cache
def sources() -> list[tuple[str, ast.Module]]:
    paths = sorted(p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] != "lab")
    return [(str(p.relative_to(PACKAGE)), ast.parse(p.read_text(encoding="utf-8"))) for p in paths]


def text_of(node: ast.AST) -> str:
    """What an expression makes as text, with HOLE for whatever varies."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(text_of, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            return re.sub(r"%[-#0 +]*\d*(?:\.\d+)?[a-z]", HOLE, text)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format" | "format_map")):
            return re.sub(r"\{[^}]*\}", HOLE, text)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"), args=[ast.List() as parts]
        ):
            return between.join(map(text_of, parts.elts))
        case _:
            return HOLE


def made(where: str, tree: ast.Module) -> Iterator[str]:
    """Command lines with something in them that varies, and templates that vary."""
    templates = {id(inner) for call in filling(tree) for arg in call.args[:1] for inner in ast.walk(arg)}
    for node in ast.walk(tree):
        text = text_of(node) if id(node) not in templates else ""
        if COMMAND.search(text) and not (where in ALLOWED and ALLOWED[where] in text):
            yield f"{where}:{getattr(node, 'lineno', 0)} {text!r}"
        for value in named(node):
            if HOLE in text_of(value) and text_of(value) != HOLE:
                yield f"{where}:{value.lineno} {text_of(value)!r}"
    for call in filling(tree):
        if any(isinstance(inner, ast.JoinedStr | ast.Mod) for inner in ast.walk(call.args[0])):
            yield f"{where}:{call.lineno} a template that varies"


def filling(tree: ast.AST) -> Iterator[ast.Call]:
    """Where templates are filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FILLS and node.args:
            yield node


def named(node: ast.AST) -> Iterator[ast.expr]:
    """What is given the name of a command that is printed."""
    if isinstance(node, ast.keyword) and node.arg in NAMED_SO:
        yield node.value
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in NAMED_SO for t in node.targets):
        yield node.value


def test_no_other_place_makes_a_command_line() -> None:
    found = [line for where, tree in sources() if where != MAKES for line in made(where, tree)]
    assert found == []


def test_what_is_allowed_is_still_there() -> None:
    text = {where: (PACKAGE / where).read_text(encoding="utf-8") for where in ALLOWED}
    assert all(words in text[where] for where, words in ALLOWED.items())


def test_such_a_line_is_found_however_it_is_made() -> None:
    for bad in (
        'f"pubsub-diag batch {batch} --items"',
        '"gcloud pubsub subscriptions describe " + name',
        '"gcloud logging read %s" % query',
        '"curl -s {}".format(url)',
        '" ".join(["gcloud pubsub subscriptions update", name])',
        'Refusal(mend=f"ask for {role}")',
        'mend = f"ask for {role}"',
        'command(f"pubsub-diag batch {batch}")',
        'advice("ask for %s" % role)',
    ):
        assert list(made("x.py", ast.parse(bad))), bad
    for good in (
        'command("pubsub-diag batch {batch} --items", batch=batch)',
        'command("gcloud x" + (" --a={a}" if a else ""), a=a)',
        'f"{count} times; pubsub-diag batches lists them"',
        'f"pubsub-diag {version} concluded"',
    ):
        assert not list(made("x.py", ast.parse(good))), good
