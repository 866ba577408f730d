"""The diagnosis as JUnit XML, for the test tab of a build: one suite a diagnosis, one case a statement.

Cases fail only if the answer does: with exit code 0 there is neither failure nor error, with 1 or 2 there is a failure, with 3 an
error. One trouble fails once: the cause or finding that the verdict names is skipped, and so is what a cause accounts for. What could
not be seen and what the profile accepts is skipped, with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Exit, Missing, Named, Suppressed
from diagnostics.evidence.model import Leg
from diagnostics.report import text
from diagnostics.report.escape import clean, clean_all
from diagnostics.steps.finding import Finding, Status

ROOT = "pubsub-diag"


def render(diagnoses: Sequence[Diagnosis]) -> str:
    return _document([_suite(clean_all(diagnosis)) for diagnosis in diagnoses])


def render_trouble(says: str, mend: str) -> str:
    """A run that came to no diagnosis: one case with an error."""
    suite = TestSuite(ROOT)
    suite.add_testcase(_case("run", "run", Error(clean(says), "trouble"), clean(mend)))
    return _document([suite])


def _document(suites: Sequence[TestSuite]) -> str:
    document = JUnitXml(ROOT)
    for suite in suites:
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _xml(document) + "\n"


def _xml(document: JUnitXml) -> str:
    encoded: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return encoded.decode()


def _suite(said: Diagnosis) -> TestSuite:
    suite = TestSuite(f"{said.pipeline.command} {said.pipeline.pipeline}")
    suite.timestamp = f"{said.as_of:%Y-%m-%dT%H:%M:%S}"
    for name, value in _properties(said).items():
        suite.add_property(name, value)
    times: Counter[tuple[str, str]] = Counter()
    for case in _cases(said):
        times[case.classname, case.name] += 1
        if (again := times[case.classname, case.name]) > 1:
            case.name = f"{case.name} #{again}"
        suite.add_testcase(case)
    return suite


def _properties(said: Diagnosis) -> dict[str, str]:
    known = {
        "project": said.pipeline.project,
        "region": said.pipeline.region,
        "batch": said.batch.id if said.batch else "",
        "state": said.state.value if said.batch else "",
        "status": said.status.value,
        "exit_code": str(int(said.exit_code)),
        "as_of": said.as_of.isoformat(),
    }
    return {name: value for name, value in known.items() if value}


def _cases(said: Diagnosis) -> Iterator[TestCase]:
    failing = said.exit_code != Exit.OK
    yield _verdict(said)
    told = _told(said) if failing else {}
    for cause in said.causes:
        yield _cause(cause, failing, told.get(id(cause), ""))
    for finding in said.findings:
        yield _finding(finding, failing, told.get(id(finding), ""))
    for gap in said.unknown:
        yield _gap(gap, said.exit_code == Exit.UNKNOWN)
    for suppressed in said.suppressed:
        if not suppressed.over:
            yield _suppressed(suppressed)


def _verdict(said: Diagnosis) -> TestCase:
    result: Failure | Error | None = None
    if said.exit_code == Exit.UNKNOWN:
        result = Error(said.headline, said.status.value)
    elif said.exit_code != Exit.OK:
        result = Failure(said.headline, said.status.value)
    alone = text.finishes(said)
    told = "\n".join([said.headline, *([f"Finishes alone? {alone}"] if alone else []), *said.next])
    case = _case(said.batch.id if said.batch and said.batch.id else said.pipeline.command, "verdict", result, told)
    case.time = said.pipeline.seconds
    return case


def _told(said: Diagnosis) -> dict[int, str]:
    """Causes and findings that another case fails for, by their `id`, and where: of the first cause that is the verdict, of a finding the
    verdict or a cause that accounts for it."""
    told: dict[int, str] = {}
    causes = [c for c in said.causes if c.role is not Role.BENIGN]
    for cause in reversed(causes):
        of = [f for f in said.findings if f.says in (*cause.because, *cause.hence) and f.leg in (cause.leg, None)]
        told |= {id(f): f"accounted for by {cause.code}" for f in of}
        named = any(says in said.headline for says in (cause.says, cause.code, *(f.says for f in of)))
        if cause is causes[0] and (named or cause.role is Role.BLOCKS):  # what blocks is what a verdict is about
            told[id(cause)] = "it is what the verdict says"
    first = next((f for f in said.findings if f.abnormal and f.says in said.headline), None)
    if first is not None and id(first) not in told:
        told[id(first)] = "it is what the verdict says"
    return told


def _cause(cause: Named, failing: bool, told_by: str) -> TestCase:
    told = "\n".join(
        [f"{cause.does}, {cause.confidence.value}: {cause.says}", *cause.because, *cause.hence, *cause.next]
    )
    fails = failing and cause.role is not Role.BENIGN
    result = Skipped(told_by, cause.does) if told_by else Failure(cause.says, cause.does)
    return _case(_of(cause.code, cause.leg), "cause", result if fails else None, told)


def _finding(finding: Finding, failing: bool, told_by: str) -> TestCase:
    result: Failure | Error | Skipped | None = None
    if finding.status is Status.UNKNOWN:
        result = (Error if failing else Skipped)(finding.says, finding.status.value)
    elif finding.abnormal and failing:
        result = (Skipped if told_by else Failure)(told_by or finding.says, finding.status.value)
    step = finding.code.partition(".")[0]
    return _case(_of(finding.code, finding.leg), step, result, f"{finding.status.value}: {finding.says}")


def _gap(gap: Missing, counts: bool) -> TestCase:
    says = " ".join(part for part in (gap.says, gap.mend) if part)
    result = Error(says, gap.why) if counts and gap.matters else Skipped(says, gap.why)
    return _case(_of(gap.what, gap.leg), "not_seen", result, gap.would_say)


def _suppressed(suppressed: Suppressed) -> TestCase:
    result = Skipped(f"accepted until {suppressed.until}: {suppressed.reason}", "accepted")
    return _case(_of(suppressed.code, suppressed.leg), "accepted", result, suppressed.says)


def _case(name: str, group: str, result: Failure | Error | Skipped | None, told: str) -> TestCase:
    case = TestCase(name, f"{ROOT}.{group}", 0.0)
    if result is not None:
        result.text = told
        case.result = [result]
    elif told:
        case.system_out = told
    return case


def _of(code: str, leg: Leg | None) -> str:
    return f"{code} ({leg.value})" if leg else code
