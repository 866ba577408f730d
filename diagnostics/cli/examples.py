"""Two lines for each command that somebody can begin with; a test parses them all."""

from __future__ import annotations

import re

import typer

from diagnostics.cli.frame import plain

GROUPS: dict[str, tuple[str, ...]] = {
    "Why is it not done": ("batch", "batches", "watch"),
    "One part of it": ("published", "delivery", "push-auth", "cold-start", "worker", "changes", "probe"),
    "Is it well, no batch needed": ("health", "lint", "outcome", "model"),
    "What to do, and the morning after": ("runbook", "note", "capture", "bundle", "postmortem"),
    "Set it up": ("init", "profile", "access", "config", "alerts", "mcp", "schema", "selftest"),
    "Try it without an account": ("demo", "lab"),
}
"""The commands by what somebody wants, in the order in which `--help` lists them."""

BEGIN = ("pubsub-diag demo", "pubsub-diag init --subscription S --completion-subscription C")
"""Without an account, and with one."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "batch": ("pubsub-diag batch", "pubsub-diag batch BATCH_ID --items --missing -o json"),
    "batches": ("pubsub-diag batches", "pubsub-diag batches --since 3d -o json"),
    "watch": ("pubsub-diag watch", "pubsub-diag watch BATCH_ID --for 20m"),
    "published": ("pubsub-diag published", "pubsub-diag published BATCH_ID --from last"),
    "delivery": ("pubsub-diag delivery", "pubsub-diag delivery --leg completion --since 2h"),
    "push-auth": ("pubsub-diag push-auth", "pubsub-diag push-auth --leg completion"),
    "cold-start": ("pubsub-diag cold-start", "pubsub-diag cold-start --leg completion -v"),
    "worker": ("pubsub-diag worker", "pubsub-diag worker BATCH_ID --leg completion"),
    "changes": ("pubsub-diag changes", "pubsub-diag changes --leg completion -v"),
    "probe run": ("pubsub-diag probe run", "pubsub-diag probe run --mode switch"),
    "probe status": ("pubsub-diag probe status", "pubsub-diag probe status --subscription S --project P"),
    "probe restore": ("pubsub-diag probe restore", "pubsub-diag probe restore --subscription S --project P"),
    "health": ("pubsub-diag health", "pubsub-diag health --since-deploy --wait 10m"),
    "lint": ("pubsub-diag lint", "pubsub-diag lint --all --project P"),
    "outcome": ("pubsub-diag outcome", "pubsub-diag outcome BATCH_ID -o json"),
    "model drift": ("pubsub-diag model drift", "pubsub-diag model drift --doc MODELS.md -o json"),
    "model list": ("pubsub-diag model list", "pubsub-diag model list -o json"),
    "model sync": ("pubsub-diag model sync --out sync.sql", "pubsub-diag model sync --write-doc MODELS.md"),
    "model doc": ("pubsub-diag model doc", "pubsub-diag model doc --out block.md"),
    "model check-new": (
        "pubsub-diag model check-new catboost_v9_33f_train20251102-20260108_20260208_170526.cbm --manifest manifest.json",
        "pubsub-diag model check-new --family catboost_v9 --features 33 --train-start 2025-11-02 --train-end 2026-01-08",
    ),
    "runbook list": ("pubsub-diag runbook list", "pubsub-diag runbook list --symptoms"),
    "runbook show": ("pubsub-diag runbook show push-invoker-missing", "pubsub-diag runbook show worker-crashing --leg completion"),
    "runbook find": ("pubsub-diag runbook find 403", 'pubsub-diag runbook find "was not authorized"'),
    "runbook open": ("pubsub-diag runbook open push-invoker-missing", "pubsub-diag runbook open push_auth --base-url https://host/runbooks"),
    "note": ('pubsub-diag note "rolled back the worker" --at 20m', 'pubsub-diag note "taken for a poison message" --kind believed'),
    "capture": ("pubsub-diag capture", "pubsub-diag capture BATCH_ID --out night.gz"),
    "bundle list": ("pubsub-diag bundle list", "pubsub-diag batch --from last"),
    "bundle show": ("pubsub-diag bundle show last", "pubsub-diag bundle show night.gz"),
    "bundle verify": ("pubsub-diag bundle verify last", "pubsub-diag bundle verify night.gz"),
    "bundle schema": ("pubsub-diag bundle schema", "pubsub-diag schema bundle"),
    "postmortem": ("pubsub-diag postmortem", "pubsub-diag postmortem BATCH_ID --out night.html"),
    "init": ("pubsub-diag init --subscription S --completion-subscription C", "pubsub-diag init --subscription S --days 2 --out -"),
    "profile test": ("pubsub-diag profile test", "pubsub-diag profile test --days 30"),
    "profile schema": ("pubsub-diag profile schema", "pubsub-diag schema profile"),
    "profile example": ("pubsub-diag profile example", "pubsub-diag profile example orders-export"),
    "profile explain": ("pubsub-diag profile explain means", "pubsub-diag profile explain batch_state"),
    "access": ("pubsub-diag access", "pubsub-diag access batch --role"),
    "config show": ("pubsub-diag config show", "pubsub-diag config show --origin"),
    "alerts": ("pubsub-diag alerts", "pubsub-diag alerts --project P --subscription S"),
    "mcp": ("pubsub-diag mcp", "pubsub-diag mcp --profile pubsub-diag.toml"),
    "schema": ("pubsub-diag schema report", "pubsub-diag schema profile"),
    "selftest": ("pubsub-diag selftest", "pubsub-diag selftest --project P --subscription S"),
    "demo": ("pubsub-diag demo", "pubsub-diag demo push-invoker-missing"),
    "lab up": ("pubsub-diag lab up push-invoker-missing", "pubsub-diag lab up typical-batch --pace"),
    "lab list": ("pubsub-diag lab list", "pubsub-diag demo typical-batch"),
    "lab score": ("pubsub-diag lab score scenarios", "pubsub-diag lab score mine.yaml --seeds 5"),
    "lab schema": ("pubsub-diag lab schema", "pubsub-diag schema scenario"),
    "help": ("pubsub-diag help batch", "pubsub-diag help probe run"),
}  # fmt: skip
"""By command."""


class Grouped(plain.Group):
    """Lists its commands in groups."""

    def format_commands(self, ctx: typer.Context, formatter: object) -> None:  # type: ignore[override]
        told = {
            name: command
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) and not command.hidden
        }
        for title, names in GROUPS.items():
            rows = [(name, _first(told.pop(name).help)) for name in names if name in told]
            with formatter.section(title):  # type: ignore[attr-defined]
                formatter.write_dl(rows)  # type: ignore[attr-defined]
        rest = [(name, _first(command.help)) for name, command in told.items()]
        if rest:
            with formatter.section("Beside these"):  # type: ignore[attr-defined]
                formatter.write_dl(rest)  # type: ignore[attr-defined]


class Whole(plain.Group):
    """Lists its commands with their first sentences, none of them cut short."""

    def format_commands(self, ctx: typer.Context, formatter: object) -> None:  # type: ignore[override]
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _first(command.help)) for name, command in commands if command and not command.hidden]
        with formatter.section("Commands"):  # type: ignore[attr-defined]
            formatter.write_dl(rows)  # type: ignore[attr-defined]


def _first(help_text: str | None) -> str:
    """The first sentence."""
    return re.split(r"(?<=[.?])\s", (help_text or "").strip(), maxsplit=1)[0]


def add_to(app: typer.Typer, before: str = "") -> None:
    """Put the examples below the help of each command, and below that of a group one of each of its first two."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__.strip("_") if command.callback else "")
        if command.cls in (None, typer.core.TyperCommand):
            command.cls = plain.Command
        command.epilog = shown(EXAMPLES.get(f"{before}{name}", ()))
    for group in app.registered_groups:
        if group.typer_instance:
            within = f"{before}{group.name} "
            group.typer_instance.info.cls = Whole
            group.typer_instance.info.epilog = shown(_of_group(within))
            add_to(group.typer_instance, within)


def _of_group(within: str) -> tuple[str, ...]:
    inside = [lines for name, lines in EXAMPLES.items() if name.startswith(within)]
    return tuple(lines[0] for lines in inside[:2]) if len(inside) > 1 else inside[0]


def shown(lines: tuple[str, ...]) -> str:
    return "\b\nFor example:\n" + "\n".join(f"  {line}" for line in lines)
