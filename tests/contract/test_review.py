"""What a reading of the first edition against Google's documents found, row by row, asked again on the way to Google.

Each row is one thing that Google answers in an ordinary project, and what has to come of it. Rows with a module of their own: pages in
part, projects out of sight, emulators, topics of others and members that stand for many (test_blockers), logins (test_sign_in),
load balancers (test_load_balancer), log reads (test_log_reads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import pytest

from tests.contract.front.google import Google, Refusal, Said, Told, answering, logins
from tests.sampling import a_share

NIGHT, HEALTHY, CRASHING = "2026-02-08-backfill-stall", "typical-batch", "worker-crashing-after-deploy"
RUN_POLICY, RUN_SERVICE = "google.cloud.run.v2.Services/GetIamPolicy", "google.cloud.run.v2.Services/GetService"
ROLE = "google.iam.admin.v1.IAM/GetRole"
ELSEWHERE = "640771203398"
"""Number of a project that this login may not see."""

Hold = Callable[[Google, Said], None]
Put = Callable[[Google, "Answers"], None]


class Answers(ExitStack):
    """What Google answers otherwise, until the block ends."""

    def __init__(self) -> None:
        super().__init__()
        self.altered: list[Any] = []

    def alter(self, change: AbstractContextManager[Any]) -> None:
        self.altered.append(self.enter_context(change))


class Row(NamedTuple):
    """One row of the review."""

    number: str
    world: str
    put: Put
    """What Google answers otherwise."""
    line: Callable[[Google], tuple[str, ...]]
    hold: Hold
    profile: bool = True
    login: Callable[[Google], logins.Login] | None = None


def subscription(google: Google, part: str = "request") -> str:
    return next(name for name in google.world.lab.world.subscriptions if part in name)


def command(*words: str) -> Callable[[Google], tuple[str, ...]]:
    return lambda google: tuple(subscription(google) if w == "SUBSCRIPTION" else w for w in words)


def changes(**replies: Callable[[Any, Any], Any]) -> Put:
    """The RPC's reply is changed; `__` in its name stands for the slash."""

    def put(google: Google, answers: Answers) -> None:
        for rpc, reply in replies.items():
            answers.alter(google.change(rpc.replace("__", "/"), reply=reply))

    return put


def nothing(_: Google, __: Answers) -> None: ...


# --- what Google answers --------------------------------------------------------------------------------------------------


def pushed_to(url: str) -> Put:
    def put(google: Google, answers: Answers) -> None:
        def reply(_: Any, reply: Any) -> None:
            if reply.push_config.push_endpoint:
                reply.push_config.push_endpoint = url.format(project=google.project)

        answers.alter(google.change("GetSubscription", reply=reply))

    return put


def custom_role(google: Google, answers: Answers) -> None:
    """The push account may invoke through a role of the project's own."""
    name = f"projects/{google.project}/roles/pusher"

    def policy(_: Any, reply: Any) -> None:
        for binding in reply.bindings:
            if binding.role == "roles/run.invoker":
                binding.role = name

    def role(_: Any) -> Any:
        return google.message(ROLE)(name=name, included_permissions=["run.routes.invoke"])

    answers.alter(google.change(RUN_POLICY, reply=policy))
    answers.alter(google.change(ROLE, instead=role))


def conditional(expression: str) -> Put:
    def reply(_: Any, reply: Any) -> None:
        reply.version = 3
        for binding in reply.bindings:
            if binding.role == "roles/run.invoker":
                binding.condition.expression, binding.condition.title = expression, "c"

    def put(google: Google, answers: Answers) -> None:
        answers.alter(google.change(RUN_POLICY, reply=reply))

    return put


def metrics_refused(text: str, reason: str = "") -> Put:
    def put(google: Google, answers: Answers) -> None:
        refusal = (
            Refusal("PERMISSION_DENIED", text, reason, {}, "googleapis.com")
            if reason
            else Refusal("PERMISSION_DENIED", text)
        )
        answers.alter(google.change("ListTimeSeries", refuse=refusal))

    return put


def never_written(google: Google, answers: Answers) -> None:
    kind = "pubsub.googleapis.com/subscription/push_request_count"
    refusal = Refusal("NOT_FOUND", f'Cannot find metric(s) that match type = "{kind}".')
    answers.alter(google.change("ListTimeSeries", when=lambda r: kind in r.filter, refuse=refusal))


def structured(_: Any, reply: Any) -> None:
    """Lines of programs come as the message of a structured entry."""
    for entry in reply.entries:
        if entry.log_name.endswith(("stdout", "stderr")) and entry.text_payload:
            text = entry.text_payload
            entry.json_payload.update({"message": text, "logger": "app"})


def with_sidecar(_: Any, reply: Any) -> None:
    container = type(reply.template.containers[0])(name="collector", image="otel/collector")
    container.resources.limits["cpu"] = "1"
    if reply.template.containers[0].ports:
        reply.template.containers.insert(0, container)


def status_hidden(google: Google, answers: Answers) -> None:
    """The coordinator takes calls from inside only: Google's front end says that there is no such page."""

    def internal(_: Any, reply: Any) -> None:
        if "coordinator" in reply.name:
            reply.ingress = 2

    answers.alter(google.change(RUN_SERVICE, reply=internal))
    answers.alter(google.web(".run.app", instead=Told(404, "<html><title>404 Page not found</title></html>")))


def slow_logs(google: Google, answers: Answers) -> None:
    answers.alter(google.change("ListLogEntries", delay_s=4))


# --- what has to come of it -----------------------------------------------------------------------------------------------


def causes(said: Said, confidence: str = "confirmed") -> set[tuple[str, str]]:
    return {(c["code"], c["role"]) for c in said.json()["causes"] if c["confidence"] == confidence}


def all_well(_: Google, said: Said) -> None:
    whole = said.json()
    assert not [f for f in whole["findings"] if f["status"] == "fault"]
    assert not {code for code, role in causes(said) | causes(said, "probable") if role in ("blocks", "worsens")}


def done(google: Google, said: Said) -> None:
    all_well(google, said)
    assert said.json()["state"] == "done"


def the_night(_: Google, said: Said) -> None:
    named = {(c["code"], c["role"]) for c in said.json()["causes"]}
    assert ("gated-batch-never-closes", "blocks") in named
    assert ("poison-retry-storm", "blocks") not in named


def says(*parts: str, never: tuple[str, ...] = ()) -> Hold:
    def hold(google: Google, said: Said) -> None:
        whole = said.out + said.err
        for part in parts:
            assert part.format(project=google.project) in whole, part
        for part in never:
            assert part.format(project=google.project) not in whole, part
        assert "internal error" not in whole

    return hold


def nothing_confirmed(*parts: str, never: tuple[str, ...] = ()) -> Hold:
    def hold(google: Google, said: Said) -> None:
        says(*parts, never=never)(google, said)
        assert not causes(said)

    return hold


def one_deploy_of_somebody(_: Google, said: Said) -> None:
    """The deploy is one change by who made it, though Cloud Run's own entries about it are newer."""
    (changed,) = (f["says"] for f in said.json()["findings"] if f["code"] == "changes.changed")
    assert changed.startswith("1 change ")
    assert "ReplaceService prediction-worker by deployer@" in changed


def nothing_holds(*parts: str) -> Hold:
    """Nothing that was not seen is laid to a cause; what configuration alone shows may be named."""

    def hold(google: Google, said: Said) -> None:
        says(*parts)(google, said)
        assert not {code for code, role in causes(said) if role in ("blocks", "worsens")}

    return hold


READABLE = ("batch", "-o", "json")
ROWS = (
    Row("A4b", HEALTHY, pushed_to(f"https://payments-worker-{ELSEWHERE}.us-west2.run.app/predict"),
        command("delivery", "--subscription", "SUBSCRIPTION", "-o", "json"),
        nothing_confirmed(never=("payments-worker does not exist",)), False),
    Row("A4d", HEALTHY, nothing,
        lambda google: ("lint", "--subscription", subscription(google), "--project", google.number, "-o", "json"),
        nothing_confirmed(never=("belongs to topic",)), False),
    Row("A4e", HEALTHY, nothing, command("delivery", "--subscription", "SUBSCRIPTION", "--region", "europe-west1", "-o", "json"),
        all_well, False),
    Row("A5 custom role", HEALTHY, custom_role, command("lint", "-o", "json"), all_well),
    Row("A5 condition that holds", HEALTHY, conditional('request.time < timestamp("2036-01-01T00:00:00Z")'),
        command("lint", "-o", "json"), all_well),
    Row("C10", HEALTHY, conditional('resource.name.startsWith("projects/x")'), command("lint", "-o", "json"), nothing_confirmed()),
    Row("B1", NIGHT, nothing, command("changes", "-o", "json"), one_deploy_of_somebody),
    Row("B4 scopes", HEALTHY,
        metrics_refused("Request had insufficient authentication scopes.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), command(*READABLE),
        says("scopes are too narrow", never=("ask for a role with monitoring",))),
    Row("B4 billing", HEALTHY, metrics_refused("This API method requires billing to be enabled.", "BILLING_DISABLED"),
        command(*READABLE), says("billing is disabled", never=("ask for a role with monitoring",))),
    Row("B4 Google's project", HEALTHY,
        metrics_refused("Cloud Monitoring API has not been used in project 764086051850 before or it is disabled.", "SERVICE_DISABLED"),
        command(*READABLE), says("quota", never=("--project=764086051850",))),
    Row("B5", HEALTHY, never_written, command(*READABLE), done),
    Row("B6", CRASHING, nothing, command("worker", "-o", "json"), says("No module named")),
    Row("B7", NIGHT, slow_logs, command("batch", "--timeout", "6", "-o", "json"), nothing_holds("--timeout")),
    Row("B8", NIGHT, status_hidden, command(*READABLE), the_night),
    Row("B9", NIGHT, changes(ListLogEntries=structured), command(*READABLE), the_night),
    Row("C1", HEALTHY, nothing, command("access", "--subscription", "misspelt-sub", "-o", "json"),
        says("subscriptions/misspelt-sub does not exist"), False),
    Row("C2", HEALTHY, pushed_to("https://us-west2-{project}.cloudfunctions.net/prediction-worker"),
        command("init", "--subscription", "SUBSCRIPTION", "--out", "-"), says('service = "prediction-worker"'), False),
    Row("C7", HEALTHY, nothing, command("lint", "-q"), says(never=("UserWarning", "quota exceeded")), login=logins.user),
    Row("C8", HEALTHY, changes(**{RUN_SERVICE.replace("/", "__"): with_sidecar}), command("lint", "-o", "json"), all_well),
)  # fmt: skip


@pytest.fixture(scope="module")
def worlds() -> Iterator[Callable[[str], Google]]:
    """One front a scenario, begun when it is first asked for."""
    with ExitStack() as stack:
        begun: dict[str, Google] = {}

        def world(name: str) -> Google:
            if name not in begun:
                begun[name] = stack.enter_context(answering(name))
            return begun[name]

        yield world


@pytest.mark.parametrize("row", a_share(ROWS, of=5), ids=lambda row: row.number)
def test_a_row_of_the_review(worlds: Callable[[str], Google], row: Row) -> None:
    google = worlds(row.world)
    with Answers() as answers:
        row.put(google, answers)
        login = row.login(google) if row.login else None
        said = google.run(*row.line(google), profile=row.profile, login=login)
    assert all(change.met for change in answers.altered), "what was altered was asked"
    row.hold(google, said)
