"""The diagnosis as JUnit XML, for the test tab of a build: one suite a diagnosis, one case a statement.

Cases fail only if the answer does: with exit code 0 there is neither failure nor error, with 1 or 2 there is a failure, with 3 an
error. What could not be seen and what the profile accepts is skipped, with its reason.
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
    for cause in said.causes:
        yield _cause(cause, failing)
    for finding in said.findings:
        yield _finding(finding, failing)
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


def _cause(cause: Named, failing: bool) -> TestCase:
    told = "\n".join(
        [f"{cause.does}, {cause.confidence.value}: {cause.says}", *cause.because, *cause.hence, *cause.next]
    )
    fails = failing and cause.role is not Role.BENIGN
    return _case(_of(cause.code, cause.leg), "cause", Failure(cause.says, cause.does) if fails else None, told)


def _finding(finding: Finding, failing: bool) -> TestCase:
    result: Failure | Error | Skipped | None = None
    if finding.status is Status.UNKNOWN:
        result = (Error if failing else Skipped)(finding.says, finding.status.value)
    elif finding.abnormal and failing:
        result = Failure(finding.says, finding.status.value)
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
