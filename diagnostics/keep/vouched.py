"""What a bundle may offer as a command: anybody may have written it, and somebody will paste what is printed.

A kept text is printed as a command only if it is one of the forms that this version prints itself and that change nothing, and then it is
put together anew, from our words and the names in it. So nothing goes out that writes, deletes, runs a script, or hands a token or a
variable to an address that the bundle names. Whatever else the text may be is shown in quotes, as the bundle's own words.

The user's own kept runs are not held to this: nobody else writes to their folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from diagnostics.evidence.model import Evidence, Unseen
from diagnostics.shell.commands import (
    CANNOT_BE_TYPED,
    LONGEST_LINE,
    advice,
    arguments,
    is_command,
    is_harmless,
    noted,
    parted,
    quote,
    typeable,
)

QUOTED = "in the words of the bundle, for which pubsub-diag does not vouch: {line}"
"""How a text is shown that is none of ours."""
MOST_QUOTED = 200
"""Letters of it."""
MOST_LINES = 50
"""Lines of one piece's `by_hand`."""
LONGEST_MEND = 4000
"""Letters."""

_READS: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in (
        "gcloud pubsub subscriptions describe",
        "gcloud pubsub subscriptions get-iam-policy",
        "gcloud pubsub subscriptions list",
        "gcloud pubsub topics describe",
        "gcloud pubsub topics get-iam-policy",
        "gcloud pubsub topics list",
        "gcloud pubsub topics list-subscriptions",
        "gcloud iam policies list",
        "gcloud iam roles describe",
        "gcloud iam roles list",
        "gcloud iam service-accounts describe",
        "gcloud iam service-accounts get-iam-policy",
        "gcloud iam service-accounts keys list",
        "gcloud iam workload-identity-pools providers describe",
        "gcloud projects describe",
        "gcloud projects get-ancestors-iam-policy",
        "gcloud projects get-iam-policy",
        "gcloud run revisions list",
        "gcloud run services describe",
        "gcloud run services get-iam-policy",
        "gcloud logging read",
        "pubsub-diag access",
        "pubsub-diag batch",
        "pubsub-diag batches",
        "pubsub-diag bundle list",
        "pubsub-diag bundle show",
        "pubsub-diag bundle verify",
        "pubsub-diag changes",
        "pubsub-diag cold-start",
        "pubsub-diag delivery",
        "gcloud storage cat",
        "pubsub-diag lint",
        "pubsub-diag model drift",
        "pubsub-diag model list",
        "pubsub-diag outcome",
        "pubsub-diag probe status",
        "pubsub-diag published",
        "pubsub-diag push-auth",
        "pubsub-diag runbook list",
        "pubsub-diag runbook show",
        "pubsub-diag worker",
    )
)
"""What only reads. None of these words is a name: `delete` before a subscription that is called `list` is no form of ours."""
_OPTIONS = {
    "gcloud": "project region service order limit resource-names organization iam-account location workload-identity-pool "
    "attachment-point kind",
    "pubsub-diag": "leg since until project region subscription timeout expect",
}
"""Options with a value. None of them writes a file, reads one as settings, or lets somebody else sign in."""
_SWITCHES = ("--items", "--missing", "-v")
_WHOLE = frozenset(
    (
        "gcloud auth login",
        "gcloud auth application-default login",
        "gcloud auth application-default set-quota-project PROJECT",
        "gcloud compute instances set-service-account VM --scopes=cloud-platform",
        "unset GOOGLE_APPLICATION_CREDENTIALS",
        "pip install 'pubsub-diag[firestore]'",
        "pip install 'pubsub-diag[outcome]'",
        "pubsub-diag model doc",
        "pubsub-diag probe run --dry-run",
    )
)
"""Commands in which nothing varies."""
_OF_GOOGLE = re.compile(
    r'curl -s -H "Authorization: Bearer \$\(gcloud auth print-access-token\)" '
    r"(?P<mark>'?)https://(?:monitoring|firestore)\.googleapis\.com/[A-Za-z0-9_/~.%?=&()*:-]+(?P=mark)"
)
"""A token goes to the API that it is for, and to no other address."""
_SELECTOR = r'\{"__name__"="[\w./-]+","monitored_resource"="\w+"(?:,"[\w.]+"="[^"\\$`\n]*")*\}'
_LABELS = r"\([a-z_]+(?:, [a-z_]+)*\)"
_PROMQL = re.compile(
    rf"histogram_quantile\([\d.]+, sum by \(le\) \(increase\({_SELECTOR}\[\d+m\]\)\)\)"
    rf"|(?:sum|max)(?: by {_LABELS} )?\((?:increase|max_over_time)\({_SELECTOR}\[\d+m\]\)\)"
)
_PERMISSION = re.compile(r"[a-z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)+")

ADVICE = (
    "add --live",
    "add [[batch_state]] to the profile",
    "add [[markers]] to the profile",
    "add [[markers]] of its items to the profile",
    "add [[markers]] of the batch to the profile",
    "add start_path under [coordinator] to the profile",
    "add start_path under [coordinator] and [[markers]] of the batch to the profile",
    "add batch_state to the profile",
    "add it to the profile",
    "add markers to the profile",
    "add [results] to the profile",
    "add [model] to the profile",
    "add [model.loaded] to the profile",
    "add [model.registry] to the profile",
    "correct manifest under [model] in the profile",
    "correct table under [model.registry] in the profile",
    "name it: --doc FILE, or document under [model] in the profile",
    "ask again in a minute",
    "ask again with --timeout {name}",
    "ask again; on a machine that is not Google's: NO_GCE_CHECK=true",
    "ask for a role with {name}",
    "ask for roles/iam.serviceAccountOpenIdTokenCreator on {name}, for itself",
    "ask for roles/iam.serviceAccountTokenCreator on {name}",
    "ask for roles/iam.denyReviewer on the organisation",
    "ask for roles/iam.workloadIdentityUser on {name}, for the principal of this workload",
    "ask for roles/run.invoker on the service of the coordinator",
    "ask for roles/serviceusage.serviceUsageConsumer on {name}; or name a project that may be used: "
    "gcloud auth application-default set-quota-project PROJECT",
    "ask for fewer dates, or allow more with --max-bytes",
    "ask for fewer dates with --since and --until",
    "ask from inside the perimeter, or show its administrator the identifier that Google names",
    "ask who runs the status endpoint to let this login in, or set auth and audience in [batch_state]",
    "correct table under [results] in the profile",
    "name the dates: pubsub-diag outcome --since DATE --until DATE",
    "check https_proxy and no_proxy",
    "check the network",
    "check the network, and https_proxy if there is a proxy",
    "give the machine a service account, or sign in: gcloud auth application-default login",
    "give the root certificates of your firm to both of Google's libraries: "
    "export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=FILE REQUESTS_CA_BUNDLE=FILE SSL_CERT_FILE=FILE",
    "in GitHub Actions: permissions: id-token: write, and google-github-actions/auth in the same job",
    "it names {name} and wins over any other login",
    "let it act as one: --impersonate-service-account, or service_account_impersonation_url in its file",
    "lists those that are good",
    "look at the policy of {name}",
    "look at the provider of the workload identity pool",
    'name in the profile where it is kept: [[batch_state]] with kind = "firestore" or "command"',
    "name the batch: pubsub-diag batch BATCH_ID",
    "name {role}.service in the profile",
    "name {role}.service, {role}.region and {role}.project in the profile",
    "or name {role}.service, {role}.region and {role}.project in the profile",
    "say --region, or region in the profile",
    "say another --project",
    "say the right --project, its id and not its display name; or sign in with an account that may see it",
    "say the right --region, or region in the profile",
    "say the right e-mail address",
    "say where it is asked: url in [batch_state]",
    "set the clock: sudo timedatectl set-ntp true",
    "shows what a load balancer answered",
    "then gcloud auth application-default login",
    "while it is stopped",
    "{name} " + CANNOT_BE_TYPED,
)
"""What is advised in prose, and what explains a command."""
_HOLES = {"name": r"(?:[A-Za-z0-9_@%+:,./-]+|'[^']*')", "role": "(?:worker|coordinator)"}


def _form(advised: str) -> str:
    parts = re.split(r"[{}]", advised)
    return "".join(_HOLES[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))


_ADVICE = re.compile("|".join(map(_form, ADVICE)))


def vouched(found: Evidence | Unseen) -> Evidence | Unseen:
    """The evidence, with no command that this version would not print itself."""
    if isinstance(found, Unseen):
        return _gap(found)
    by_hand = _by_hand(found.source.by_hand)
    return found if by_hand == found.source.by_hand else replace(found, source=replace(found.source, by_hand=by_hand))


def _gap(found: Unseen) -> Unseen:
    permission = found.permission if _PERMISSION.fullmatch(found.permission) else ""
    mend = _mend(found.mend)
    says = found.says if mend or not found.mend else f"{found.says}; {_quoted(found.mend)}"
    if (mend, permission, says) == (found.mend, found.permission, found.says):
        return found
    return replace(found, mend=mend, permission=permission, says=says)


def _mend(line: str) -> str:
    """A command or advice of ours; empty where it is neither."""
    if len(line) > LONGEST_MEND:
        return ""
    if is_command(line):
        return _noted(line)
    return line if "; ".join(_known(line)) == line else ""


def _by_hand(text: str) -> str:
    """Commands, or lines for the editor of Metrics Explorer."""
    lines = text.splitlines() if len(text) <= LONGEST_LINE else []
    if text and not 0 < len(lines) <= MOST_LINES:
        return _quoted(text)
    return "\n".join(line if _PROMQL.fullmatch(line) else _noted(line) or _quoted(line) for line in lines)


def _noted(line: str) -> str:
    """The command, made anew, and what of its explanation is ours; empty where it is no form of ours."""
    said, told = parted(line)
    anew = _anew(said)
    return noted(anew, *_known(told[:LONGEST_MEND])) if anew else ""


def _quoted(line: str) -> str:
    return advice(QUOTED, line=line if len(line) <= MOST_QUOTED else f"{line[:MOST_QUOTED].rstrip()} …")


def _known(told: str) -> Iterator[str]:
    """Those parts of what stands between semicolons that are ours; some of ours have semicolons in them."""
    parts = told.split("; ")
    while parts:
        many = next((n for n in range(min(len(parts), 3), 0, -1) if _is_ours("; ".join(parts[:n]))), 0)
        if many:
            yield "; ".join(parts[:many])
        parts = parts[many or 1 :]


def _is_ours(told: str) -> bool:
    other = told.removeprefix("or: ")
    return _anew(other) == other if is_command(other) else bool(_ADVICE.fullmatch(other))


def _anew(said: str) -> str:
    """The command, put together again; empty where it is no form of ours."""
    if not is_harmless(said):
        return ""
    if said in _WHOLE or _OF_GOOGLE.fullmatch(said):
        return said
    try:
        words = arguments(said)
    except ValueError:
        return ""
    form = max((form for form in _READS if tuple(words[: len(form)]) == form), key=len, default=())
    if not form:
        return ""
    rest = [_word(word, form[0]) for word in words[len(form) :]]
    return " ".join((*form, *rest)) if all(rest) else ""


def _word(word: str, program: str) -> str:
    """A name or an option, quoted; empty where no form of ours has it."""
    if not word.startswith("-"):
        return quote(word) if typeable(word, LONGEST_LINE) else ""
    if word in _SWITCHES:
        return word
    option, equals, worth = word.partition("=")
    if option.removeprefix("--") not in _OPTIONS[program].split():
        return ""
    if worth and not typeable(worth, LONGEST_LINE):
        return ""
    return option + equals + (worth and quote(worth))
