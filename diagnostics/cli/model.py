"""`pubsub-diag model`: what describes the models that a pipeline runs with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame.options import FailOn, Format

app = Typer(help="What describes the models that a pipeline runs with.", rich_markup_mode=None)


@app.command("check-new")
def check_new(
    file: Annotated[str | None, Argument(metavar="FILE", help="Name of the model file that is to be made.")] = None,
    train_start: Annotated[str | None, Option(metavar="DATE", help="First day of the training data.")] = None,
    train_end: Annotated[str | None, Option(metavar="DATE", help="Last day of the training data.")] = None,
    eval_start: Annotated[str | None, Option(metavar="DATE", help="First day that it is to be judged on.")] = None,
    eval_end: Annotated[str | None, Option(metavar="DATE", help="Last day that it is to be judged on.")] = None,
    features: Annotated[int | None, Option(min=1, metavar="N", help="How many features it has.")] = None,
    family: Annotated[str | None, Option(metavar="NAME", help="Kind and generation: catboost_v9.")] = None,
    manifest: Annotated[
        Path | None,
        Option(metavar="FILE", help="Manifest (JSON) of the models that there are; else that is not looked at."),
    ] = None,
    form: Annotated[Format, Option("--output", "-o", envvar="PUBSUB_DIAG_OUTPUT", help="How to say it.")] = Format.TEXT,
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write the answer to this file.")] = None,
    fail_on: Annotated[
        FailOn, Option(envvar="PUBSUB_DIAG_FAIL_ON", help="From which status on the exit code is not 0.")
    ] = FailOn.WARNING,
) -> int:
    """Before a training: is there such a model already, is its name one that tells, is it judged on days that it has not seen?
    Asks nothing of Google."""
    from diagnostics.cli.do import model as do

    new = do.New(file, (train_start, train_end), (eval_start, eval_end), features, family)
    return do.check_new(new, manifest, form, out, fail_on)
