"""`pubsub-diag model`: what describes the models that a pipeline runs with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame.options import PLAIN, Asked, FailOn, Format, spread

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


Document = Annotated[
    Path | None,
    Option("--doc", metavar="FILE", help="Markdown file whose marked block is read, instead of the profile's."),
]


@app.command("drift")
@spread(Asked)
def drift(asked: Asked, doc: Document = None) -> int:
    """Do the places that describe the model agree: manifest, registry, documentation, the worker's variable, what the serving revisions
    loaded, what results carry? The manifest is taken for true."""
    from diagnostics.cli.do import model as do

    return do.drift(asked, doc)


@app.command("list")
@spread(Asked, formats=PLAIN)
def list_(asked: Asked) -> int:
    """The models that the places know: training range, features, digest, status, and which revision serves it since when."""
    from diagnostics.cli.do import model as do

    return do.listed(asked)


@app.command("sync")
@spread(Asked, formats=PLAIN)
def sync(
    asked: Asked,
    doc: Document = None,
    write_doc: Annotated[
        Path | None,
        Option("--write-doc", metavar="FILE", help="Rewrite the marked block of this local file, and nothing else."),
    ] = None,
) -> int:
    """What would bring registry and documentation into line with the manifest: a MERGE to be run, a diff of the marked block. Writes
    nothing but the block of the file that --write-doc names."""
    from diagnostics.cli.do import model as do

    return do.sync(asked, doc, write_doc)


@app.command("doc")
@spread(Asked, formats=PLAIN)
def doc_(asked: Asked) -> int:
    """The marked block for a Markdown file, made of the registry."""
    from diagnostics.cli.do import model as do

    return do.doc(asked)
