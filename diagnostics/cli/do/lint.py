"""What `pubsub-diag lint --all` does."""

from __future__ import annotations

from diagnostics.cli.do import investigation
from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Asked, Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.evidence.unseen import NotSeen
from diagnostics.report import formats, markdown
from diagnostics.report import lint as report
from diagnostics.run.lint import Audit, audit
from diagnostics.shell.commands import noted
from diagnostics.sources.project import by_id


def answer(asked: Asked) -> int:
    """Look at every push subscription, print a block for each and the totals. The exit code is that of the worst."""
    if asked.bundle:
        raise Trouble(
            "a bundle holds one pipeline, not a project", noted("pubsub-diag lint --from BUNDLE", "without --all")
        )
    profile = opening.stated(asked)
    session = opening.session_of(asked)
    in_lab = session.lab is not None and not asked.profile
    project = ("" if asked.project or in_lab or profile is None else profile.project) or session.project
    if not project:
        raise Trouble("which project?", "pubsub-diag lint --all --project P")
    project = by_id(session, project)
    output.tell(f"reading {project}, at most {asked.timeout:g} s", asked.quiet)
    try:
        found = audit(session, project, asked.region or (profile.region if profile and not in_lab else ""))
    except NotSeen as error:
        raise Trouble(f"the subscriptions of {project} could not be listed: {error.says}", error.mend) from error
    found = Audit(
        project=found.project,
        diagnoses=tuple(investigation.on_threshold(d, asked.fail_on) for d in found.diagnoses),
        project_wide=found.project_wide,
        pulled=found.pulled,
        note=found.note,
    )
    layout = output.page(to_file=asked.out is not None)
    if asked.output in (Format.TEXT, Format.SHORT) or not found.diagnoses:
        said = report.render(found, layout, verbose=asked.verbose, short=asked.output is Format.SHORT)
    else:
        said = formats.render(asked.output.value, found.diagnoses, layout)
    output.answer(said, asked.out)
    if asked.output is Format.GITHUB:
        output.summarise(markdown.render_summary(found.diagnoses), asked.quiet)
    return int(found.exit_code)
