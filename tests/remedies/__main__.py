"""`make remedies`: the table, cause by cause: what was applied, and what the diagnosis says afterwards."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from diagnostics.report import text
from diagnostics.report.layout import Layout
from tests.contract.google_tools import Absent, Gcloud
from tests.remedies.prove import Proof, halfway, prove
from tests.remedies.rows import ROWS


def shown(proof: Proof) -> str:
    row = proof.row
    word = ("open" if row.open else "MISS") if proof.misses else "ok  "
    lines = [f"{word} {row.code}  in {row.scenario}  ({proof.seconds:.1f} s)"]
    lines += [f"       applied  {done}" for done in proof.done]
    lines += [f"       then     {proof.says}"]
    lines += [f"       residue  {', '.join(row.residue)}"] if row.residue else []
    lines += [f"       miss     {miss}" for miss in proof.misses]
    lines += (
        [f"       open     {row.open}{'' if proof.misses else ': not any more, take the note away'}"]
        if row.open
        else []
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", nargs="*", help="only these causes")
    parser.add_argument("--since", default="", help="go on from this cause")
    parser.add_argument(
        "--halfway", action="store_true", help="mend the cause, send nothing again, and see what is said then"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print the whole answer after the remedy")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        try:
            gcloud = Gcloud.find(Path(home))
        except Absent as absent:
            print(absent)
            return 2
        missed = proven = left = 0
        for row in ROWS:
            if asked.codes and row.code not in asked.codes:
                continue
            if asked.since and row.code != asked.since and not (missed or proven):
                continue
            proof = halfway(row, gcloud, asked.seed) if asked.halfway else prove(row, gcloud, asked.seed)
            if proof is None:
                continue
            print(shown(proof), flush=True)
            if asked.verbose and proof.after:
                print(text.render(proof.after, Layout()), flush=True)
            known = bool(row.open) and not asked.halfway
            left += known and bool(proof.misses)
            missed += known is not bool(proof.misses)
            proven += not proof.misses
    what = "are told as mended" if asked.halfway else "remedies proven"
    print(f"{proven} {what}, {left} open, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
