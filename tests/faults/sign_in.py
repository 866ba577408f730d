"""Whoever is not let in is told soon: `python -m tests.faults.sign_in`, the end of `make faults`.

Each way of not being let in (`tests.contract.test_sign_in`), through the front that answers as Google does, with the usual --timeout
and with a short one. It is told within ten seconds, and never more than two after --timeout. Who is late is asked again, twice at most.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from tabulate import tabulate

from tests.contract.front.google import Google, answering
from tests.contract.test_sign_in import REFUSED, SOON_S
from tests.matrices import tables

USUAL_S, SHORT_S = 20.0, 3.0
GRACE_S = 2.0
TRIES = 3


class Refusal(NamedTuple):
    case: str
    timeout_s: float
    seconds: float
    """From the fork to the end, without waiting for a processor; of several tries the least."""
    code: int
    said: str

    @property
    def flaw(self) -> str:
        late = self.seconds > min(SOON_S, self.timeout_s + GRACE_S)
        crash = self.code != 3 or "Traceback" in self.said or "internal error" in self.said
        return "late" if late else "crash" if crash else ""


def refused(google: Google, case: str, timeout_s: float) -> Refusal:
    best = Refusal(case, timeout_s, float("inf"), -1, "")
    for _ in range(TRIES):
        way = REFUSED[case]
        login = way.login(google)
        with way.made(google):
            said = google.run("batch", f"--timeout={timeout_s:g}", login=login)
        best = min(best, Refusal(case, timeout_s, said.seconds, said.code, said.err), key=lambda r: r.seconds)
        if not best.flaw:
            break
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this text")
    options = parser.parse_args()
    with answering("typical-batch") as google:
        found = [
            refused(google, case, timeout_s)
            for case in REFUSED
            if options.only in case
            for timeout_s in (USUAL_S, SHORT_S)
        ]
    tables.write("sign-in", ("case", "timeout", "seconds", "code", "said"), [r for r in found if r.flaw])
    for timeout_s in (USUAL_S, SHORT_S):
        slowest = sorted((r for r in found if r.timeout_s == timeout_s), key=lambda r: -r.seconds)[:5]
        print(f"\n--timeout {timeout_s:g}: the slowest of {len(found) // 2}")
        print(tabulate([(r.case, f"{r.seconds:.1f}", r.code) for r in slowest], headers=["not let in", "s", "exit"]))
    late = sum(bool(r.flaw) for r in found)
    print(f"\n{len(found)} refusals, {late} late or otherwise wrong")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
