"""`pubsub-diag health`: is the pipeline well, no batch needed; for scripts after a deploy, in cron and on the pager."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Option

from diagnostics.cli.frame import plain
from diagnostics.cli.frame.options import Asked, spread
from diagnostics.cli.frame.trouble import Trouble

NEWEST = "newest"
LEVELS = ("config", "path", "traffic")


class Health(plain.Command):
    """Takes --since-deploy without a value, too, which Typer has no word for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"{a}={NEWEST}" if a == "--since-deploy" else a for a in args])


@spread(Asked)
def health(
    asked: Asked,
    since_deploy: Annotated[
        str | None,
        Option(
            metavar="[=REVISION]",
            help="Judge what came of the newest deploy, or of that of =REVISION: traffic only as far as it is younger, compared "
            "with before; lost settings; whether the new revision serves.",
        ),
    ] = None,
    require: Annotated[
        str | None,
        Option(
            metavar="LEVELS",
            help="Of config, path and traffic: those whose unknowns count; else config, path, and traffic where it is not idle but "
            "cannot be looked at.",
        ),
    ] = None,
    wait: Annotated[
        str | None,
        Option(metavar="TIME", help="While a required level cannot be told yet, ask again, at most this long: 10m."),
    ] = None,
    canary: Annotated[
        bool,
        Option("--canary", help="Also call the services' health paths with the push identity. Publishes nothing."),
    ] = False,
    expect_commit: Annotated[
        list[str] | None,
        Option(
            metavar="[SERVICE=]SHA", help="Commit that has to be serving; SERVICE is worker or coordinator, else both."
        ),
    ] = None,
    expect_image: Annotated[
        list[str] | None, Option(metavar="[SERVICE=]DIGEST", help="Image digest that has to be serving, likewise.")
    ] = None,
    all_profiles: Annotated[
        bool,
        Option(
            "--all-profiles", help="Check every pipeline that ./pubsub-diag.toml and ./pubsub-diag.d/*.toml describe."
        ),
    ] = False,
) -> int:
    """Is the pipeline well? Configuration, path and traffic apart; needs no batch."""
    required = tuple(dict.fromkeys(filter(None, (word.strip() for word in (require or "").split(",")))))
    if wrong := [word for word in required if word not in LEVELS]:
        raise Trouble(f"--require {wrong[0]!r}: expected some of {', '.join(LEVELS)}", "--require config,path,traffic")
    from diagnostics.cli.do import health as do

    check = do.Check(
        deploy=since_deploy,
        require=required if require is not None else do.USUAL,
        wait=do.patience(wait),
        canary=canary,
        expected=(*do.expected("commit", expect_commit or ()), *do.expected("image", expect_image or ())),
    )
    return do.answer(check, asked, all_profiles)
