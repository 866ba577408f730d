"""What `pubsub-diag profile schema`, `example` and `explain`, and `pubsub-diag schema` do."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from diagnostics.cli.frame import output
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.pipeline import explained
from diagnostics.pipeline.load import builtin_profiles
from diagnostics.pipeline.profile import nearest


def print_schema(of: str) -> int:
    output.answer(json.dumps(SCHEMAS[of](), indent=2) + "\n")
    return int(Exit.OK)


def print_example(name: str) -> int:
    known = builtin_profiles()
    if name not in known:
        meant = nearest(name, known)
        raise Trouble(
            f'no example "{name}"' + (f"; did you mean {meant}?" if meant else ""),
            f"those there are: {', '.join(known)}",
        )
    text = resources.files("diagnostics.pipeline").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    output.answer(text)
    return int(Exit.OK)


def explain(name: str) -> int:
    """The key and, of one that takes a few words, each of these; exit code 3 where there is no such key."""
    found = explained.explain(name) if name else explained.every()
    if not found:
        every = {part for key in explained.every() for part in (key.name, key.name.rpartition(".")[2])}
        meant = nearest(name, every)
        raise Trouble(
            f'no key "{name}" in a profile' + (f"; did you mean {meant}?" if meant else ""),
            "pubsub-diag profile explain",
        )
    page = output.page()
    words = explained.choices(found[0].name) if len(found) == 1 else ()
    rows = [[key.name, "has to be there" if not key.default else key.default, key.says] for key in found]
    answer = page.listing(["key", "if left out", "means"], rows) + "\n"
    if words:
        answer += "\n" + page.listing(["word", "means"], [list(word) for word in words]) + "\n"
    elif len(found) == 1:
        answer += f"\nIt takes {found[0].takes}.\n"
    output.answer(answer)
    return int(Exit.OK)


def _report() -> dict[str, Any]:
    from diagnostics.report import json as report

    return report.schema()


def _bundle() -> dict[str, Any]:
    from diagnostics.keep import bundle

    return bundle.schema()


def _scenario() -> dict[str, Any]:
    from diagnostics.scoring import schema

    return schema.schema()


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "report": _report,
    "bundle": _bundle,
    "profile": explained.schema,
    "scenario": _scenario,
}
